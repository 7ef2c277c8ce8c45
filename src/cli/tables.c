// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The table of commands and the table of options. */
#include "cli/tables.h"

#include <stdio.h>
#include <string.h>

#include "families_text.h"
#include "oom/store.h"

static const struct mb_command commands[] = {
	[MB_CLI_top] = {
		"top", "who faults, grows and stalls: one table per interval", "",
		"Prints the state of the machine and one table of processes per interval, and the full summary at the end. "
		"Without a selection it traces the whole machine.",
		{ "memblame top -d 3", "memblame top -i 500ms -d 2s", "memblame top -p $$ -d 2 --json" },
		false, mb_cmd_top },
	[MB_CLI_run] = {
		"run", "trace CMD and all its descendants, then summarise; exits with CMD's status", "-- CMD ARGS...",
		"Starts CMD, traces it and all its descendants from their first instruction, and prints a summary when CMD "
		"has ended: to standard error, so that it does not mix with the output of CMD, with --json to standard "
		"output, with -o to the file.\n"
		"It exits as CMD does: with its status, 128 + signal if a signal killed it, 127 if it is not found, 126 if it "
		"cannot be executed; also if the summary cannot be written, which is reported on standard error. SIGINT and "
		"SIGTERM are passed on to CMD; a second one kills it.",
		{ "memblame run -- ls -lR /usr/share/doc", "memblame run --json -o /tmp/summary.json -- sleep 1",
		  "memblame run -f fault,vma -- sh -c 'sleep 1; true'" },
		true, mb_cmd_run },
	[MB_CLI_trace] = {
		"trace", "print single events as they happen", "[-- CMD ARGS...]",
		"Prints single events of CMD and its descendants, or of the selection, one line each, in order of time.",
		{ "memblame trace -f oom,reclaim -d 3", "memblame trace -f fault --json -o /tmp/faults -- ls",
		  "memblame trace -f task -d 2" },
		true, mb_cmd_trace },
	[MB_CLI_blame] = {
		"blame", "who held up whom, in reclaim and in writeback: whose dirty pages, whose allocations", "",
		"Reports which processes delayed which others: on each device, whose dirty pages delayed those that had to "
		"pause, wait or fsync; in reclaim, whose allocations used the memory; and who reclaimed pages of whom.\n"
		"-p and -c select the processes whose stalls are shown; causes are searched for on the whole machine.",
		{ "memblame blame -d 3", "memblame blame -i 1 -d 3", "memblame blame -c / -d 2 --json" },
		false, mb_cmd_blame },
	[MB_CLI_leaks] = {
		"leaks", "what grows, how fast, from which code, and when it will reach a limit", "[-- CMD ARGS...]",
		"Reports what grows, how fast, from which code, and when the process or cgroup as a whole will reach which "
		"limit: mapped regions and resident pages, with --heap the blocks of allocators, with --kernel objects of the "
		"kernel. It works on running processes.\n"
		"Prints one report at the end, with -i also one per interval.",
		{ "memblame leaks -d 5", "memblame leaks --heap -p $$ -d 5 --svg /tmp/leaks.svg",
		  "memblame leaks --heap --json -- ls /" },
		true, mb_cmd_leaks },
	[MB_CLI_oom] = {
		"oom", "wait for OOM kills, report each in full; oom list, oom show NUMBER: what was reported",
		"[list | show NUMBER]",
		"Waits for OOM kills and reports each in full: who asked for memory, who was killed, what ran out, who could "
		"have been chosen, the kernel's log, the history before the kill, and in one sentence whose growth led to it. "
		"Reports are stored as text and JSON; list and show read them back.\n"
		"A SIGKILL that a process such as earlyoom sends while memory is short is reported, too.",
		{ "memblame oom -d 2", "memblame oom list", "memblame oom --json -c / -d 2" },
		true, mb_cmd_oom },
	[MB_CLI_record] = {
		"record", "keep a trace in a file (-o FILE); with --raw also every event", "-o FILE [-- CMD ARGS...]",
		"Records the accounts of each tick (-i), important events and losses in a new SQLite file. With --raw also every "
		"event and what leaks needs, so that replay can show the trace through any view.\n"
		"Prints the summary at the end.",
		{ "memblame record -o /tmp/trace.db -d 3", "memblame record --raw -o /tmp/raw.db -- ls -R /etc",
		  "memblame record -i 500ms -o /tmp/half.db -d 2" },
		true, mb_cmd_record },
	[MB_CLI_report] = {
		"report", "what a recording says, for any time in it; of two, what has changed", "RECORDING [RECORDING]",
		"Prints the summary of a recording, or of a time window in it; for two recordings, what changed most, per "
		"program and second. -p, -c and -f show only these processes, cgroups and families.\n"
		"Needs no privilege. Times are 10:00 or 10:00:05+02:00 (UTC without a zone, on the day in the recording), an "
		"RFC 3339 time, or +SECONDS after the start.",
		{ "memblame report /tmp/trace.db", "memblame report --from +1 --to +2 /tmp/trace.db",
		  "memblame report --csv /tmp/trace.csv /tmp/trace.db" },
		true, mb_cmd_report },
	[MB_CLI_replay] = {
		"replay", "play a recording again through run, top, trace, blame, oom or leaks",
		"RECORDING run | top | trace | blame | oom | leaks [OPTIONS]",
		"Plays a recording made with record --raw back through a live view, as fast as possible or at its own speed. "
		"Needs no privilege, and no kernel support.",
		{ "memblame replay /tmp/raw.db top", "memblame replay /tmp/raw.db leaks --json",
		  "memblame replay --pace /tmp/raw.db trace -f fault" },
		true, mb_cmd_replay },
	[MB_CLI_serve] = {
		"serve", "stay on: record, report OOM kills, answer HTTP; all that can be set: --check-config", "",
		"Runs as a service: keeps the accounts of the machine or of cgroups, records them, reports OOM kills and answers "
		"HTTP requests, Prometheus' among them. Options override the configuration file, also after a reload (SIGHUP).",
		{ "memblame serve --check-config", "memblame serve --check-config --listen unix:/tmp/memblame.sock",
		  "memblame serve --check-config --state-dir /tmp --budget 0.5" },
		false, mb_cmd_serve },
	[MB_CLI_doctor] = {
		"doctor", "what this kernel lets memblame see, question by question", "",
		"Prints, for each question that memblame asks of the kernel, which hook answers it on this machine, how well, "
		"what the hook cannot see, and which hooks were refused with which error; and what each privilege is for.",
		{ "memblame doctor", "memblame doctor --json", "memblame doctor -f fault,heap" },
		false, mb_cmd_doctor },
	[MB_CLI_help] = {
		"help", "help of one command: memblame help COMMAND", "[COMMAND]",
		"Prints the usage, the options with their defaults and examples of one command; without one, the list of commands.",
		{ "memblame help", "memblame help leaks", "memblame help run" },
		true, mb_cmd_help },
	[MB_CLI_demo] = {
		"demo", "three prepared problems, watched for 20 s, and what memblame says of each", "",
		"Starts a few small programs: one that leaks, one whose fsync waits for what another writes, and one that fills a "
		"memory cgroup until the kernel kills another for it. Watches them for 20 s, and prints what memblame says of each "
		"problem, below the command that says it of your programs.\n"
		"It needs 200 MiB of memory and 100 MiB in /var/tmp, makes a memory cgroup, and leaves nothing behind.",
		{ "memblame demo", "memblame demo -o /tmp/demo", "memblame demo --quiet" },
		false, mb_cmd_demo },
};

