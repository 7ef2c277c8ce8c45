/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Shows a model in a sink: single events in order of time, and the accounts or a feature, at intervals and at the end.
 * A session and a replay show through it, so that both write the same for the same records.
 */
#ifndef MB_SESSION_DRIVER_H
#define MB_SESSION_DRIVER_H

#include "base/err.h"
#include "leaks/config.h"
#include "memblame/sink.h"
#include "model/ingest.h"
#include "oom/oom.h"

struct mb_feature;
struct mb_order;

/* What is shown. */
struct mb_show_config {
	const struct mb_sink *sink;
	bool events; /* show single events (trace) */
	bool own_events; /* also show events of the memblame that traces */
	uint32_t families; /* events of these families are shown, one bit per family id */
	bool oom; /* show OOM kills, not accounts */
	bool reports; /* make reports of OOM kills, to show them or for a recording */
	bool blame; /* show blame, not accounts */
	const struct mb_leaks_config *leaks; /* follow growth, to show it or for a recording; NULL: do not */
	bool show_leaks; /* show growth, not accounts */
	/* blame: everything is traced, but only these victims are shown; NULL: all */
	const struct mb_victims *victims;
	const uint32_t *pids; /* processes that were selected by pid */
	uint32_t n_pids;
	bool history; /* show the flight history */
	/* for tests: called for each kill that a replay shows; or NULL */
	void (*check_kill)(const struct mb_oom_kill *k, const struct mb_oom_culprit *c);
};

struct mb_driver {
	struct mb_show_config cfg;
	struct mb_model *model;
	const struct mb_setup *setup;
	struct mb_out *out;
	const struct mb_feature *shown; /* instead of the accounts; NULL: the accounts */
	void *state; /* of that feature, in a session */
	struct mb_order *order; /* events that wait to be shown in order; NULL: none are shown */
	uint32_t own_pid; /* of the memblame that traces; 0: not known */
	uint64_t interval_start_ns;
};

/*
 * Connects the model, which has no records yet, with its features and the driver. All three pointers must stay valid
 * until mb_driver_close(). Returns 0 or -ENOMEM; call mb_driver_close() in either case.
 */
int mb_driver_open(struct mb_driver *d, const struct mb_show_config *cfg, struct mb_model *m, const struct mb_setup *setup,
		   struct mb_out *out);

/* Frees what the driver holds; the model is freed by its owner. */
void mb_driver_close(struct mb_driver *d);

/* Shows the events from before until_ns. No earlier event may arrive later. */
void mb_driver_events(struct mb_driver *d, uint64_t until_ns);

/* An interval begins at t_ns. */
void mb_driver_begin(struct mb_driver *d, uint64_t t_ns);

/* Shows the interval that ends now, and begins the next one at next_ns. Returns 0 or -errno with *e set. */
int mb_driver_interval(struct mb_driver *d, const struct mb_sample_meta *at, uint64_t next_ns, struct mb_err *e);

/* Shows the whole time, or the end of the events. Returns 0 or -errno with *e set. */
int mb_driver_end(struct mb_driver *d, const struct mb_summary *sum, struct mb_err *e);

/* Is the output a terminal that supports colour? */
bool mb_driver_wants_color(const struct mb_driver *d);

#endif
