// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Manual pages from the tables of commands and options. */
#include "cli/man.h"

#include <ctype.h>
#include <string.h>

#include "cli/tables.h"

/* When the pages were last changed. */
#define DATE "2026-11-29"

/* Text in which nothing is a request or an escape; each newline begins a paragraph. */
static void put(FILE *f, const char *text)
{
	for (bool start = true; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			fprintf(f, "\\&");
		start = *text == '\n';
		if (start)
			fprintf(f, "\n.PP\n");
		else if (*text == '\\')
			fprintf(f, "\\e");
		else if (*text == '-')
			fprintf(f, "\\-");
		else if (*text == '\'')
			fprintf(f, "\\(aq");
		else
			fputc(*text, f);
	}
	fprintf(f, "\n");
}

static void put_head(FILE *f, const char *name, const char *help)
{
	fprintf(f, ".\\\" Generated from src/cli/tables.c by tests/unit/cli.\n.TH ");
	for (; *name; name++)
		fputc(toupper((unsigned char)*name), f);
	fprintf(f, " 1 \"" DATE "\" \"memblame " MB_VERSION "\" \"User Commands\"\n.SH NAME\n%s\n", help);
}

static void put_option(FILE *f, const struct mb_cli_option *o)
{
	fprintf(f, ".TP\n");
	if (o->key < 256)
		fprintf(f, "\\fB\\-%c\\fR, ", o->key);
	fprintf(f, "\\fB\\-\\-");
	for (const char *p = o->name; *p; p++)
		fprintf(f, *p == '-' ? "\\-" : "%c", *p);
	fprintf(f, "\\fR");
	if (o->arg)
		fprintf(f, " \\fI%s\\fR", o->arg);
	fprintf(f, "\n");
	put(f, o->help);
	if (o->initial) {
		fprintf(f, ".br\nDefault: ");
		put(f, o->initial);
	}
}

static void put_exit_status(FILE *f)
{
	fprintf(f, ".SH EXIT STATUS\n"
		   "0 done; 1 failed (also: the process or cgroup asked for does not exist); 2 usage; 3 not permitted, or not\n"
		   "supported by this kernel. If its output is a closed pipe, memblame ends by SIGPIPE, without a message.\n");
}

static void put_files(FILE *f, const struct mb_command *c)
{
	enum mb_cli_command n = c ? mb_command_number(c) : MB_CLI_N;

	fprintf(f, ".SH FILES\n");
	if (!c || n == MB_CLI_serve)
		fprintf(f, ".TP\n.I /etc/memblame.conf\nConfiguration of the service, as the packaged unit passes it.\n");
	if (!c || n == MB_CLI_serve || n == MB_CLI_oom)
		fprintf(f, ".TP\n.I /var/lib/memblame/oom\nStored reports of OOM kills.\n");
	fprintf(f, ".TP\n.I /sys/kernel/btf/vmlinux\nTypes of the running kernel, which tracing needs.\n");
}

static void put_examples(FILE *f, const struct mb_command *c)
{
	fprintf(f, ".nf\n");
	for (size_t i = 0; i < MB_CLI_EXAMPLES && c->examples[i]; i++)
		put(f, c->examples[i]);
	fprintf(f, ".fi\n");
}

void mb_man_command(const struct mb_command *c, FILE *f)
{
	char name[64], help[256];

	snprintf(name, sizeof(name), "memblame-%s", c->name);
	snprintf(help, sizeof(help), "memblame\\-%s \\- %s", c->name, c->help);
	put_head(f, name, help);
	fprintf(f, ".SH SYNOPSIS\n.B memblame %s\n.RI [ OPTIONS ]\n", c->name);
	if (*c->words)
		put(f, c->words);
	fprintf(f, ".SH DESCRIPTION\n");
	put(f, c->about);
	fprintf(f, ".SH OPTIONS\n");
	for (size_t i = 0; mb_cli_option_at(i); i++) {
		if (mb_cli_applies(mb_cli_option_at(i), c))
			put_option(f, mb_cli_option_at(i));
	}
	fprintf(f, ".PP\nTimes are 5, 500ms, 2m or 1h30m (without a unit: seconds); sizes 4096, 64K or 1.5G.\n");
	put_exit_status(f);
	if (mb_command_number(c) == MB_CLI_run)
		fprintf(f, "Otherwise the status of CMD, or 128 + signal; 127 if CMD is not found, 126 if it cannot be executed.\n");
	put_files(f, c);
	fprintf(f, ".SH EXAMPLES\n");
	put_examples(f, c);
	fprintf(f, ".SH SEE ALSO\n.BR memblame (1)\n");
}

static void put_environment(FILE *f)
{
	fprintf(f, ".SH ENVIRONMENT\n"
		   ".TP\n.B MEMBLAME_HOOKS\n.IR family.question = hook ,...:\n"
		   "allow only this hook for this question; names as\n.B memblame doctor\nprints them. An entry\n"
		   ".B notrampolines\nrules out all fentry and fexit programs, as hardened kernels do.\n"
		   ".TP\n.B MEMBLAME_HASH_LEDGERS\n"
		   "Number of threads that fit in the hash by thread id. Without task storage the hash has all threads (default\n"
		   "16384); otherwise it has the threads to which the kernel refuses task storage (default 2048).\n"
		   ".TP\n.B NO_COLOR\nIf set, no colour on a terminal.\n");
}

void mb_man_all(FILE *f)
{
	put_head(f, "memblame",
		 "memblame \\- trace memory events: faults, growth, reclaim, writeback and OOM kills, per process");
	fprintf(f, ".SH SYNOPSIS\n.B memblame\n.I COMMAND\n.RI [ OPTIONS ]\n.RB [ \\-\\- \" \\fICMD ARGS\\fR...]\"\n"
		   ".SH DESCRIPTION\n.B memblame\n"
		   "attaches BPF programs to the kernel's memory tracepoints and maintains an account of every process:\n"
		   "page faults by cause, address\\-space calls, stalls in reclaim and writeback, pages dirtied, OOM kills.\n"
		   "It needs root (CAP_BPF and CAP_PERFMON) and a kernel with BTF, except for report, replay and help. Without a\n"
		   "selection it traces the whole machine. \\-d and Ctrl\\-C both end with the full summary.\n"
		   ".SH COMMANDS\n");
	for (size_t i = 0; mb_command_at(i); i++) {
		fprintf(f, ".TP\n.BR memblame\\-%s (1)\n", mb_command_at(i)->name);
		put(f, mb_command_at(i)->help);
	}
	fprintf(f, ".SH OPTIONS\nEach command has a page with its options. Besides,\n");
	put_option(f, mb_cli_option('h'));
	put_option(f, mb_cli_option(MB_OPT_VERSION));
	put_exit_status(f);
	put_environment(f);
	put_files(f, NULL);
	fprintf(f, ".SH EXAMPLES\n.nf\n");
	for (size_t i = 0; mb_command_at(i); i++)
		put(f, mb_command_at(i)->examples[0]);
	fprintf(f, ".fi\n.SH SEE ALSO\n");
	for (size_t i = 0; mb_command_at(i); i++)
		fprintf(f, ".BR memblame\\-%s (1)%s\n", mb_command_at(i)->name, mb_command_at(i + 1) ? "," : "");
}
