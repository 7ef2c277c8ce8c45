// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The table of options and the table of commands. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/live_thread.h"
#include "base/log.h"
#include "cli/cli.h"
#include "families_text.h"
#include "host/cgroups.h"
#include "oom/store.h"

static const struct mb_command commands[] = {
	{ "top", "who faults, grows and stalls: one table per interval", false, mb_cmd_top },
	{ "run", "trace CMD and all its descendants, then summarise; exits with CMD's status", true, mb_cmd_run },
	{ "trace", "print single events as they happen", true, mb_cmd_trace },
	{ "blame", "who held up whom, in reclaim and in writeback: whose dirty pages, whose allocations", false, mb_cmd_blame },
	{ "leaks", "what grows, how fast, from which code, and when it will reach a limit", true, mb_cmd_leaks },
	{ "oom", "wait for OOM kills, report each in full; oom list, oom show NUMBER: what was reported", true, mb_cmd_oom },
	{ "record", "keep a trace in a file (-o FILE); with --raw also every event", true, mb_cmd_record },
	{ "report", "what a recording says, for any time in it; of two, what has changed", true, mb_cmd_report },
	{ "replay", "play a recording again: memblame replay FILE run | top | trace | blame | oom | leaks", true, mb_cmd_replay },
	{ "serve", "stay on: record, report OOM kills, answer HTTP; all that can be set: --check-config", false, mb_cmd_serve },
	{ "doctor", "what this kernel lets memblame see, question by question", false,
	  mb_cmd_doctor },
};

