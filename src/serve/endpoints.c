// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The HTTP endpoints of serve. Every user on the machine can connect to a TCP port, so it gives only numbers, names
 * of cgroups and short names of processes. Details of programs, stacks and logs are available only over the unix
 * socket.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "host/procfs.h"
#include "oom/store.h"
#include "serve/internal.h"
#include "session/internal.h"
#include "session/budget.h"
#include "session/oom_reporter.h"
#include "sinks/json.h"

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"

/* A loop without a tick for so many intervals is stuck. */
#define INTERVALS_STUCK 5

static struct mb_http_body *constant(const char *text, const char *type)
{
	char *copy = strdup(text);

	return copy ? mb_http_body_new(copy, strlen(text), type) : NULL;
}

/* Make a body from the text in o, and end o. On failure returns NULL and sets *status. */
static struct mb_http_body *written(struct mb_out *o, const char *type, int *status)
{
	struct mb_http_body *body = NULL;
	struct mb_err e = { 0 };
	size_t len;
	char *text = mb_out_take(o, &len, &e);

	if (text)
		body = mb_http_body_new(text, len, type);
	if (!body)
		*status = 503;
	return body;
}

static void snapshot(struct mb_serve *s, struct mb_snapshot *snap)
{
	struct mb_summary sum;

	mb_session_summary(&s->session, &sum);
	mb_snapshot_total(snap, &s->session.model, &s->session.setup, &sum);
}

/* ---- metrics ---- */

static void hooks(const struct mb_serve *s, struct mb_metrics_self *self)
{
	size_t n;
	const struct mb_selected_hook *a = mb_kern_selected_hooks(s->session.kern, &n);

	for (size_t i = 0; i < n && i < MB_METRICS_HOOKS; i++)
		self->hooks[self->n_hooks++] = (struct mb_metrics_hook){
			.family = a[i].family->name,
			.question = a[i].probe_point->name,
			.hook = a[i].hook ? a[i].hook->name : NULL,
			.quality = a[i].hook ? a[i].hook->quality : MB_QUALITY_NONE,
		};
}

static void recording(const struct mb_serve *s, struct mb_metrics_self *self)
{
	struct mb_recorder_state st;

	if (!s->cfg.record_enabled)
		return;
	self->recording_failed = !s->recorder;
	if (!s->recorder)
		return;
	mb_recorder_state(s->recorder, &st);
	self->recording_failed = st.failed;
	self->recording_bytes = st.bytes;
	mb_utc_seconds(st.oldest, &self->recording_oldest_s);
}

static void budget(const struct mb_serve *s, struct mb_metrics_self *self)
{
	const struct mb_levels *l = &s->session.model.levels;
	struct mb_budget_status now;

	self->level = l->now;
	self->level_name = mb_level_names[l->now];
	if (!mb_budget_status(s->session.budget, &now))
		return;
	if (now.bpf_known)
		self->overhead_ppm = (uint64_t)((now.bpf + now.own) * 1e6);
	if (now.budget > 0)
		self->budget_ppm = (uint64_t)(now.budget * 1e6 + 0.5);
	self->level_ups = now.throttle_steps; /* a higher level means less tracing */
	self->level_downs = now.ups;
}

static void of_ourselves(struct mb_serve *s, const struct mb_snapshot *snap, struct mb_metrics_self *self)
{
	struct mb_http_stats http;

	mb_metrics_self_init(self);
	mb_metrics_self_process(self);
	self->cpu_ns = snap->self_cpu_ns;
	self->bpf_ns = snap->bpf_ns_known ? snap->bpf_ns : MB_UNKNOWN;
	self->start_ms = s->start_ms;
	self->tick_ns = s->tick_ns;
	budget(s, self);
	hooks(s, self);
	recording(s, self);
	mb_http_stats(s->http, &http);
	for (unsigned int i = 0; i < http.n_status && i < MB_METRICS_CODES; i++)
		self->http[i] = (struct mb_metrics_code){ http.by_status[i].status, http.by_status[i].requests };
}

