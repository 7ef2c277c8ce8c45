/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What there is on the command line: commands, options, and which option is for which command. Parsing, help, man
 * pages and completion are made from these tables.
 */
#ifndef MB_CLI_TABLES_H
#define MB_CLI_TABLES_H

#include "cli/cli.h"

/* One bit per command, in the order of the table. */
#define MB_CLI_COMMANDS(X) \
	X(top) X(run) X(trace) X(blame) X(leaks) X(oom) X(record) X(report) X(replay) X(serve) X(doctor) X(help) X(demo)

enum mb_cli_command {
#define MB_CLI_NUMBER(name) MB_CLI_##name,
	MB_CLI_COMMANDS(MB_CLI_NUMBER)
#undef MB_CLI_NUMBER
	MB_CLI_N,
};

#define MB_CLI_EXAMPLES 3u

struct mb_command {
	const char *name;
	const char *help; /* one line, for the list of commands */
	const char *words; /* what follows the command and its options; "" if nothing does */
	const char *about; /* paragraphs, separated by newlines */
	const char *examples[MB_CLI_EXAMPLES]; /* each works when it is pasted */
	bool takes_words; /* accepts "-- CMD", or words of its own (argv) */
	/* Returns the exit status. *e is set if something failed. */
	int (*run)(const struct mb_options *o, struct mb_err *e);
};

/* What the argument of an option is completed with. */
enum mb_cli_completion {
	MB_CLI_COMPLETES_NOTHING,
	MB_CLI_COMPLETES_PID,
	MB_CLI_COMPLETES_CGROUP,
	MB_CLI_COMPLETES_FAMILY,
	MB_CLI_COMPLETES_FILE,
	MB_CLI_COMPLETES_FOLDER,
	MB_CLI_COMPLETES_STACKS,
};

struct mb_cli_option {
	const char *name; /* long name */
	int key; /* its letter, or a number above 255 */
	const char *arg; /* name of its argument; NULL: it has none */
	enum mb_cli_completion completes;
	uint32_t commands; /* one bit per command that it is for */
	const char *initial; /* what holds without it; NULL: nothing to say */
	const char *help;
};

/* Keys of options without a letter. */
enum {
	MB_OPT_JSON = 256,
	MB_OPT_QUIET,
	MB_OPT_VERBOSE,
	MB_OPT_VERSION,
	MB_OPT_PSS,
	MB_OPT_RAW,
	MB_OPT_PACE,
	MB_OPT_FROM,
	MB_OPT_TO,
	MB_OPT_CSV,
	MB_OPT_TIMELINE,
	MB_OPT_STATE_DIR,
	MB_OPT_HISTORY,
	MB_OPT_HEAP,
	MB_OPT_KERNEL,
	MB_OPT_STACKS,
	MB_OPT_SAMPLE,
	MB_OPT_PAGES,
	MB_OPT_FOLDED,
	MB_OPT_SVG,
	MB_OPT_DIFF,
	MB_OPT_MAPS,
	MB_OPT_SERIES,
	MB_OPT_CONFIG,
	MB_OPT_CHECK_CONFIG,
	MB_OPT_LISTEN,
	MB_OPT_BUDGET,
	MB_OPT_SELF,
};

/* Command number i; NULL: there are no more. */
const struct mb_command *mb_command_at(size_t i);
/* Its number. */
enum mb_cli_command mb_command_number(const struct mb_command *c);

/* Option number i; NULL: there are no more. */
const struct mb_cli_option *mb_cli_option_at(size_t i);
/* The option with this key; NULL: none. */
const struct mb_cli_option *mb_cli_option(int key);

/* Is the option for this command? */
bool mb_cli_applies(const struct mb_cli_option *o, const struct mb_command *c);

/* "-d, --duration TIME". Returns buf, which has size bytes. */
const char *mb_cli_option_text(const struct mb_cli_option *o, char *buf, size_t size);

/* The command or option (without "--") whose name is most like word; NULL: none is like it. */
const char *mb_cli_command_like(const char *word);
const char *mb_cli_option_like(const char *word);

#endif