enum {
	OPT_JSON = 256,
	OPT_QUIET,
	OPT_VERBOSE,
	OPT_VERSION,
	OPT_PSS,
	OPT_RAW,
	OPT_PACE,
	OPT_FROM,
	OPT_TO,
	OPT_CSV,
	OPT_TIMELINE,
	OPT_STATE_DIR,
	OPT_HISTORY,
	OPT_HEAP,
	OPT_KERNEL,
	OPT_STACKS,
	OPT_SAMPLE,
	OPT_PAGES,
	OPT_FOLDED,
	OPT_SVG,
	OPT_DIFF,
	OPT_MAPS,
	OPT_SERIES,
	OPT_CONFIG,
	OPT_CHECK_CONFIG,
	OPT_LISTEN,
	OPT_BUDGET,
	OPT_SELF,
	OPT_HELP = '?',
};

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "trace this process and its threads (repeatable)", 0 },
	{ "cgroup", 'c', "CGROUP", 0, "trace this memory cgroup and those below it (repeatable)",
	  0 },
	{ "duration", 'd', "SECONDS", 0, "end after this time, with the full summary", 0 },
	{ "interval", 'i', "SECONDS", 0, "time between two tables (default 1)", 0 },
	{ "family", 'f', "FAMILY,...", 0,
	  "only these: " MB_FAMILIES_BY_DEFAULT "; doctor also: " MB_FAMILIES_ON_REQUEST, 0 },
	{ "json", OPT_JSON, NULL, 0, "one JSON object per line; errors too", 0 },
	{ "output", 'o', "FILE", 0, "write results to FILE (mode 0600), not to standard output",
	  0 },
	{ "budget", OPT_BUDGET, "PERCENT", 0,
	  "trace less where memblame would cost more than so many percent of one CPU; off: trace all (default: off; serve: 1)",
	  0 },
	{ "pss", OPT_PSS, NULL, 0, "proportional and unique set size of each process, too", 0 },
	{ "raw", OPT_RAW, NULL, 0, "record: every event too, and what leaks needs, for replay", 0 },
	{ "self", OPT_SELF, NULL, 0, "trace: memblame's own events, too", 0 },
	{ "pace", OPT_PACE, NULL, 0, "replay: as fast as it was, not as fast as can be", 0 },
	{ "from", OPT_FROM, "TIME", 0,
	  "report: from this time on (10:00, 10:00:05+02:00, an RFC 3339 time, or +SECONDS)", 0 },
	{ "to", OPT_TO, "TIME", 0, "report: up to this time", 0 },
	{ "csv", OPT_CSV, "FILE", 0, "report: one line per tick and process to FILE", 0 },
	{ "timeline", OPT_TIMELINE, NULL, 0, "report: the window in steps, too", 0 },
	{ "state-dir", OPT_STATE_DIR, "DIR", 0, "oom, serve: keep reports in DIR/oom (default " MB_STATE_DIR ")", 0 },
	{ "history", OPT_HISTORY, "MIN,HOURS,MIB", 0,
	  "remember so many minutes by the second and hours by the minute, in at most so "
	  "many MiB (default 3,3,64)", 0 },
	{ "heap", OPT_HEAP, NULL, 0, "leaks: blocks of allocators, too (probes on malloc and its kin)", 0 },
	{ "kernel", OPT_KERNEL, NULL, 0, "leaks: objects of the kernel, too", 0 },
	{ "stacks", OPT_STACKS, "HOW", 0,
	  "leaks: unwind by frame pointers where they are kept (auto, the default), always (fp) or never (dwarf); or "
	  "take no stacks (none)", 0 },
	{ "sample", OPT_SAMPLE, "BYTES", 0,
	  "leaks --heap: follow one block in so many bytes allocated (default 16384; 1: every block)", 0 },
	{ "pages", OPT_PAGES, "N", 0, "leaks: follow one page in N, a power of two up to 65536 (default 64)", 0 },
	{ "folded", OPT_FOLDED, "FILE", 0, "leaks: stacks and bytes to FILE, for flame graph tools", 0 },
	{ "svg", OPT_SVG, "FILE", 0, "leaks: a flame graph to FILE", 0 },
	{ "diff", OPT_DIFF, "FROM,TO", 0,
	  "leaks: show growth, in graphs too, between these seconds after the start", 0 },
	{ "maps", OPT_MAPS, NULL, 0, "leaks --json: list what is mapped, too", 0 },
	{ "series", OPT_SERIES, NULL, 0, "leaks --json: the values that verdicts are made of, too", 0 },
	{ "config", OPT_CONFIG, "FILE", 0, "serve: the configuration; options take the place of what it says", 0 },
	{ "check-config", OPT_CHECK_CONFIG, NULL, 0, "serve: say what is wrong with it, or what it comes to, and end",
	  0 },
	{ "listen", OPT_LISTEN, "ADDR", 0,
	  "serve: answer HTTP at ADDRESS:PORT or unix:PATH (default 127.0.0.1:9742; repeatable)", 0 },
	{ "quiet", OPT_QUIET, NULL, 0, "no messages but errors", 0 },
	{ "verbose", OPT_VERBOSE, NULL, 0, "say what is done, and what the kernel refused", 0 },
	/* argp's own --help and --version are disabled together with its error messages, which are replaced here */
	{ "help", OPT_HELP, NULL, 0, "give this help", -1 },
	{ "version", OPT_VERSION, NULL, 0, "print the version", -1 },
	{ 0 },
};

static const char doc[] =
	"memblame traces memory events of Linux: which process faults and why, who grows, who "
	"stalls in reclaim and writeback, and whom the OOM killer kills. It needs root, but for "
	"report and replay.\v"
	"\n"
	"No selection means the whole machine. -d and Ctrl-C both end with the full summary.\n"
	"\n"
	"Examples:\n"
	"  memblame run -- ls -lR /usr/share/doc\n"
	"  memblame run --json -o /tmp/summary.json -- sleep 1\n"
	"  memblame top -d 10\n"
	"  memblame trace -f oom,reclaim -d 5\n"
	"  memblame blame -d 10\n"
	"  memblame leaks -d 30\n"
	"  memblame leaks --heap -p $$ -d 10 --svg /tmp/leaks.svg\n"
	"  memblame oom -d 60\n"
	"  memblame oom list\n"
	"  memblame record -o /tmp/trace.db -d 60\n"
	"  memblame report --from +10 --to +20 /tmp/trace.db\n"
	"  memblame serve --check-config --config /etc/memblame.conf\n"
	"  memblame doctor\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 usage, 3 not permitted or not supported here; run exits "
	"as CMD does, 128 + signal, 127 when it is not found, 126 when it cannot be executed.";

