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
#include "leaks/config.h"
#include "memblame/sink.h"
#include "oom/oom.h"
#include "model/ingest.h"

struct mb_cgroups;
struct mb_lookup;
struct mb_order;
struct mb_budget;
struct mb_oom_store;
struct mb_oom_collect;
struct mb_memcg_watch;
struct mb_child;
struct mb_leaks_session;
struct mb_recorder;
struct mb_systemfs;

struct mb_service;

struct mb_session;

struct mb_session_config {
	struct mb_kern_config kern;
	uint64_t tick_ns; /* between two harvests */
	uint64_t interval_ns; /* between two interval outputs; 0: none */
	uint64_t duration_ns; /* 0: until a signal, or the command ends */
	const char *out_path; /* NULL: standard output */
	bool text_to_stderr; /* without a file: standard output is the command's own */
	bool json;
	bool events; /* show single events (trace) */
	bool own_events; /* memblame's, too */
	bool pss; /* read each process's shares of memory, too */
	bool oom; /* show OOM kills, not accounts */
	bool reports; /* make reports of them, for that or for a recording */
	const char *state_dir; /* where reports are kept; NULL: nowhere */
	const struct mb_history_config *history; /* the flight history */
	const struct mb_leaks_config *leaks; /* show what grows, not accounts; NULL: do not */
	bool blame; /* show who is to blame, not accounts */
	double budget; /* what tracing may cost, as a share of one CPU; 0: anything */
	/* blame: victims shown are those of the selection in kern, but everything is traced */
	struct mb_victims victims;
	struct mb_recorder *recorder; /* record: where all goes too; NULL */
	const struct mb_service *service; /* serve: who goes along; NULL */
};

/* Somebody who goes along with a session without end (serve). Functions return 0, or -errno with *e set: it ends. */
struct mb_service {
	/* All is attached, and privileges are still there. */
	int (*attached)(void *arg, struct mb_session *s, struct mb_err *e);
	/* A tick is over; at is its moment. */
	int (*ticked)(void *arg, struct mb_session *s, const struct mb_sample_meta *at, struct mb_err *e);
	/* A kill has been reported for the first time. */
	void (*killed)(void *arg, struct mb_session *s, const struct mb_oom_kill *k);
	/* So many ms until it must be asked to go on though nothing happens; -1: never. Asked before each wait. */
	int (*wait_ms)(void *arg);
	/* SIGHUP. */
	int (*reload)(void *arg, struct mb_session *s, struct mb_err *e);
	void *arg;
};

struct mb_session {
	struct mb_session_config cfg;
	struct mb_kern *kern;
	struct mb_model model;
	struct mb_ingest ingest; /* of the model; see ingest.h */
	uint64_t taken_ns; /* all events before that have been taken out of the rings */
	struct mb_setup setup;
	const struct mb_sink *sink;
	struct mb_order *order; /* events that wait to be shown; NULL: none are */
	struct mb_out out;
	struct mb_cgroups *cgroups;
	struct mb_systemfs *systemfs;
	struct mb_lookup *lookup;
	struct mb_budget *budget; /* NULL: there is no budget */
	struct mb_oom_collect *oom_collect;
	struct mb_memcg_watch *memcgs;
	struct mb_oom_store *oom_store;
	struct mb_leaks_session *leaks;
	struct mb_child *child; /* run: the command; NULL */
	const char *command;
	int command_status;
	uint64_t start_ns;
	uint64_t interval_start_ns;
	uint64_t tick_began_ns;
	uint64_t end_ns; /* of the loop; 0 while it runs */
	struct mb_loop loop;
	struct mb_watch signals, timer, rings, log, child_end, budget_due; /* what it waits for */
	int signal; /* the one that ended the loop; 0: none */
	bool opened;
};

/*
 * Open the output, check privileges, load and attach, make the ledgers of what runs already.
 * child may be NULL. Returns 0 or -errno with *e set; close it in either case.
 */
int mb_session_open(struct mb_session *s, const struct mb_session_config *cfg,
		    struct mb_child *child, struct mb_err *e);

/* Let the command go; where its allocators are traced, their probes are there before it runs. 0 or -errno with *e set. */
int mb_session_release_child(struct mb_session *s, struct mb_err *e);

/* Run until duration, signal or the end of the command. Returns 0 or -errno with *e set. */
int mb_session_run(struct mb_session *s, struct mb_err *e);

/* run with -d: the command's time is over. Ask it to end, then make it. */
void mb_session_end_child(struct mb_session *s);

/* Take in everything that is still under way, then write the final document. */
int mb_session_finish(struct mb_session *s, struct mb_err *e);

/* Release all; the output is closed and its errors reported through e. */
int mb_session_close(struct mb_session *s, struct mb_err *e);

#endif
