// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* OOM kill reports within a session. */
#include "session/oom_reporter.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/memcg_watch.h"
#include "host/lookup.h"
#include "host/procfs.h"
#include "oom/collect.h"
#include "oom/store.h"
#include "oom/view.h"
#include "session/internal.h"

/*
 * Open the directory that reports are stored in. `oom` continues without it: it still shows its reports, and says at
 * the end that they were not stored. For a service it is an error, as a service has no other output for reports.
 */
static int open_store(struct mb_session *s, struct mb_err *e)
{
	struct mb_err why = { 0 };
	int err = s->cfg.state_dir ? mb_oom_store_open(&s->oom_store, s->cfg.state_dir, true, &why) : 0;

	if (!err)
		return 0;
	if (s->cfg.service || why.exit == MB_EXIT_USAGE)
		return mb_err_set(e, why.exit, 0, "%s", why.text);
	mb_oom_store_close(s->oom_store);
	s->oom_store = NULL;
	mb_warn("%s; OOM kills are reported here, but not stored", why.text);
	return 0;
}

int mb_oom_reporter_open(struct mb_session *s, struct mb_err *e)
{
	s->oom_collect = mb_oom_collect_open();
	s->memcgs = mb_memcg_watch_open();
	if (!s->oom_collect || !mb_oom_new(&s->model) || !s->memcgs)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for reports");
	return open_store(s, e);
}

void mb_oom_reporter_close(struct mb_session *s)
{
	mb_memcg_watch_close(s->memcgs);
	mb_oom_collect_close(s->oom_collect);
	mb_oom_store_close(s->oom_store);
}

int mb_oom_reporter_fd(const struct mb_session *s)
{
	return mb_oom_collect_fd(s->oom_collect);
}

static void keep_report(struct mb_session *s, struct mb_oom_kill *k, const struct mb_snapshot *snap,
			const struct mb_oom_culprit *culprit)
{
	int err = mb_oom_store_put(s->oom_store, &k->number, snap, k, culprit);

	if (!err)
		return;
	mb_oom_of(&s->model)->not_saved++;
	mb_warn("the report of the kill of pid %u could not be kept in '%s/oom': %s",
		k->first.victim_tgid, s->cfg.state_dir, strerror(-err));
}

/* Store the report with what is known now, if reports are stored. */
static void keep(struct mb_session *s, struct mb_oom_kill *k, struct mb_snapshot *snap,
		 struct mb_oom_culprit *culprit, const struct mb_summary *sum)
{
	mb_snapshot_total(snap, &s->model, &s->setup, sum);
	mb_oom_find_culprit(&s->model, k, culprit);
	if (s->oom_store)
		keep_report(s, k, snap, culprit);
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
static int report_kill(struct mb_session *s, struct mb_oom_kill *k, struct mb_err *e)
{
	struct mb_oom_report report = { .kill_t_ns = k->first.h.t_ns };
	bool first = !k->shown, shows = s->oom_store || s->cfg.oom; /* a recording needs no report: replay makes it */
	struct mb_oom_culprit culprit;
	struct mb_snapshot snap;
	struct mb_summary sum;

	if (first)
		mb_session_read_system(s);
	mb_session_summary(s, &sum);
	report.at = sum.at;
	if (shows)
		keep(s, k, &snap, &culprit, &sum);
	if (first && mb_oom_collect_functions(s->oom_collect, &s->ingest, k) && shows)
		keep(s, k, &snap, &culprit, &sum);
	if (first)
		mb_ingest(&s->ingest, MB_INGEST_OOM_REPORT, &report, sizeof(report));
	count_kill(s, k);
	k->shown = true;
	/* the outcome of the kill may still become known */
	k->changed = first && mb_oom_kill_outcome(mb_oom_of(&s->model), k) == MB_OOM_OUTCOME_NOT_KNOWN;
	if (first && shows && !s->oom_store && s->cfg.state_dir)
		mb_oom_of(&s->model)->not_saved++;
	if (!first || !s->cfg.oom)
		return 0;
	snap.color = mb_session_wants_color(s);
	mb_oom_show(s->sink, &s->out, &snap, k, &culprit);
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
 * rings are drained in between.
 */
int mb_oom_reporter_make(struct mb_session *s, bool last, struct mb_err *e)
{
	static const struct mb_log_line nothing;
	struct mb_oom_kill *k, *fresh;
	int err = 0;

	/* ingest an empty line: it marks that a log exists, since reports may wait for it */
	if (!mb_oom_of(&s->model)->has_log && mb_oom_collect_fd(s->oom_collect) >= 0)
		mb_ingest(&s->ingest, MB_INGEST_LOG, &nothing, sizeof(nothing));
	do {
		/* all kills in the log are in the urgent ring, which is fully drained each time */
		mb_oom_collect_read(s->oom_collect);
		err = mb_session_drain(s, e);
		if (err)
			return err;
		mb_oom_collect_ingest(s->oom_collect, &s->ingest);
		fresh = mb_oom_needs_lookup(mb_oom_of(&s->model));
		if (fresh) {
			/* stacks first, because the victim is exiting */
			mb_oom_collect_stacks(s->oom_collect, &s->ingest);
			mb_procfs_identify(&s->ingest, s->cgroups);
			mb_oom_collect_cgroups(&s->ingest, s->cgroups);
			mb_memcg_watch_kill(s->memcgs, &s->ingest, fresh->first.memcg);
			err = tick_for_kill(s, fresh, e);
		}
		if (err)
			return err;
		k = mb_oom_ready(&s->model, last ? UINT64_MAX : mb_now_ns());
		err = k ? report_kill(s, k, e) : 0;
	} while (k && !err);
	return err;
}

/* Make all remaining reports, and fail if any was lost. */
int mb_oom_reporter_end(struct mb_session *s, struct mb_err *e)
{
	const struct mb_oom *o = mb_oom_of(&s->model);
	int err = mb_oom_reporter_make(s, true, e);

	if (!err && s->cfg.oom && (o->not_saved || o->kills_left_out))
		err = mb_err_set(e, MB_EXIT_FAILED, 0,
				 "%llu reports could not be kept in '%s/oom', %llu kills came too fast for one",
				 (unsigned long long)o->not_saved, s->cfg.state_dir,
				 (unsigned long long)o->kills_left_out);
	return err;
}