_Static_assert(MB_ARRAY_SIZE(commands) == MB_CLI_N, "a command has no row");

#define BIT(name) (1u << MB_CLI_##name)
#define ALL (BIT(help) - 1)
/* those that open a session */
#define TRACING (BIT(top) | BIT(run) | BIT(trace) | BIT(blame) | BIT(leaks) | BIT(oom) | BIT(record))

static const struct mb_cli_option options[] = {
	{ "pid", 'p', "PID", MB_CLI_COMPLETES_PID, (TRACING & ~BIT(run)) | BIT(report), NULL,
	  "this process and its threads, not its children (repeatable)" },
	{ "cgroup", 'c', "CGROUP", MB_CLI_COMPLETES_CGROUP, (TRACING & ~BIT(run)) | BIT(report) | BIT(serve), NULL,
	  "this memory cgroup and those below it, as a path below the hierarchy's root or of its folder (repeatable)" },
	{ "duration", 'd', "TIME", MB_CLI_COMPLETES_NOTHING, TRACING, NULL,
	  "end after this time, with the full summary; a command is ended, too" },
	{ "interval", 'i', "TIME", MB_CLI_COMPLETES_NOTHING,
	  (TRACING & ~BIT(trace)) | BIT(serve) | BIT(replay), "1s",
	  "time between two tables, or two ticks of a recording" },
	{ "family", 'f', "FAMILY,...", MB_CLI_COMPLETES_FAMILY, ALL, NULL,
	  "only these: " MB_FAMILIES_BY_DEFAULT "; doctor also: " MB_FAMILIES_ON_REQUEST },
	{ "json", MB_OPT_JSON, NULL, MB_CLI_COMPLETES_NOTHING, ALL, NULL, "one JSON object per line; errors too" },
	{ "output", 'o', "FILE", MB_CLI_COMPLETES_FILE, ALL | BIT(demo), NULL,
	  "write to FILE (mode 0600), not to standard output; record: the recording" },
	{ "budget", MB_OPT_BUDGET, "PERCENT", MB_CLI_COMPLETES_NOTHING,
	  (TRACING & ~BIT(leaks)) | BIT(serve), "off; serve: 1",
	  "trace less where memblame would cost more than so many percent of one CPU; off: trace all" },
	{ "pss", MB_OPT_PSS, NULL, MB_CLI_COMPLETES_NOTHING, BIT(top) | BIT(run) | BIT(record), NULL,
	  "proportional and unique set size of each process, too: some milliseconds per GiB" },
	{ "history", MB_OPT_HISTORY, "MIN,HOURS,MIB", MB_CLI_COMPLETES_NOTHING, TRACING | BIT(serve), "3,3,64",
	  "remember so many minutes by the second and hours by the minute, in at most so many MiB" },
	{ "raw", MB_OPT_RAW, NULL, MB_CLI_COMPLETES_NOTHING, BIT(record), NULL,
	  "every event too, and what leaks needs, for replay" },
	{ "self", MB_OPT_SELF, NULL, MB_CLI_COMPLETES_NOTHING, BIT(trace) | BIT(replay), NULL,
	  "memblame's own events, too" },
	{ "pace", MB_OPT_PACE, NULL, MB_CLI_COMPLETES_NOTHING, BIT(replay), NULL,
	  "at the speed of the recorded session, not as fast as can be" },
	{ "from", MB_OPT_FROM, "TIME", MB_CLI_COMPLETES_NOTHING, BIT(report), "the start", "from this time on" },
	{ "to", MB_OPT_TO, "TIME", MB_CLI_COMPLETES_NOTHING, BIT(report), "the end", "up to this time" },
	{ "csv", MB_OPT_CSV, "FILE", MB_CLI_COMPLETES_FILE, BIT(report), NULL,
	  "one line per tick and process to FILE" },
	{ "timeline", MB_OPT_TIMELINE, NULL, MB_CLI_COMPLETES_NOTHING, BIT(report), NULL, "the window in steps, too" },
	{ "state-dir", MB_OPT_STATE_DIR, "DIR", MB_CLI_COMPLETES_FOLDER, BIT(oom) | BIT(serve), MB_STATE_DIR,
	  "store reports of OOM kills in DIR/oom" },
	{ "heap", MB_OPT_HEAP, NULL, MB_CLI_COMPLETES_NOTHING, BIT(leaks) | BIT(record), NULL,
	  "blocks of allocators, too (probes on malloc and its kin); record: with --raw" },
	{ "kernel", MB_OPT_KERNEL, NULL, MB_CLI_COMPLETES_NOTHING, BIT(leaks) | BIT(record), NULL,
	  "objects of the kernel, too; record: with --raw" },
	{ "stacks", MB_OPT_STACKS, "HOW", MB_CLI_COMPLETES_STACKS, BIT(leaks) | BIT(record), "auto",
	  "unwind by frame pointers where code has them (auto), always (fp) or never (dwarf); or take no stacks (none)" },
	{ "sample", MB_OPT_SAMPLE, "BYTES", MB_CLI_COMPLETES_NOTHING, BIT(leaks) | BIT(record), "16K",
	  "with --heap: follow one block in so many bytes allocated; 1: every block" },
	{ "pages", MB_OPT_PAGES, "N", MB_CLI_COMPLETES_NOTHING, BIT(leaks) | BIT(record), "64",
	  "follow one page in N, a power of two up to 65536" },
	{ "folded", MB_OPT_FOLDED, "FILE", MB_CLI_COMPLETES_FILE, BIT(leaks) | BIT(replay), NULL,
	  "stacks and bytes to FILE, for flame graph tools" },
	{ "svg", MB_OPT_SVG, "FILE", MB_CLI_COMPLETES_FILE, BIT(leaks) | BIT(replay), NULL, "a flame graph to FILE" },
	{ "diff", MB_OPT_DIFF, "FROM,TO", MB_CLI_COMPLETES_NOTHING, BIT(leaks) | BIT(replay), NULL,
	  "show growth, in graphs too, between these times after the start" },
	{ "maps", MB_OPT_MAPS, NULL, MB_CLI_COMPLETES_NOTHING, BIT(leaks) | BIT(replay), NULL,
	  "with --json: list what is mapped, too" },
	{ "series", MB_OPT_SERIES, NULL, MB_CLI_COMPLETES_NOTHING, BIT(leaks) | BIT(replay), NULL,
	  "with --json: the values that verdicts are made of, too" },
	{ "config", MB_OPT_CONFIG, "FILE", MB_CLI_COMPLETES_FILE, BIT(serve), NULL, "the configuration" },
	{ "check-config", MB_OPT_CHECK_CONFIG, NULL, MB_CLI_COMPLETES_NOTHING, BIT(serve), NULL,
	  "print what is wrong with the configuration, or the resulting settings, and end" },
	{ "listen", MB_OPT_LISTEN, "ADDR", MB_CLI_COMPLETES_NOTHING, BIT(serve), "127.0.0.1:9742",
	  "answer HTTP at ADDRESS:PORT, [IPV6]:PORT or unix:PATH (repeatable)" },
	{ "quiet", MB_OPT_QUIET, NULL, MB_CLI_COMPLETES_NOTHING, ALL | BIT(demo), NULL, "no messages but errors" },
	{ "verbose", MB_OPT_VERBOSE, NULL, MB_CLI_COMPLETES_NOTHING, ALL | BIT(demo), NULL,
	  "say what is done, and what the kernel refused" },
	{ "help", 'h', NULL, MB_CLI_COMPLETES_NOTHING, ALL | BIT(help) | BIT(demo), NULL, "print this help" },
	{ "version", MB_OPT_VERSION, NULL, MB_CLI_COMPLETES_NOTHING, 0, NULL, "print the version" },
};

