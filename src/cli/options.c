// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Parses the command line, according to the tables of commands and options. */
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
#include "base/units.h"
#include "cli/help.h"
#include "cli/tables.h"
#include "families_text.h"
#include "host/cgroups.h"
#include "oom/store.h"

struct parse {
	int next; /* index of the word after the last one parsed */
	struct mb_options *o;
	struct mb_err *e;
};

/* A time above 0 and below 3 years. */
static bool parse_seconds(const char *text, double *out)
{
	uint64_t ns;

	if (!mb_parse_time(text, &ns) || !ns || ns > 100000000 * MB_NS_PER_S)
		return false;
	*out = (double)ns / (double)MB_NS_PER_S;
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
		o->leaks.no_stacks = ways[i].kind == MB_STACK_NONE;
		return 0;
	}
	return mb_err_set(e, MB_EXIT_USAGE, 0, "--stacks is one of auto, fp, dwarf, none, not '%s'", text);
}

/* Parse "5,25" or "500ms,1m": two points in time after the start. */
static int parse_diff(struct mb_options *o, const char *text, struct mb_err *e)
{
	const char *comma = strchr(text, ',');
	char first[32] = "";
	uint64_t from = 0, to = 0;

	if (comma && (size_t)(comma - text) < sizeof(first))
		memcpy(first, text, (size_t)(comma - text));
	if (!comma || !mb_parse_time(first, &from) || !mb_parse_time(comma + 1, &to) || to <= from)
		return mb_err_set(e, MB_EXIT_USAGE, 0,
				  "--diff needs two times after the start, as in 5,25 or 500ms,1m, not '%s'", text);
	o->leaks.diff_from_ns = from;
	o->leaks.diff_to_ns = to;
	return 0;
}

/* Parse the options of leaks; parse_option() handles the others. */
static int parse_leaks_option(int key, char *arg, struct mb_options *o, struct mb_err *e)
{
	switch (key) {
	case MB_OPT_HEAP:
		o->leaks.heap = true;
		return 0;
	case MB_OPT_KERNEL:
		o->leaks.kernel = true;
		return 0;
	case MB_OPT_SERIES:
		o->leaks.series = true;
		return 0;
	case MB_OPT_MAPS:
		o->leaks.maps = true;
		return 0;
	case MB_OPT_FOLDED:
		o->leaks.folded_path = arg;
		return 0;
	case MB_OPT_SVG:
		o->leaks.svg_path = arg;
		return 0;
	case MB_OPT_STACKS:
		return parse_stacks(o, arg, e);
	case MB_OPT_SAMPLE:
		if (!mb_parse_bytes(arg, &o->leaks.heap_sample_bytes) || !o->leaks.heap_sample_bytes ||
		    o->leaks.heap_sample_bytes > 1ull << 40)
			return mb_err_set(e, MB_EXIT_USAGE, 0, "--sample needs a size, as in 4096 or 64K, not '%s'", arg);
		return 0;
	case MB_OPT_PAGES:
		if (!parse_count(arg, 65536, &o->leaks.page_sample_1_in) ||
		    (o->leaks.page_sample_1_in & (o->leaks.page_sample_1_in - 1)))
			return mb_err_set(e, MB_EXIT_USAGE, 0,
					  "--pages needs a power of two from 1 to 65536, not '%s'", arg);
		return 0;
	case MB_OPT_DIFF:
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
		{ MB_OPT_LISTEN, MB_SERVE_listen, "--listen", NULL },
		{ MB_OPT_BUDGET, MB_SERVE_budget_ppm, "--budget", NULL },
		{ MB_OPT_STATE_DIR, MB_SERVE_state_dir, "--state-dir", NULL },
		{ MB_OPT_HISTORY, MB_SERVE_KEYS, "--history", NULL },
		{ MB_OPT_QUIET, MB_SERVE_log, "--quiet", "quiet" },
		{ MB_OPT_VERBOSE, MB_SERVE_log, "--verbose", "verbose" },
	};

	if (key == MB_OPT_CONFIG)
		o->config_path = arg;
	o->check_config |= key == MB_OPT_CHECK_CONFIG;
	for (size_t i = 0; i < MB_ARRAY_SIZE(table); i++) {
		if (table[i].option == key)
			return mb_serve_override(&o->serve, table[i].key, table[i].name,
						 table[i].value ? table[i].value : arg, e);
	}
	return 0;
}

