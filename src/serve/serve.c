// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* serve: a session without end that records, reports OOM kills and answers over HTTP; one thread, one loop. */
#include "serve/serve.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/folders.h"
#include "base/log.h"
#include "host/procfs.h"
#include "oom/store.h"
#include "serve/internal.h"
#include "serve/listen.h"
#include "serve/notify.h"
#include "session/internal.h"
#include "session/budget.h"
#include "session/oom_reporter.h"

#define RECORDING "memblame.db" /* in the state directory */
#define RETRY_NS (10 * MB_NS_PER_S) /* between attempts to open the recording if the disk was full at the start */
#define FREE_RETAINED (2u << 20) /* free bytes of heap that are not trimmed, for the next ticks */
#define ENDED_RETAINED 256u /* ended processes that are retained, for summaries and OOM reports */

/* ---- the recording ---- */

static struct mb_retention retention(const struct mb_serve_config *c)
{
	return (struct mb_retention){ .max_age_ns = c->record_age_ns, .max_bytes = c->record_bytes };
}

static int open_recording(struct mb_serve *s, struct mb_err *e)
{
	struct mb_retention keep = retention(&s->cfg);
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%s/" RECORDING, s->cfg.state_dir);
	err = mb_recorder_open_retained(&s->recorder, path, &keep, e);
	if (err) {
		mb_recorder_close(s->recorder, &(struct mb_err){ 0 });
		s->recorder = NULL;
	}
	return err;
}

static void begin_recording(struct mb_serve *s)
{
	mb_recorder_watch(s->recorder, &s->session.model);
	mb_session_describe(&s->session, s->recorder);
	s->session.ingest.keep = mb_recorder_keep;
	s->session.ingest.keep_arg = s->recorder;
	s->recorded_ns = 0;
}

static void end_recording(struct mb_serve *s)
{
	struct mb_err e = { 0 };

	s->session.ingest.keep = NULL;
	if (mb_recorder_close(s->recorder, &e))
		mb_warn("%s", e.text);
	s->recorder = NULL;
}

/* Retry opening the recording, if the disk was full at the start. */
static void try_recording(struct mb_serve *s, uint64_t now_ns)
{
	struct mb_err e = { 0 };

	if (s->recorder || !s->cfg.record_enabled || now_ns < s->next_try_ns)
		return;
	s->next_try_ns = now_ns + RETRY_NS;
	if (open_recording(s, &e))
		return;
	begin_recording(s);
	mb_warn("there is room on the disk again: it is recorded from now on");
}

/*
 * Trim the heap. After the start, or after many processes at once, much of it is free but fragmented, and malloc does
 * not return that by itself.
 */
static void trim_heap(void)
{
	if (mallinfo2().fordblks > FREE_RETAINED)
		malloc_trim(0);
}

/* Write a sample to the recording. Disk failures do not end the session: see mb_recorder_open_retained(). */
static int record(struct mb_serve *s, const struct mb_sample_meta *at, struct mb_err *e)
{
	try_recording(s, at->t_ns);
	if (!s->recorder || at->t_ns + s->cfg.interval_ns / 2 < s->recorded_ns + s->cfg.record_interval_ns)
		return 0;
	s->recorded_ns = at->t_ns;
	trim_heap();
	mb_procfs_memory(&s->session.ingest, true);
	return mb_recorder_tick(s->recorder, &s->session.model, at, e);
}

/* ---- callbacks of the session ---- */

static void on_forget(void *arg, struct mb_model *m, struct mb_process *p)
{
	struct mb_serve *s = arg;

	mb_metrics_forget(s->metrics, m, p);
	if (s->recorder)
		mb_recorder_forget(s->recorder, p);
}

static int on_http(void *arg, struct mb_err *e)
{
	struct mb_serve *s = arg;

	(void)e;
	mb_http_run(s->http);
	return 0;
}

static int attached(void *arg, struct mb_session *session, struct mb_err *e)
{
	struct mb_oom_store *store = mb_oom_reporter_store(session);
	struct mb_serve *s = arg;
	int err;

	session->model.on_forget = on_forget;
	session->model.forgets = true;
	session->model.on_forget_arg = s;
	if (store)
		mb_oom_store_keep(store, (uint32_t)s->cfg.oom_keep);
	if (s->recorder)
		begin_recording(s);
	s->http_watch = (struct mb_watch){ mb_http_fd(s->http), on_http, s };
	err = mb_loop_add(&session->loop, &s->http_watch);
	return err ? mb_err_set(e, MB_EXIT_FAILED, err, "cannot wait for requests") : 0;
}

