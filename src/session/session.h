/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A session: the kernel side, the model and one sink, tied together by one loop. Commands set it
 * up, say what to do at each interval, and tear it down.
 */
#ifndef MB_SESSION_SESSION_H
#define MB_SESSION_SESSION_H

#include <signal.h>

#include "base/loop.h"
#include "kern/kern.h"
#include "model/ingest.h"
#include "session/feature.h"

struct mb_cgroups;
struct mb_lookup;
struct mb_budget;
struct mb_oom_store;
struct mb_child;
struct mb_recorder;
struct mb_systemfs;

struct mb_service;

struct mb_session;

struct mb_session_config {
	struct mb_kern_config kern;
	uint64_t tick_ns; /* between two ticks */
	uint64_t interval_ns; /* between two interval outputs; 0: none */
	uint64_t duration_ns; /* 0: until a signal, or until the command ends */
	const char *out_path; /* NULL: standard output */
	/* without out_path, write text to standard error, as standard output belongs to the command */
	bool text_to_stderr;
	bool keeps_status; /* the exit status is the command's, even if the output could not be written */
	struct mb_show_config show; /* with its sink; the session sets what follows from the rest */
	bool pss; /* also read each process's PSS */
	/* say on standard error how far it is, at each tick; if nothing else is written before the end */
	bool progress;
	const char *state_dir; /* where OOM reports are stored; NULL: nowhere */
	const struct mb_history_config *history; /* configuration of the flight history */
	double budget; /* limit for the cost of tracing, as a share of one CPU; 0: no limit */
	/* blame: everything is traced, but only victims in the selection of kern are shown */
	struct mb_victims victims;
	struct mb_recorder *recorder; /* record: the recording to write to; else NULL */
	const struct mb_service *service; /* serve: callbacks of the service; else NULL */
};

/*
 * Callbacks of a service that runs in a session without end (serve). Those that return int return 0, or -errno with
 * *e set, which ends the session.
 */
struct mb_service {
	/* All hooks are attached, and privileges are not dropped yet. */
	int (*attached)(void *arg, struct mb_session *s, struct mb_err *e);
	/* A tick is complete; at is its sample metadata. */
	int (*ticked)(void *arg, struct mb_session *s, const struct mb_sample_meta *at, struct mb_err *e);
	/* An OOM kill has been reported for the first time. */
	void (*killed)(void *arg, struct mb_session *s, const struct mb_oom_kill *k);
	/* ms until the service needs to run even without events; -1: never. Called before each wait. */
	int (*wait_ms)(void *arg);
	/* SIGHUP was received. */
	int (*reload)(void *arg, struct mb_session *s, struct mb_err *e);
	void *arg;
};

struct mb_session {
	struct mb_session_config cfg;
	struct mb_kern *kern;
	struct mb_model model;
	struct mb_ingest ingest; /* feeds the model; see ingest.h */
	uint64_t drained_ns; /* all events before this time have been drained from the rings */
	struct mb_setup setup;
	struct mb_driver driver; /* shows the model */
	struct mb_out out;
	struct mb_cgroups *cgroups;
	struct mb_systemfs *systemfs;
	struct mb_lookup *lookup;
	struct mb_budget *budget; /* NULL: no budget */
	/* by number in the table of features: is it part of this session, and its state */
	bool has[MB_FEATURES];
	void *state[MB_FEATURES];
	struct mb_child *child; /* run: the command; else NULL */
	const char *command;
	int command_status;
	uint64_t start_ns;
	uint64_t tick_began_ns;
	uint64_t end_ns; /* when the loop ended; 0 while it runs */
	struct mb_drop unawaited; /* at the end: threads of the command whose last faults have not arrived */
	struct mb_loop loop;
	struct mb_watch signals, timer, rings, child_end, budget_due, features[MB_FEATURES]; /* what the loop waits for */
	int signal; /* the signal that ended the loop; 0: none */
	bool opened;
};

/*
 * Open the output, check privileges, load and attach the BPF programs, and make the ledgers of tasks that already
 * run. child may be NULL. Returns 0 or -errno with *e set; call mb_session_close() in either case.
 */
int mb_session_open(struct mb_session *s, const struct mb_session_config *cfg,
		    struct mb_child *child, struct mb_err *e);

/*
 * Resume the command. If its allocators are traced, their probes are attached before it runs. Returns 0 or -errno
 * with *e set.
 */
int mb_session_release_child(struct mb_session *s, struct mb_err *e);

/* Run until the duration is over, a signal arrives or the command ends. Returns 0 or -errno with *e set. */
int mb_session_run(struct mb_session *s, struct mb_err *e);

/* run with -d: the command's time is over. Ask the command to end, then kill it. */
void mb_session_end_child(struct mb_session *s);

/* Ingest everything that is still pending, then write the final document. Returns 0 or -errno with *e set. */
int mb_session_finish(struct mb_session *s, struct mb_err *e);

/* Free everything and close the output. Returns 0, or -errno with *e set if writing the output failed. */
int mb_session_close(struct mb_session *s, struct mb_err *e);

#endif