/* All scrapes between two ticks get the same text. */
static struct mb_http_body *metrics(struct mb_serve *s, const struct mb_http_request *r, int *status)
{
	bool openmetrics = r->accept && strstr(r->accept, MB_PROM_ACCEPT_OPENMETRICS);
	struct mb_http_body **made = &s->scrapes[openmetrics];
	struct mb_metrics_self self;
	struct mb_prom text = { 0 };
	struct mb_snapshot snap;

	if (!*made) {
		snapshot(s, &snap);
		of_ourselves(s, &snap, &self);
		if (!mb_metrics_write(s->metrics, &text, &snap, &self, openmetrics))
			*made = mb_http_body_new(text.text, text.len,
						 openmetrics ? MB_PROM_CONTENT_OPENMETRICS : MB_PROM_CONTENT_TEXT);
		else
			mb_prom_free(&text);
	}
	if (!*made) {
		*status = 503;
		return NULL;
	}
	return mb_http_body_ref(*made);
}

void mb_serve_answers_drop(struct mb_serve *s)
{
	for (int i = 0; i < 2; i++) {
		mb_http_body_unref(s->scrapes[i]);
		s->scrapes[i] = NULL;
	}
}

/* ---- health and state ---- */

static struct mb_http_body *health(struct mb_serve *s, const struct mb_http_request *r, int *status)
{
	uint64_t still_ns = mb_now_ns() - s->ticked_ns, interval_ns = s->session.cfg.tick_ns;

	(void)r;
	if (s->session.model.levels.tick_divisor) /* the budget makes ticks rarer */
		interval_ns *= s->session.model.levels.tick_divisor;
	if (s->ticks && still_ns <= INTERVALS_STUCK * interval_ns + MB_NS_PER_S)
		return constant("ok\n", TEXT);
	*status = 503;
	return NULL;
}

/* Ready means: attached, a first tick is complete, and the recording is open if one is configured. */
static struct mb_http_body *readiness(struct mb_serve *s, const struct mb_http_request *r, int *status)
{
	(void)r;
	if (s->ready && (s->recorder || !s->cfg.record_enabled))
		return constant("ready\n", TEXT);
	*status = 503;
	return NULL;
}

static void put_recording(struct mb_serve *s, struct mb_out *o)
{
	struct mb_recorder_state st;

	if (!s->recorder) {
		mb_json_null(o, "recording");
		return;
	}
	mb_recorder_state(s->recorder, &st);
	mb_json_object(o, "recording");
	mb_json_u64(o, "bytes", st.bytes);
	mb_json_u64(o, "max_bytes", s->cfg.record_bytes);
	mb_json_u64(o, "max_age_ns", s->cfg.record_age_ns);
	mb_json_str(o, "oldest", st.oldest[0] ? st.oldest : NULL);
	mb_json_u64(o, "ticks", st.ticks);
	mb_json_u64(o, "lost", st.lost);
	mb_json_u64(o, "waiting_bytes", st.waiting_bytes);
	mb_json_bool(o, "failed", st.failed);
	mb_json_str(o, "message", st.failed ? st.message : NULL);
	mb_json_object_end(o);
}

static struct mb_http_body *status_of(struct mb_serve *s, const struct mb_http_request *r, int *status)
{
	struct mb_snapshot snap;
	struct mb_http_stats http;
	struct mb_out o;

	(void)r;
	if (mb_out_to_memory(&o)) {
		*status = 503;
		return NULL;
	}
	snapshot(s, &snap);
	mb_http_stats(s->http, &http);
	mb_json_object(&o, NULL);
	mb_json_u64(&o, "schema", 1);
	mb_json_str(&o, "kind", "status");
	mb_json_str(&o, "version", MB_VERSION);
	mb_json_str(&o, "kernel", snap.kernel);
	mb_json_str(&o, "time", snap.time);
	mb_json_u64(&o, "duration_ns", snap.duration_ns);
	mb_json_bool(&o, "ready", s->ready);
	mb_json_u64(&o, "ticks", s->ticks);
	mb_json_u64(&o, "tick_ns", s->tick_ns);
	mb_json_u64(&o, "reloads", s->reloads);
	mb_json_u64(&o, "lost_total", mb_lost_total(&s->session.model.lost));
	mb_json_u64(&o, "processes", s->session.model.n_processes);
	mb_json_put_overhead(&o, &snap);
	put_recording(s, &o);
	mb_json_object(&o, "http");
	mb_json_u64(&o, "open", http.open);
	mb_json_u64(&o, "accepted", http.accepted);
	mb_json_u64(&o, "refused", http.refused);
	mb_json_u64(&o, "timed_out", http.timed_out);
	mb_json_object_end(&o);
	mb_json_object_end(&o);
	mb_json_end_line(&o);
	return written(&o, JSON, status);
}