/* The table of commands, before the text that follows the options. */
static char *add_commands(int key, const char *text, void *input)
{
	char *all = NULL;
	size_t size;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	f = open_memstream(&all, &size);
	if (!f)
		return (char *)text;
	fprintf(f, "Commands:\n");
	for (size_t i = 0; i < MB_ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(f, "%s", text);
	if (!fclose(f))
		return all; /* argp frees it */
	free(all);
	return (char *)text;
}

struct parse {
	const struct argp *argp;
	int next; /* index of the word after the last one parsed */
	struct mb_options *o;
	struct mb_err *e;
};

static bool parse_seconds(const char *text, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !isfinite(v) || v <= 0 || v > 1e8)
		return false;
	*out = v;
	return true;
}

static int parse_pid(struct mb_options *o, const char *text, struct mb_err *e)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end || v == 0 || v > 0x7fffffff)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "-p needs a process id, not '%s'", text);
	if (o->n_pids == MB_MAX_PIDS)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "at most %d processes (-p)", MB_MAX_PIDS);
	o->pids[o->n_pids++] = (unsigned int)v;
	return 0;
}

static int parse_families(struct mb_options *o, const char *text, struct mb_err *e)
{
	char name[64];

	for (const char *p = text; *p;) {
		size_t n = strcspn(p, ",");
		const struct mb_family *f;

		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		f = mb_family_by_name(name);
		if (!f)
			return mb_err_set(e, MB_EXIT_USAGE, 0,
					  "no family '%s'; there are " MB_FAMILIES_BY_DEFAULT ", " MB_FAMILIES_ON_REQUEST,
					  name);
		o->families |= 1u << f->id;
		p += n + (p[n] == ',');
	}
	if (!o->families)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "-f needs the name of a family");
	return 0;
}

static bool parse_count(const char *text, uint64_t most, uint64_t *out)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < 1 || v > most)
		return false;
	*out = v;
	return true;
}

static int parse_stacks(struct mb_options *o, const char *text, struct mb_err *e)
{
	static const struct {
		const char *name;
		enum mb_stack_kind kind;
		bool judge;
	} ways[] = {
		{ "auto", MB_STACK_COPY, true },
		{ "fp", MB_STACK_FP, false },
		{ "dwarf", MB_STACK_COPY, false },
		{ "none", MB_STACK_NONE, false },
	};

	for (size_t i = 0; i < MB_ARRAY_SIZE(ways); i++) {
		if (strcmp(text, ways[i].name) != 0)
			continue;
		o->stacks = ways[i].kind;
		o->leaks.judge_stacks = ways[i].judge;
		return 0;
	}
	return mb_err_set(e, MB_EXIT_USAGE, 0, "--stacks is one of auto, fp, dwarf, none, not '%s'", text);
}

/* Parse "5,25": two points in time, in seconds after the start. */
static int parse_diff(struct mb_options *o, const char *text, struct mb_err *e)
{
	char *end;
	double from = strtod(text, &end), to = *end == ',' ? strtod(end + 1, &end) : 0;

	if (end == text || *end || !isfinite(from) || !isfinite(to) || from < 0 || to <= from || to > 1e8)
		return mb_err_set(e, MB_EXIT_USAGE, 0,
				  "--diff needs two moments in seconds after the start, as in 5,25, not '%s'", text);
	o->leaks.diff_from_ns = (uint64_t)(from * (double)MB_NS_PER_S);
	o->leaks.diff_to_ns = (uint64_t)(to * (double)MB_NS_PER_S);
	return 0;
}