/*
 * Notify the service manager: that memblame is ready, after the first tick; then that it is alive, twice per watchdog
 * interval.
 */
static void tell_manager(struct mb_serve *s)
{
	char text[160];

	snprintf(text, sizeof(text), "%sWATCHDOG=1\nSTATUS=%u processes, %llu events lost", s->ready ? "" : "READY=1\n",
		 s->session.model.n_processes, (unsigned long long)mb_lost_total(&s->session.model.lost));
	mb_notify(text);
	s->reported_ns = mb_now_ns();
	s->ready = true;
}

/* ms until the next notification is due; -1: never. */
static int manager_waits_ms(const struct mb_serve *s, uint64_t now_ns)
{
	uint64_t due_ns = s->reported_ns + s->watchdog_ns / 2;

	if (!s->ready || !s->watchdog_ns)
		return -1;
	return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns) / 1000000 + 1);
}

/* ms until something is due by the clock: a notification of the service manager, or the timeout of a client. */
static int wait_ms(void *arg)
{
	struct mb_serve *s = arg;
	int manager = manager_waits_ms(s, mb_now_ns()), clients = mb_http_timeout_ms(s->http);

	if (!manager) {
		tell_manager(s);
		manager = manager_waits_ms(s, mb_now_ns());
	}
	if (!clients) {
		mb_http_run(s->http);
		clients = mb_http_timeout_ms(s->http);
	}
	return manager >= 0 && (clients < 0 || manager < clients) ? manager : clients;
}

static int ticked(void *arg, struct mb_session *session, const struct mb_sample_meta *at, struct mb_err *e)
{
	struct mb_serve *s = arg;

	mb_metrics_tick(s->metrics, &session->model);
	if (record(s, at, e))
		return -EIO;
	mb_model_interval(&session->model);
	mb_model_forget_ended(&session->model, ENDED_RETAINED);
	mb_serve_answers_drop(s);
	if (!s->ticks++)
		trim_heap();
	s->ticked_ns = mb_now_ns();
	s->tick_ns = s->ticked_ns - session->tick_began_ns;
	if (!s->ready)
		tell_manager(s);
	return 0;
}

static void killed(void *arg, struct mb_session *session, const struct mb_oom_kill *k)
{
	struct mb_serve *s = arg;

	const char *constraint = mb_oom_is_by_process(k) ? "process" : mb_oom_constraint_name(k);

	for (uint32_t i = 0; i < k->n_victims; i++)
		mb_metrics_oom(s->metrics, mb_oom_cgroup_path(&session->model, k, k->victims[i].cgroup), constraint);
}

/* ---- reload ---- */

static void print_diagnostics(const struct mb_config_diagnostics *m)
{
	char text[512];

	for (unsigned int i = 0; i < m->n; i++)
		mb_warn("%s", mb_config_diagnostic(m, i, text, sizeof(text)));
	if (m->total > m->n)
		mb_warn("%s: %u mistakes more", m->path, m->total - m->n);
}

static int listen_at(struct mb_serve *s, const struct mb_serve_config *c, struct mb_err *e)
{
	char text[MB_ADDRESS_TEXT];
	int err = mb_http_listen(s->http, (const char *const *)c->listen.list, c->listen.n, e);

	for (size_t i = 0; !err && i < mb_http_addresses(s->http); i++)
		mb_verbose("listening at %s", mb_http_address(s->http, i, text));
	return err;
}

static struct mb_metrics_config metrics_config(const struct mb_serve_config *c)
{
	return (struct mb_metrics_config){
		.top = (uint32_t)c->metrics_top,
		.cgroups = (uint32_t)c->metrics_cgroups,
		.processes = c->metrics_processes,
	};
}

/* s->cfg has the reloaded configuration: apply it to the running parts. */
static void apply(struct mb_serve *s, struct mb_session *session)
{
	struct mb_metrics_config metrics = metrics_config(&s->cfg);
	struct mb_retention keep = retention(&s->cfg);
	struct mb_oom_store *store = mb_oom_reporter_store(session);

	mb_log_set_level((enum mb_log_level)s->cfg.log);
	mb_metrics_configure(s->metrics, &metrics);
	if (session->budget)
		mb_budget_set_budget(session->budget, (double)s->cfg.budget_ppm / 1e6);
	else if (s->cfg.budget_ppm)
		mb_warn("a budget takes a restart where there was none at the start");
	if (s->recorder)
		mb_recorder_retain(s->recorder, &keep);
	if (store)
		mb_oom_store_keep(store, (uint32_t)s->cfg.oom_keep);
	if (session->cfg.tick_ns == s->cfg.interval_ns)
		return;
	session->cfg.tick_ns = s->cfg.interval_ns;
	if (mb_session_start_timer(session))
		mb_warn("the interval stays as it was");
}