const struct mb_command *mb_command_at(size_t i)
{
	return i < MB_ARRAY_SIZE(commands) ? &commands[i] : NULL;
}

enum mb_cli_command mb_command_number(const struct mb_command *c)
{
	return (enum mb_cli_command)(c - commands);
}

const struct mb_command *mb_command_find(const char *name)
{
	for (size_t i = 0; i < MB_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

const struct mb_cli_option *mb_cli_option_at(size_t i)
{
	return i < MB_ARRAY_SIZE(options) ? &options[i] : NULL;
}

const struct mb_cli_option *mb_cli_option(int key)
{
	for (size_t i = 0; i < MB_ARRAY_SIZE(options); i++) {
		if (options[i].key == key)
			return &options[i];
	}
	return NULL;
}

bool mb_cli_applies(const struct mb_cli_option *o, const struct mb_command *c)
{
	return o->commands >> mb_command_number(c) & 1;
}

const char *mb_cli_option_text(const struct mb_cli_option *o, char *buf, size_t size)
{
	if (o->key < 256)
		snprintf(buf, size, "-%c, --%s%s%s", o->key, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	else
		snprintf(buf, size, "    --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	return buf;
}

/* ---- what was meant ---- */

#define WORD_MAX 32u

static unsigned int least_of(unsigned int a, unsigned int b, unsigned int c)
{
	a = b < a ? b : a;
	return c < a ? c : a;
}

/* The number of letters to insert, remove or change (Levenshtein distance); words longer than WORD_MAX differ in all. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[WORD_MAX + 1], n = (unsigned int)strlen(a), m = (unsigned int)strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (unsigned int j = 0; j <= m; j++)
		row[j] = j;
	for (unsigned int i = 1; i <= n; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= m; j++) {
			unsigned int above = row[j];

			row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[m];
}

/* Is name more like word than what was found so far? At most a third of the letters may be wrong, or it is a prefix. */
static bool is_closer(const char *word, const char *name, unsigned int *least)
{
	size_t len = strlen(word);
	unsigned int d = len >= 2 && strncmp(word, name, len) == 0 ? 1 : distance(word, name);

	if (d > (len + 2) / 3 || d >= *least)
		return false;
	*least = d;
	return true;
}

const char *mb_cli_command_like(const char *word)
{
	unsigned int least = WORD_MAX;
	const char *best = NULL;

	for (size_t i = 0; i < MB_ARRAY_SIZE(commands); i++)
		best = is_closer(word, commands[i].name, &least) ? commands[i].name : best;
	return best;
}

const char *mb_cli_option_like(const char *word)
{
	unsigned int least = WORD_MAX;
	const char *best = NULL;

	for (size_t i = 0; i < MB_ARRAY_SIZE(options); i++)
		best = is_closer(word, options[i].name, &least) ? options[i].name : best;
	return best;
}
