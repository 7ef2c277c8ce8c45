// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* help: the list of commands, or all about one of them, as wide as the terminal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/tables.h"

#define WIDTH_MIN 40u
#define WIDTH_MAX 100u
#define NARROW 64u

static const char *const about =
	"memblame traces memory events of Linux: which process faults and why, who grows, who stalls in reclaim and "
	"writeback, and whom the OOM killer kills. It needs root, but for report, replay and help.";

static unsigned int width_of(FILE *f)
{
	struct winsize size = { 0 };
	const char *columns = getenv("COLUMNS");
	unsigned int width = 80;

	if (!ioctl(fileno(f), TIOCGWINSZ, &size) && size.ws_col)
		width = size.ws_col;
	else if (columns && atoi(columns) > 0)
		width = (unsigned int)atoi(columns);
	return width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width;
}

/* Prints text in lines from column at to width. The line has used columns already. */
static void put_wrapped(FILE *f, const char *text, unsigned int at, unsigned int used, unsigned int width)
{
	bool start = true; /* no word is in this line yet */

	while (*text) {
		unsigned int len = (unsigned int)strcspn(text, " \n");

		if (!start && used + 1 + len > width) {
			fprintf(f, "\n");
			used = 0;
			start = true;
		}
		if (used < at)
			fprintf(f, "%*s", (int)(at - used), "");
		used = used < at ? at : used;
		fprintf(f, "%s%.*s", start ? "" : " ", (int)len, text);
		used += len + !start;
		start = text[len] == '\n';
		if (start) {
			fprintf(f, "\n");
			used = 0;
		}
		text += len + (text[len] != '\0');
	}
	fprintf(f, "\n");
}

static void put_option(FILE *f, const struct mb_cli_option *o, unsigned int width)
{
	unsigned int column = width < NARROW ? 6 : 28;
	char name[64], text[512];
	int used;

	snprintf(text, sizeof(text), "%s%s%s%s", o->help, o->initial ? " (default: " : "", o->initial ? o->initial : "",
		 o->initial ? ")" : "");
	used = fprintf(f, "  %s", mb_cli_option_text(o, name, sizeof(name)));
	if (used + 2 > (int)column) {
		fprintf(f, "\n");
		used = 0;
	}
	put_wrapped(f, text, column, (unsigned int)used, width);
}

void mb_help_command(const struct mb_command *c, FILE *f)
{
	unsigned int width = width_of(f);
	bool has_options = false;

	fprintf(f, "Usage: memblame %s [OPTIONS]%s%s\n\n", c->name, *c->words ? " " : "", c->words);
	put_wrapped(f, c->about, 0, 0, width);
	for (size_t i = 0; mb_cli_option_at(i); i++) {
		if (!mb_cli_applies(mb_cli_option_at(i), c))
			continue;
		if (!has_options)
			fprintf(f, "\nOptions:\n");
		has_options = true;
		put_option(f, mb_cli_option_at(i), width);
	}
	fprintf(f, "\n");
	put_wrapped(f, "Times are 5, 500ms, 2m or 1h30m; sizes 4096, 64K or 1.5G.", 0, 0, width);
	fprintf(f, "\nExamples:\n");
	for (size_t i = 0; i < MB_CLI_EXAMPLES && c->examples[i]; i++)
		fprintf(f, "  %s\n", c->examples[i]);
}

void mb_help_all(FILE *f)
{
	unsigned int width = width_of(f);

	fprintf(f, "Usage: memblame COMMAND [OPTIONS] [-- CMD ARGS...]\n\n");
	put_wrapped(f, about, 0, 0, width);
	fprintf(f, "\nCommands:\n");
	for (size_t i = 0; mb_command_at(i); i++) {
		int used = fprintf(f, "  %-8s ", mb_command_at(i)->name);

		put_wrapped(f, mb_command_at(i)->help, (unsigned int)used, (unsigned int)used, width);
	}
	fprintf(f, "\n");
	put_wrapped(f, "memblame demo shows what it does; memblame help COMMAND prints the options of a command and examples. No selection means the whole "
		       "machine; -d and Ctrl-C both end with the full summary.", 0, 0, width);
	fprintf(f, "\nExamples:\n");
	for (size_t i = 0; mb_command_at(i); i++) {
		if (i != MB_CLI_help && i != MB_CLI_report && i != MB_CLI_replay)
			fprintf(f, "  %s\n", mb_command_at(i)->examples[0]);
	}
	fprintf(f, "\n");
	put_wrapped(f, "Exit status: 0 done, 1 failed, 2 usage, 3 not permitted or not supported here; run exits as CMD does, "
		       "128 + signal, 127 when it is not found, 126 when it cannot be executed.", 0, 0, width);
}

int mb_cmd_help(const struct mb_options *o, struct mb_err *e)
{
	const struct mb_command *c = o->argv[0] ? mb_command_find(o->argv[0]) : NULL;

	if (o->argv[0] && (!c || o->argv[1])) {
		const char *word = c ? o->argv[1] : o->argv[0], *like = c ? NULL : mb_cli_command_like(word);

		if (like)
			mb_err_set(e, MB_EXIT_USAGE, 0, "no command '%s'; did you mean %s?", word, like);
		else
			mb_err_set(e, MB_EXIT_USAGE, 0, c ? "'%s' is one word too many" : "no command '%s'; see memblame help", word);
		return MB_EXIT_USAGE;
	}
	if (c)
		mb_help_command(c, stdout);
	else
		mb_help_all(stdout);
	if (fflush(stdout) || ferror(stdout)) {
		mb_err_set(e, MB_EXIT_FAILED, errno, "writing to standard output failed");
		return MB_EXIT_FAILED;
	}
	return MB_EXIT_OK;
}