/* Parse the options of leaks; parse_option() handles the others. */
static int parse_leaks_option(int key, char *arg, struct mb_options *o, struct mb_err *e)
{
	switch (key) {
	case OPT_HEAP:
		o->leaks.heap = true;
		return 0;
	case OPT_KERNEL:
		o->leaks.kernel = true;
		return 0;
	case OPT_SERIES:
		o->leaks.series = true;
		return 0;
	case OPT_MAPS:
		o->leaks.maps = true;
		return 0;
	case OPT_FOLDED:
		o->leaks.folded_path = arg;
		return 0;
	case OPT_SVG:
		o->leaks.svg_path = arg;
		return 0;
	case OPT_STACKS:
		return parse_stacks(o, arg, e);
	case OPT_SAMPLE:
		if (!parse_count(arg, 1ull << 40, &o->leaks.heap_sample_bytes))
			return mb_err_set(e, MB_EXIT_USAGE, 0, "--sample needs a number of bytes, not '%s'", arg);
		return 0;
	case OPT_PAGES:
		if (!parse_count(arg, 65536, &o->leaks.page_sample_1_in) ||
		    (o->leaks.page_sample_1_in & (o->leaks.page_sample_1_in - 1)))
			return mb_err_set(e, MB_EXIT_USAGE, 0,
					  "--pages needs a power of two from 1 to 65536, not '%s'", arg);
		return 0;
	case OPT_DIFF:
		return parse_diff(o, arg, e);
	}
	return 0;
}

/*
 * Record options that are also keys of serve's configuration, unparsed, so that they are checked like the values of
 * the file.
 */
static int parse_serve_option(int key, const char *arg, struct mb_options *o, struct mb_err *e)
{
	static const struct {
		int option, key;
		const char *name, *value; /* value NULL: use the argument of the option */
	} table[] = {
		{ 'i', MB_SERVE_interval_ns, "-i", NULL },
		{ 'f', MB_SERVE_families, "-f", NULL },
		{ 'c', MB_SERVE_cgroups, "-c", NULL },
		{ OPT_LISTEN, MB_SERVE_listen, "--listen", NULL },
		{ OPT_BUDGET, MB_SERVE_budget_ppm, "--budget", NULL },
		{ OPT_STATE_DIR, MB_SERVE_state_dir, "--state-dir", NULL },
		{ OPT_HISTORY, MB_SERVE_KEYS, "--history", NULL },
		{ OPT_QUIET, MB_SERVE_log, "--quiet", "quiet" },
		{ OPT_VERBOSE, MB_SERVE_log, "--verbose", "verbose" },
	};

	if (key == OPT_CONFIG)
		o->config_path = arg;
	o->check_config |= key == OPT_CHECK_CONFIG;
	for (size_t i = 0; i < MB_ARRAY_SIZE(table); i++) {
		if (table[i].option == key)
			return mb_serve_override(&o->serve, table[i].key, table[i].name,
						 table[i].value ? table[i].value : arg, e);
	}
	return 0;
}

static int parse_budget(const char *text, double *percent, struct mb_err *e)
{
	*percent = 0;
	if (strcmp(text, "off") == 0 || (parse_seconds(text, percent) && *percent >= 0.01 && *percent <= 100))
		return 0;
	return mb_err_set(e, MB_EXIT_USAGE, 0, "--budget needs percent of one CPU, 0.01 to 100, or off, not '%s'", text);
}