static int parse_budget(const char *text, double *percent, struct mb_err *e)
{
	uint64_t millionths; /* of one CPU */

	*percent = 0;
	if (strcmp(text, "off") == 0)
		return 0;
	if (mb_parse_number(text, strlen(text), 10000, &millionths) && millionths >= 100 && millionths <= 1000000) {
		*percent = (double)millionths / 10000;
		return 0;
	}
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
					  "-%c needs a time above 0, as in 5, 500ms or 2m, not '%s'", key,
					  arg);
		return 0;
	case 'f':
		return parse_families(o, arg, e);
	case 'o':
		o->out_path = arg;
		return 0;
	case MB_OPT_BUDGET:
		return parse_budget(arg, &o->budget_percent, e);
	case MB_OPT_JSON:
		o->sink = &mb_sink_json;
		return 0;
	case MB_OPT_PSS:
		o->pss = true;
		return 0;
	case MB_OPT_RAW:
		o->raw = true;
		return 0;
	case MB_OPT_SELF:
		o->own_events = true;
		return 0;
	case MB_OPT_PACE:
		o->pace = true;
		return 0;
	case MB_OPT_FROM:
		o->from = arg;
		return 0;
	case MB_OPT_TO:
		o->to = arg;
		return 0;
	case MB_OPT_TIMELINE:
		o->timeline = true;
		return 0;
	case MB_OPT_CSV:
		o->csv_path = arg;
		return 0;
	case MB_OPT_STATE_DIR:
		o->state_dir = arg;
		return 0;
	case MB_OPT_HISTORY:
		if (mb_history_parse(arg, &o->history))
			return mb_err_set(e, MB_EXIT_USAGE, 0,
					  "--history needs MINUTES,HOURS,MIB (1 to 60, 1 to 48, 1 to 4096), "
					  "not '%s'", arg);
		return 0;
	case MB_OPT_QUIET:
		o->quiet = true;
		return 0;
	case MB_OPT_VERBOSE:
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
		if (c && !c->takes_words)
			return mb_err_set(p->e, MB_EXIT_USAGE, 0, "%s takes no argument '%s'",
					  c->name, arg);
		/* the command to trace: all following words belong to it, with or without "--" */
		p->o->argv = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	case 'h':
		c = p->o->command ? mb_command_find(p->o->command) : NULL;
		if (c)
			mb_help_command(c, stdout);
		else
			mb_help_all(stdout);
		exit(MB_EXIT_OK);
	case MB_OPT_VERSION:
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
		if (p->o->n_used < MB_ARRAY_SIZE(p->o->used))
			p->o->used[p->o->n_used++] = key;
		err = parse_serve_option(key, arg, p->o, p->e);
		return -(err ? err : parse_option(key, arg, p->o, p->e));
	}
}

/* ---- what goes with what ---- */

/* "top, run and record": the commands that an option is for. */
static void list_commands(const struct mb_cli_option *option, char *buf, size_t size)
{
	const struct mb_command *c;
	size_t len = 0, n = 0, left = (size_t)__builtin_popcount(option->commands);

	buf[0] = '\0';
	for (size_t i = 0; (c = mb_command_at(i)) && len < size; i++) {
		if (!mb_cli_applies(option, c))
			continue;
		left--;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", !n++ ? "" : left ? ", " : " and ", c->name);
	}
}

/* Is the option for this command, and for also (or NULL)? What is only for also needs nothing else. */
static bool fits(const struct mb_cli_option *option, const struct mb_command *c, const struct mb_command *also)
{
	if (also && option->commands == 1u << mb_command_number(also))
		return true;
	return mb_cli_applies(option, c) && (!also || mb_cli_applies(option, also));
}

/* Refuse options that the command does not use. */
static int check_options(const struct mb_options *o, const struct mb_command *c, const struct mb_command *also,
			 struct mb_err *e)
{
	for (size_t i = 0; i < o->n_used; i++) {
		const struct mb_cli_option *option = mb_cli_option(o->used[i]);
		char list[128], name[64];

		if (fits(option, c, also))
			continue;
		if (option->key < 256)
			snprintf(name, sizeof(name), "-%c", option->key);
		else
			snprintf(name, sizeof(name), "--%s", option->name);
		list_commands(option, list, sizeof(list));
		return mb_err_set(e, MB_EXIT_USAGE, 0, "%s does not apply to %s%s%s: it is for %s", name,
				  also ? also->name : c->name, also ? " of " : "", also ? c->name : "", list);
	}
	return 0;
}

bool mb_options_has(const struct mb_options *o, int key)
{
	for (size_t i = 0; i < o->n_used; i++) {
		if (o->used[i] == key)
			return true;
	}
	return false;
}

/* The table of options as argp wants it. */
static const struct argp_option *argp_options(void)
{
	static struct argp_option list[64];

	for (size_t i = 0; mb_cli_option_at(i) && i + 1 < MB_ARRAY_SIZE(list); i++) {
		const struct mb_cli_option *o = mb_cli_option_at(i);

		list[i] = (struct argp_option){ .name = o->name, .key = o->key, .arg = o->arg };
	}
	return list;
}

