// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* OOM kill reports within a session or a replay: makes, shows and stores each report when it is ready. */
#include "session/oom_reporter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/memcg_watch.h"
#include "host/lookup.h"
#include "host/procfs.h"
#include "oom/collect.h"
#include "oom/store.h"
#include "oom/view.h"
#include "session/feature.h"
#include "session/internal.h"

struct reporter {
	struct mb_oom_collect *collect;
	struct mb_memcg_watch *memcgs;
	struct mb_oom_store *store; /* NULL: reports are not stored */
};

/*
 * Open the directory that reports are stored in. `oom` continues without it: it still shows its reports, and says at
 * the end that they were not stored. For a service it is an error, as a service has no other output for reports.
 */
static int open_store(const struct mb_session *s, struct reporter *r, struct mb_err *e)
{
	struct mb_err why = { 0 };
	int err = s->cfg.state_dir ? mb_oom_store_open(&r->store, s->cfg.state_dir, true, &why) : 0;

	if (!err)
		return 0;
	if (s->cfg.service || why.exit == MB_EXIT_USAGE)
		return mb_err_set(e, why.exit, 0, "%s", why.text);
	mb_oom_store_close(r->store);
	r->store = NULL;
	mb_warn("%s; OOM kills are reported here, but not stored", why.text);
	return 0;
}

static bool wanted(const struct mb_show_config *cfg)
{
	return cfg->oom || cfg->reports;
}

static bool shown(const struct mb_show_config *cfg)
{
	return cfg->oom;
}

static int subscribe(struct mb_model *m, const struct mb_show_config *cfg)
{
	(void)cfg;
	return mb_oom_new(m) ? 0 : -ENOMEM;
}

static int open_reporter(struct mb_session *s, void **state, struct mb_err *e)
{
	struct reporter *r = calloc(1, sizeof(*r));

	*state = r;
	if (r) {
		r->collect = mb_oom_collect_open();
		r->memcgs = mb_memcg_watch_open();
	}
	if (!r || !r->collect || !r->memcgs)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for reports");
	return open_store(s, r, e);
}

static void opened(struct mb_session *s, void *state)
{
	(void)state;
	if (!s->cfg.show.oom)
		return;
	mb_oom_collect_harden(!s->cfg.service); /* a service must stay small */
	mb_history_lock(s->model.history);
}

static void close_reporter(void *state)
{
	struct reporter *r = state;

	if (!r)
		return;
	mb_memcg_watch_close(r->memcgs);
	mb_oom_collect_close(r->collect);
	mb_oom_store_close(r->store);
	free(r);
}

struct mb_oom_store *mb_oom_reporter_store(const struct mb_session *s)
{
	const struct reporter *r = mb_session_state(s, &mb_feature_oom);

	return r ? r->store : NULL;
}

static int reporter_fd(const void *state)
{
	return mb_oom_collect_fd(((const struct reporter *)state)->collect);
}

static uint64_t due_ns(const struct mb_session *s, const void *state, uint64_t now_ns)
{
	(void)state;
	return mb_oom_next_ns(mb_oom_of(&s->model), now_ns);
}

static bool take(void *state, const void *data, size_t len)
{
	mb_memcg_watch_event(((struct reporter *)state)->memcgs, data, len);
	return false;
}

static void ticked(struct mb_session *s, void *state, uint64_t drained_ns, uint64_t t_ns)
{
	struct reporter *r = state;

	(void)drained_ns;
	mb_memcg_watch_tick(r->memcgs, &s->ingest, s->cgroups, t_ns);
	mb_oom_collect_tick(r->collect);
}

static void keep_report(struct mb_session *s, const struct reporter *r, struct mb_oom_kill *k, const struct mb_snapshot *snap,
			const struct mb_oom_culprit *culprit)
{
	int err = mb_oom_store_put(r->store, &k->number, snap, k, culprit);

	if (!err)
		return;
	mb_oom_of(&s->model)->not_saved++;
	mb_warn("the report of the kill of pid %u could not be stored in '%s/oom': %s",
		k->first.victim_tgid, s->cfg.state_dir, strerror(-err));
}

/* Store the report with what is known now, if reports are stored. */
static void keep(struct mb_session *s, const struct reporter *r, struct mb_oom_kill *k, struct mb_snapshot *snap,
		 struct mb_oom_culprit *culprit, const struct mb_summary *sum)
{
	mb_snapshot_total(snap, &s->model, &s->setup, sum);
	mb_oom_find_culprit(&s->model, k, culprit);
	if (r->store)
		keep_report(s, r, k, snap, culprit);
}

/*
 * Count the kill once its outcome is known or can no longer become known. A victim that was exiting anyway is not
 * counted.
 */
static void count_kill(struct mb_session *s, struct mb_oom_kill *k)
{
	enum mb_oom_kill_outcome outcome = mb_oom_kill_outcome(mb_oom_of(&s->model), k);

	if (k->counted || (outcome == MB_OOM_OUTCOME_NOT_KNOWN && !k->settled))
		return;
	k->counted = true;
	if (s->cfg.service && outcome != MB_OOM_WAS_ENDING)
		s->cfg.service->killed(s->cfg.service->arg, s, k);
}