/* ---- unix socket only ---- */

static struct mb_http_body *summary(struct mb_serve *s, const struct mb_http_request *r, int *status)
{
	struct mb_snapshot snap;
	struct mb_out o;

	(void)r;
	if (mb_out_to_memory(&o)) {
		*status = 503;
		return NULL;
	}
	mb_procfs_memory(&s->session.ingest, false);
	snapshot(s, &snap);
	mb_sink_json.snapshot(&o, &snap);
	return written(&o, JSON, status);
}

/* All reports, one document per line, or a single report by its number. */
static struct mb_http_body *oom(struct mb_serve *s, const struct mb_http_request *r, int *status)
{
	const char *number = mb_http_query(r, "number");
	unsigned long n = number ? strtoul(number, NULL, 10) : 0;
	struct mb_oom_store *store = mb_oom_reporter_store(&s->session);
	struct mb_err e = { 0 };
	struct mb_out o;
	int err;

	if (!store || (number && (!n || n > UINT32_MAX))) {
		*status = number ? 400 : 404;
		return NULL;
	}
	if (mb_out_to_memory(&o)) {
		*status = 503;
		return NULL;
	}
	err = number ? mb_oom_store_show(store, (uint32_t)n, true, &o, &e) :
		       mb_oom_store_list(store, true, &o, &e);
	if (err) {
		mb_out_close(&o, &e);
		*status = number ? 404 : 503;
		return NULL;
	}
	return written(&o, number ? JSON : "application/x-ndjson", status);
}

/* ---- dispatch ---- */

static struct mb_http_body *index_of(struct mb_serve *s, const struct mb_http_request *r, int *status);

static const struct {
	const char *path;
	struct mb_http_body *(*answer)(struct mb_serve *s, const struct mb_http_request *r, int *status);
	bool local; /* available over a unix socket only */
	const char *what;
} answers[] = {
	{ "/", index_of, false, "this list" },
	{ "/metrics", metrics, false, "for Prometheus, or OpenMetrics where that is asked for" },
	{ "/healthz", health, false, "200: the loop turns" },
	{ "/readyz", readiness, false, "200: attached, and recording where that is wanted" },
	{ "/api/v1/status", status_of, false, "memblame itself" },
	{ "/api/v1/summary", summary, true, "all processes since the start, as memblame top --json has them" },
	{ "/api/v1/oom", oom, true, "reports of OOM kills, one a line; ?number=N: one of them" },
};

static struct mb_http_body *index_of(struct mb_serve *s, const struct mb_http_request *r, int *status)
{
	struct mb_out o;

	(void)s;
	if (mb_out_to_memory(&o)) {
		*status = 503;
		return NULL;
	}
	mb_out_printf(&o, "memblame %s\n\n", MB_VERSION);
	for (size_t i = 0; i < MB_ARRAY_SIZE(answers); i++)
		mb_out_printf(&o, "%-18s %s%s\n", answers[i].path, answers[i].what,
			      answers[i].local && !r->local ? " (over the unix socket only)" : "");
	return written(&o, TEXT, status);
}

struct mb_http_body *mb_serve_answer(void *arg, const struct mb_http_request *r, int *status)
{
	struct mb_serve *s = arg;

	for (size_t i = 0; i < MB_ARRAY_SIZE(answers); i++) {
		if (strcmp(r->path, answers[i].path) != 0)
			continue;
		if (!answers[i].local || r->local)
			return answers[i].answer(s, r, status);
		*status = 403;
		return NULL;
	}
	*status = 404;
	return NULL;
}