static int parse_option(int key, char *arg, struct mb_options *o, struct mb_err *e)
{
	switch (key) {
	case 'p':
		return parse_pid(o, arg, e);
	case 'c':
		if (o->n_cgroups == MB_MAX_CGROUPS)
			return mb_err_set(e, MB_EXIT_USAGE, 0, "at most %d cgroups (-c)",
					  MB_MAX_CGROUPS);
		o->cgroups[o->n_cgroups++] = arg;
		return 0;
	case 'd':
	case 'i':
		if (!parse_seconds(arg, key == 'd' ? &o->duration_s : &o->interval_s))
			return mb_err_set(e, MB_EXIT_USAGE, 0,
					  "-%c needs a number of seconds above 0, not '%s'", key,
					  arg);
		return 0;
	case 'f':
		return parse_families(o, arg, e);
	case 'o':
		o->out_path = arg;
		return 0;
	case OPT_BUDGET:
		return parse_budget(arg, &o->budget_percent, e);
	case OPT_JSON:
		o->sink = &mb_sink_json;
		return 0;
	case OPT_PSS:
		o->pss = true;
		return 0;
	case OPT_RAW:
		o->raw = true;
		return 0;
	case OPT_SELF:
		o->own_events = true;
		return 0;
	case OPT_PACE:
		o->pace = true;
		return 0;
	case OPT_FROM:
		o->from = arg;
		return 0;
	case OPT_TO:
		o->to = arg;
		return 0;
	case OPT_TIMELINE:
		o->timeline = true;
		return 0;
	case OPT_CSV:
		o->csv_path = arg;
		return 0;
	case OPT_STATE_DIR:
		o->state_dir = arg;
		return 0;
	case OPT_HISTORY:
		if (mb_history_parse(arg, &o->history))
			return mb_err_set(e, MB_EXIT_USAGE, 0,
					  "--history needs MINUTES,HOURS,MIB (1 to 60, 1 to 48, 1 to 4096), "
					  "not '%s'", arg);
		return 0;
	case OPT_QUIET:
		o->quiet = true;
		return 0;
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	}
	return parse_leaks_option(key, arg, o, e);
}

static error_t on_key(int key, char *arg, struct argp_state *state)
{
	struct parse *p = state->input;
	const struct mb_command *c;
	int err;

	if (key >= ARGP_KEY_ARG && key < ARGP_KEY_END) /* an argument or an option */
		p->next = state->next;
	switch (key) {
	case ARGP_KEY_ARG:
		if (!p->o->command) {
			p->o->command = arg;
			return 0;
		}
		c = mb_command_find(p->o->command);
		if (c && !c->takes_command)
			return mb_err_set(p->e, MB_EXIT_USAGE, 0, "%s takes no argument '%s'",
					  c->name, arg);
		/* the command to trace: all following words belong to it, with or without "--" */
		p->o->argv = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	case OPT_HELP:
		argp_help(p->argp, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC,
			  (char *)"memblame");
		exit(MB_EXIT_OK);
	case OPT_VERSION:
		printf("memblame %s\n", MB_VERSION);
		exit(MB_EXIT_OK);
	case ARGP_KEY_INIT:
	case ARGP_KEY_END:
	case ARGP_KEY_NO_ARGS:
	case ARGP_KEY_SUCCESS:
	case ARGP_KEY_ERROR:
	case ARGP_KEY_FINI:
	case ARGP_KEY_ARGS:
		return ARGP_ERR_UNKNOWN;
	default:
		err = parse_serve_option(key, arg, p->o, p->e);
		return -(err ? err : parse_option(key, arg, p->o, p->e));
	}
}

const struct mb_command *mb_command_find(const char *name)
{
	for (size_t i = 0; i < MB_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

int mb_options_parse(struct mb_options *o, int argc, char **argv, struct mb_err *e)
{
	static char *no_command[] = { NULL };
	struct argp argp = { options, on_key, "COMMAND [-- CMD ARGS...]", doc, NULL, add_commands, NULL };
	struct parse p = { &argp, 1, o, e };
	int err;

	memset(o, 0, sizeof(*o));
	o->argv = no_command;
	o->history = mb_history_default;
	o->leaks = (struct mb_leaks_config){ .judge_stacks = true, .page_sample_1_in = 64, .heap_sample_bytes = 16384 };
	o->stacks = MB_STACK_COPY;
	/* find --json first, so that errors of parsing are also reported in JSON */
	o->sink = &mb_sink_text;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--json") == 0)
			o->sink = &mb_sink_json;
	}
	err = argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &p);
	if (err && !e->text[0])
		mb_err_set(e, MB_EXIT_USAGE, 0,
			   "unknown option, or one without its argument: '%s'; see memblame --help",
			   argv[p.next < argc ? p.next : argc - 1]);
	if (err)
		return -EINVAL;
	if (!o->command)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "which command? see memblame --help");
	if (!mb_command_find(o->command))
		return mb_err_set(e, MB_EXIT_USAGE, 0, "no command '%s'; see memblame --help",
				  o->command);
	return 0;
}