/* Describe the word at which argp gave up. */
static void refuse_word(const char *word, struct mb_err *e)
{
	char name[64] = "";
	const char *like;
	bool known = false;

	if (strncmp(word, "--", 2) == 0)
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	like = *name ? mb_cli_option_like(name) : NULL;

	for (size_t i = 0; mb_cli_option_at(i) && !known; i++) {
		const struct mb_cli_option *o = mb_cli_option_at(i);

		known = o->arg && (strncmp(word, "--", 2) == 0 ? strcmp(word + 2, o->name) == 0 :
								  word[0] == '-' && word[1] == o->key && !word[2]);
	}
	if (known)
		mb_err_set(e, MB_EXIT_USAGE, 0, "%s needs an argument; see memblame --help", word);
	else if (like)
		mb_err_set(e, MB_EXIT_USAGE, 0, "unknown option '%s'; did you mean --%s?", word, like);
	else
		mb_err_set(e, MB_EXIT_USAGE, 0, "unknown option '%s', or one with an argument that it does not take; see "
			   "memblame --help", word);
}

static int refuse_command(const char *name, struct mb_err *e)
{
	const char *like = mb_cli_command_like(name);

	if (like)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "no command '%s'; did you mean %s?", name, like);
	return mb_err_set(e, MB_EXIT_USAGE, 0, "no command '%s'; see memblame --help", name);
}

/* also: a command whose options they must be as well, or NULL. */
static int parse_words(struct mb_options *o, int argc, char **argv, const struct mb_command *also, struct mb_err *e)
{
	static char *no_command[] = { NULL };
	struct argp argp = { argp_options(), on_key, NULL, NULL, NULL, NULL, NULL };
	struct parse p = { 1, o, e };
	const struct mb_command *c;
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
		refuse_word(argv[p.next < argc ? p.next : argc - 1], e);
	if (err)
		return -EINVAL;
	if (!o->command)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "which command? see memblame --help");
	c = mb_command_find(o->command);
	return c ? check_options(o, c, also, e) : refuse_command(o->command, e);
}

int mb_options_parse(struct mb_options *o, int argc, char **argv, struct mb_err *e)
{
	return parse_words(o, argc, argv, NULL, e);
}

int mb_options_rest(const struct mb_options *o, struct mb_options *out, const char *command,
		    char **argv, struct mb_err *e)
{
	const struct mb_command *also = command ? NULL : mb_command_find(o->command);
	char *words[64] = { (char *)"memblame" };
	int n = 1, err;

	if (command)
		words[n++] = (char *)command;
	for (; *argv && n < 63; argv++)
		words[n++] = *argv;
	err = parse_words(out, n, words, also, e);
	if (err)
		return err;
	if (out->sink == &mb_sink_text)
		out->sink = o->sink;
	for (size_t i = 0; i < o->n_used && out->n_used < MB_ARRAY_SIZE(out->used); i++)
		out->used[out->n_used++] = o->used[i];
	out->pace |= o->pace;
	out->own_events |= o->own_events;
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
	if (!out->n_pids) {
		memcpy(out->pids, o->pids, sizeof(out->pids));
		out->n_pids = o->n_pids;
	}
	if (!out->n_cgroups) {
		memcpy(out->cgroups, o->cgroups, sizeof(out->cgroups));
		out->n_cgroups = o->n_cgroups;
	}
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
	cfg->progress = !o->quiet && isatty(STDERR_FILENO);
	cfg->budget = o->budget_percent / 100;
	cfg->kern.governed = cfg->budget > 0;
	cfg->history = &o->history;
	cfg->duration_ns = (uint64_t)(o->duration_s * (double)MB_NS_PER_S);
	cfg->tick_ns = (uint64_t)(interval * (double)MB_NS_PER_S);
	cfg->kern.force_hooks = getenv("MEMBLAME_HOOKS");
	if (!parse_hash_ledgers(getenv("MEMBLAME_HASH_LEDGERS"), &cfg->kern.hash_entries))
		return mb_err_set(e, MB_EXIT_USAGE, 0,
				  "MEMBLAME_HASH_LEDGERS must be a number from 1 to 1048576");
	for (unsigned int id = 0; id < MB_FAM_MAX; id++) {
		/* doctor looks at all families; only leaks shows these */
		if ((o->families >> id & 1) && !mb_family_default_on(id) && strcmp(o->command, "doctor") != 0 &&
		    strcmp(o->command, "leaks") != 0)
			return mb_err_set(e, MB_EXIT_USAGE, 0, "the family %s is for leaks (--heap, --kernel)",
					  mb_family_by_id(id)->name);
	}
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