/* Make one report. It is shown once, but stored each time it changes; function names are resolved when that is safe. */
static int report_kill(struct mb_session *s, const struct reporter *r, struct mb_oom_kill *k, struct mb_err *e)
{
	struct mb_oom_report report = { .kill_t_ns = k->first.h.t_ns };
	bool first = !k->shown, shows = r->store || s->cfg.show.oom; /* a recording needs no report: replay makes it */
	struct mb_oom_culprit culprit;
	struct mb_snapshot snap;
	struct mb_summary sum;

	if (first)
		mb_session_read_system(s);
	mb_session_summary(s, &sum);
	report.at = sum.at;
	if (shows)
		keep(s, r, k, &snap, &culprit, &sum);
	if (first && mb_oom_collect_functions(r->collect, &s->ingest, k) && shows)
		keep(s, r, k, &snap, &culprit, &sum);
	if (first)
		mb_ingest(&s->ingest, MB_INGEST_OOM_REPORT, &report, sizeof(report));
	count_kill(s, k);
	k->shown = true;
	/* the outcome of the kill may still become known */
	k->changed = first && mb_oom_kill_outcome(mb_oom_of(&s->model), k) == MB_OOM_OUTCOME_NOT_KNOWN;
	if (first && shows && !r->store && s->cfg.state_dir)
		mb_oom_of(&s->model)->not_saved++;
	if (!first || !s->cfg.show.oom)
		return 0;
	snap.color = mb_driver_wants_color(&s->driver);
	mb_oom_show(s->cfg.show.sink, &s->out, &snap, k, &culprit);
	return mb_session_flush(s, e);
}

/*
 * Do a tick so that the history reaches up to the kill, except if the whole machine is out of memory: then no extra
 * load.
 */
static int tick_for_kill(struct mb_session *s, const struct mb_oom_kill *k, struct mb_err *e)
{
	return k->first.constraint == MB_OOM_GLOBAL || s->model.history->last_ns ? 0 : mb_session_collect(s, e);
}

/*
 * Ingest the kernel log with the contents of the rings and make the reports that are ready, one at a time so that the
 * rings are drained in between. last: also all unfinished ones.
 */
static int make(struct mb_session *s, struct reporter *r, bool last, struct mb_err *e)
{
	static const struct mb_log_line nothing;
	struct mb_oom_kill *k, *fresh;
	int err = 0;

	/* ingest an empty line: it marks that a log exists, since reports may wait for it */
	if (!mb_oom_of(&s->model)->has_log && mb_oom_collect_fd(r->collect) >= 0)
		mb_ingest(&s->ingest, MB_INGEST_LOG, &nothing, sizeof(nothing));
	do {
		/* all kills in the log are in the urgent ring, which is fully drained each time */
		mb_oom_collect_read(r->collect);
		err = mb_session_drain(s, e);
		if (err)
			return err;
		mb_oom_collect_ingest(r->collect, &s->ingest);
		fresh = mb_oom_needs_lookup(mb_oom_of(&s->model));
		if (fresh) {
			/* stacks first, because the victim is exiting */
			mb_oom_collect_stacks(r->collect, &s->ingest);
			mb_procfs_identify(&s->ingest, s->cgroups);
			mb_oom_collect_cgroups(&s->ingest, s->cgroups);
			mb_memcg_watch_kill(r->memcgs, &s->ingest, fresh->first.memcg);
			err = tick_for_kill(s, fresh, e);
		}
		if (err)
			return err;
		k = mb_oom_ready(&s->model, last ? UINT64_MAX : mb_now_ns());
		err = k ? report_kill(s, r, k, e) : 0;
	} while (k && !err);
	return err;
}

static int turn(struct mb_session *s, void *state, struct mb_err *e)
{
	return make(s, state, false, e);
}

/* Make all remaining reports, and fail if any was lost. */
static int end(struct mb_session *s, void *state, struct mb_err *e)
{
	const struct mb_oom *o = mb_oom_of(&s->model);
	int err = make(s, state, true, e);

	if (!err && s->cfg.show.oom && (o->not_saved || o->kills_left_out))
		err = mb_err_set(e, MB_EXIT_FAILED, 0,
				 "%llu reports could not be stored in '%s/oom', %llu kills came too fast for one",
				 (unsigned long long)o->not_saved, s->cfg.state_dir,
				 (unsigned long long)o->kills_left_out);
	return err;
}

/* A replay shows the kill as it is known at this record. */
static void replayed(const struct mb_driver *d, enum mb_ingest_type type, const void *data)
{
	const struct mb_oom_report *report = data;
	struct mb_oom_kill *k = type == MB_INGEST_OOM_REPORT ? mb_oom_find(mb_oom_of(d->model), report->kill_t_ns) : NULL;
	struct mb_oom_culprit culprit;
	struct mb_summary sum = { 0 };
	struct mb_snapshot snap;

	if (!k || k->shown)
		return;
	k->shown = true;
	sum.at = report->at;
	sum.at.time[sizeof(sum.at.time) - 1] = '\0';
	mb_snapshot_total(&snap, d->model, d->setup, &sum);
	snap.color = mb_driver_wants_color(d);
	mb_oom_find_culprit(d->model, k, &culprit);
	if (d->cfg.check_kill)
		d->cfg.check_kill(k, &culprit);
	mb_oom_show(d->cfg.sink, d->out, &snap, k, &culprit);
}

const struct mb_feature mb_feature_oom = {
	.name = "oom",
	.wanted = wanted,
	.subscribe = subscribe,
	.shown = shown,
	.replayed = replayed,
	.open = open_reporter,
	.opened = opened,
	.take = take,
	.ticked = ticked,
	.turn = turn,
	.fd = reporter_fd,
	.due_ns = due_ns,
	.end = end,
	.close = close_reporter,
};