int mb_options_rest(const struct mb_options *o, struct mb_options *out, const char *command,
		    char **argv, struct mb_err *e)
{
	char *words[64] = { (char *)"memblame" };
	int n = 1, err;

	if (command)
		words[n++] = (char *)command;
	for (; *argv && n < 63; argv++)
		words[n++] = *argv;
	err = mb_options_parse(out, n, words, e);
	if (err)
		return err;
	if (out->sink == &mb_sink_text)
		out->sink = o->sink;
	out->pace |= o->pace;
	out->timeline |= o->timeline;
	out->families |= o->families;
	if (!out->interval_s)
		out->interval_s = o->interval_s;
	if (!out->out_path)
		out->out_path = o->out_path;
	if (!out->from)
		out->from = o->from;
	if (!out->to)
		out->to = o->to;
	if (!out->csv_path)
		out->csv_path = o->csv_path;
	if (!out->state_dir)
		out->state_dir = o->state_dir;
	return 0;
}

static int select_pids(const struct mb_options *o, struct mb_kern_config *k, struct mb_err *e)
{
	for (size_t i = 0; i < o->n_pids; i++) {
		uint32_t pid = mb_process_of(o->pids[i]); /* a TID of any of its threads is accepted */

		if (!pid)
			return mb_err_set(e, MB_EXIT_FAILED, 0, "no process %u", o->pids[i]);
		k->pids[k->n_pids++] = pid;
	}
	k->select = MB_SELECT_PIDS;
	return 0;
}

static int select_cgroups(const struct mb_options *o, struct mb_kern_config *k, struct mb_err *e)
{
	struct mb_cgroups *c = mb_cgroups_open();
	int err = 0;

	for (size_t i = 0; i < o->n_cgroups && !err; i++)
		err = mb_cgroups_lookup(c, o->cgroups[i], &k->cgroups[k->n_cgroups++], e);
	mb_cgroups_close(c);
	k->select = MB_SELECT_CGROUPS;
	return err;
}

static bool parse_hash_ledgers(const char *text, uint32_t *out)
{
	char *end;
	unsigned long v;

	if (!text)
		return true;
	v = strtoul(text, &end, 10);
	*out = (uint32_t)v;
	return end != text && !*end && v >= 1 && v <= 1024 * 1024;
}

int mb_options_session(const struct mb_options *o, struct mb_session_config *cfg, struct mb_err *e)
{
	double interval = o->interval_s ? o->interval_s : 1.0;

	memset(cfg, 0, sizeof(*cfg));
	cfg->show.sink = o->sink;
	cfg->out_path = o->out_path;
	cfg->pss = o->pss;
	cfg->budget = o->budget_percent / 100;
	cfg->kern.governed = cfg->budget > 0;
	cfg->history = &o->history;
	cfg->duration_ns = (uint64_t)(o->duration_s * (double)MB_NS_PER_S);
	cfg->tick_ns = (uint64_t)(interval * (double)MB_NS_PER_S);
	cfg->kern.force_hooks = getenv("MEMBLAME_HOOKS");
	if (!parse_hash_ledgers(getenv("MEMBLAME_HASH_LEDGERS"), &cfg->kern.hash_entries))
		return mb_err_set(e, MB_EXIT_USAGE, 0,
				  "MEMBLAME_HASH_LEDGERS must be a number from 1 to 1048576");
	cfg->kern.families = o->families;
	for (unsigned int id = 0; !o->families && id < MB_FAM_MAX; id++)
		cfg->kern.families |= mb_family_default_on(id) ? 1u << id : 0;
	if (o->n_pids && o->n_cgroups)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "-p and -c cannot be combined");
	if (o->n_pids)
		return select_pids(o, &cfg->kern, e);
	if (o->n_cgroups)
		return select_cgroups(o, &cfg->kern, e);
	cfg->kern.select = MB_SELECT_ALL;
	return 0;
}