/* Reload the configuration file. If it has a mistake, or an address cannot be used, nothing changes. */
static int reload(void *arg, struct mb_session *session, struct mb_err *e)
{
	struct mb_serve *s = arg;
	struct mb_config_diagnostics diagnostics = { 0 };
	struct mb_serve_changes changes;
	struct mb_serve_config fresh;
	struct mb_err why = { 0 };

	(void)e;
	mb_notify("RELOADING=1");
	if (mb_serve_config_load(&fresh, s->config_path, s->overrides, &diagnostics, &why) ||
	    listen_at(s, &fresh, &why)) {
		print_diagnostics(&diagnostics);
		mb_warn("%s; all stays as it was", why.text);
	} else {
		mb_serve_config_changes(&s->cfg, &fresh, &changes);
		mb_serve_config_take(&s->cfg, &fresh);
		apply(s, session);
		s->reloads++;
		mb_warn("configuration read again, %u settings changed", changes.n_reload);
		for (unsigned int i = 0; i < changes.n_restart; i++)
			mb_warn("%s takes a restart", changes.restart[i]);
	}
	mb_serve_config_free(&fresh);
	mb_notify("READY=1");
	return 0;
}

/* ---- start and end ---- */

static int open_parts(struct mb_serve *s, struct mb_err *e)
{
	struct mb_metrics_config metrics = metrics_config(&s->cfg);
	int err;

	s->metrics = mb_metrics_new(&metrics);
	if (!s->metrics)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for metrics");
	err = mb_make_folders(s->cfg.state_dir);
	if (err)
		return mb_err_set(e, MB_EXIT_FAILED, err, "cannot make the state folder '%s'", s->cfg.state_dir);
	err = mb_http_open(&s->http, mb_serve_answer, s, e);
	if (!err)
		err = listen_at(s, &s->cfg, e);
	if (!err && s->cfg.record_enabled)
		err = open_recording(s, e);
	if (err != -ENOSPC)
		return err;
	mb_warn("%s; nothing is recorded until there is room", e->text);
	memset(e, 0, sizeof(*e));
	return 0;
}

static void close_parts(struct mb_serve *s)
{
	mb_serve_answers_drop(s);
	mb_http_close(s->http);
	mb_metrics_free(s->metrics);
}

/* Write a last sample with everything since the last tick. */
static void record_end(struct mb_serve *s)
{
	struct mb_err e = { 0 };
	struct mb_summary sum;

	if (!s->recorder)
		return;
	if (s->session.ingest.keep) { /* the recording has begun */
		mb_session_summary(&s->session, &sum);
		if (mb_recorder_tick(s->recorder, &s->session.model, &sum.at, &e))
			mb_warn("%s", e.text);
	}
	end_recording(s);
}

int mb_serve(struct mb_serve_config *c, const struct mb_serve_start *start, struct mb_err *e)
{
	struct mb_serve s = { .config_path = start->path, .overrides = start->overrides, .cfg = *c };
	struct mb_history_config history = mb_serve_config_history(c);
	const struct mb_service service = { attached, ticked, killed, wait_ms, reload, &s };
	struct mb_session_config cfg = start->session;
	struct timespec now;
	int err;

	memset(c, 0, sizeof(*c)); /* moved into s->cfg */
	clock_gettime(CLOCK_REALTIME, &now);
	s.start_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	s.watchdog_ns = mb_notify_watchdog_ns();
	cfg.tick_ns = s.cfg.interval_ns;
	cfg.history = &history;
	cfg.service = &service;
	cfg.show.reports = cfg.kern.families & (1u << MB_FAM_oom);
	cfg.show.oom = cfg.show.reports && s.cfg.oom_enabled;
	cfg.state_dir = cfg.show.oom ? s.cfg.state_dir : NULL;
	err = open_parts(&s, e);
	if (!err)
		err = mb_session_open(&s.session, &cfg, NULL, e);
	if (!err)
		err = mb_session_run(&s.session, e);
	mb_notify("STOPPING=1");
	if (!err)
		err = mb_session_finish(&s.session, e);
	record_end(&s);
	if (mb_session_close(&s.session, e))
		err = -1;
	close_parts(&s);
	mb_serve_config_free(&s.cfg);
	return err ? (int)e->exit : MB_EXIT_OK;
}
