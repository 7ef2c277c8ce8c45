/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The command line: what was given, and one function per command. The tables of commands and options: tables.h. */
#ifndef MB_CLI_H
#define MB_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "serve/config.h"
#include "session/session.h"

struct mb_options {
	const char *command;
	char **argv; /* the words after "--", NULL-terminated; if there are none, argv[0] is NULL */
	unsigned int pids[MB_MAX_PIDS];
	size_t n_pids;
	const char *cgroups[MB_MAX_CGROUPS];
	size_t n_cgroups;
	unsigned int families; /* one bit per family id */
	double duration_s; /* 0: not given */
	double interval_s; /* 0: not given */
	const char *out_path;
	double budget_percent; /* 0: not given */
	bool pss; /* also read each process's PSS */
	bool raw; /* record: also every raw record */
	bool own_events; /* trace, replay: also show events of memblame itself */
	bool pace; /* replay: at the pace of the recorded session */
	const char *from, *to; /* report: the window */
	const char *csv_path; /* report */
	bool timeline; /* report */
	const char *state_dir; /* oom, serve: directory of the OOM reports; NULL: not given */
	struct mb_history_config history;
	struct mb_leaks_config leaks;
	enum mb_stack_kind stacks; /* leaks: how stacks are unwound */
	const char *config_path; /* serve; NULL: not given */
	bool check_config; /* serve: only check the configuration */
	struct mb_serve_overrides serve; /* serve: options that override the configuration file */
	int used[64]; /* keys of the options that were given (tables.h) */
	size_t n_used;
	const struct mb_sink *sink; /* format of the output: text, or as an option says */
	bool quiet;
	bool verbose;
};

/*
 * Parse argv into *o. --help and --version print their text and exit. Returns 0, or -EINVAL with *e describing the
 * mistake (MB_EXIT_USAGE). Even then o->sink is set if --json was given.
 */
int mb_options_parse(struct mb_options *o, int argc, char **argv, struct mb_err *e);

/*
 * Parse options that follow a command's own word, e.g. the file of replay and report. *out is the result, plus those
 * options in *o that out did not set. If command is NULL, argv starts with the command; otherwise argv holds only
 * what follows it. Returns as mb_options_parse().
 */
int mb_options_rest(const struct mb_options *o, struct mb_options *out, const char *command,
		    char **argv, struct mb_err *e);

/*
 * Fill a session's configuration from the options: selection, families, output, times. Returns 0 or -errno with *e
 * set.
 */
int mb_options_session(const struct mb_options *o, struct mb_session_config *cfg, struct mb_err *e);

/* Was the option with this key (tables.h) given? */
bool mb_options_has(const struct mb_options *o, int key);

struct mb_command;

/* The command of this name, or NULL. */
const struct mb_command *mb_command_find(const char *name);

/* leaks, replay: options that go with another one. Returns 0, or -EINVAL with *e set if that is missing. */
int mb_leaks_options_fit(const struct mb_options *o, struct mb_err *e);

/*
 * Replays a recording through the view of the command view->command. out: open, or all zero: then it is opened as
 * view->out_path, once the recording is. The caller closes it. *status: as mb_replay(). Returns 0 or -errno with *e set.
 */
int mb_replay_view(const char *path, const struct mb_options *view, struct mb_out *out, int *status, struct mb_err *e);

/* The commands. Each returns the exit status; *e is set if something failed. */
int mb_cmd_top(const struct mb_options *o, struct mb_err *e);
int mb_cmd_run(const struct mb_options *o, struct mb_err *e);
int mb_cmd_trace(const struct mb_options *o, struct mb_err *e);
int mb_cmd_record(const struct mb_options *o, struct mb_err *e);
int mb_cmd_report(const struct mb_options *o, struct mb_err *e);
int mb_cmd_replay(const struct mb_options *o, struct mb_err *e);
int mb_cmd_blame(const struct mb_options *o, struct mb_err *e);
int mb_cmd_leaks(const struct mb_options *o, struct mb_err *e);
int mb_cmd_oom(const struct mb_options *o, struct mb_err *e);
int mb_cmd_serve(const struct mb_options *o, struct mb_err *e);
int mb_cmd_demo(const struct mb_options *o, struct mb_err *e);
int mb_cmd_doctor(const struct mb_options *o, struct mb_err *e);
int mb_cmd_help(const struct mb_options *o, struct mb_err *e);

#endif
