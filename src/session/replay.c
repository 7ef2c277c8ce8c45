// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Feeds ingest records into a model, and shows the model in a sink at the same points in time as the session did. */
#include "session/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "blame/blame.h"
#include "blame/view.h"
#include "model/order.h"
#include "oom/view.h"
#include "record/upgrade.h"

struct replay {
	const struct mb_replay_config *cfg;
	struct mb_out *out;
	struct mb_model model;
	struct mb_order *order; /* orders events; NULL: none are shown */
	uint32_t own_pid; /* of the memblame process that recorded; 0: not known */
	struct mb_setup setup;
	struct mb_summary summary; /* the summary of the session; if it has none, the last known state */
	uint64_t ticks;
	uint64_t interval_start_ns;
	uint64_t last_tick_ns;
	struct mb_upgrade upgrade; /* converts records of earlier builds */
	bool set_up;
	bool ended;
};

static void take_shown(void *arg, struct mb_model *m, const struct mb_event *e)
{
	struct replay *p = arg;
	bool own = p->own_pid && e->tgid == p->own_pid && !(mb_event_kind_of(e)->flags & MB_EVENT_ALWAYS);

	if ((p->cfg->families & (1u << e->family)) && (!own || p->cfg->own_events))
		mb_order_add(p->order, m, e);
}

static void show_event(void *arg, const char *comm, const struct mb_event *e)
{
	struct replay *p = arg;

	p->cfg->sink->event(p->out, comm, e);
}

static void show(struct replay *p, const struct mb_snapshot *snap)
{
	if (p->cfg->blame)
		mb_blame_show(p->cfg->sink, p->out, snap);
	else
		p->cfg->sink->snapshot(p->out, snap);
}

static void wait_until(struct replay *p, uint64_t t_ns)
{
	uint64_t ns = p->last_tick_ns && t_ns > p->last_tick_ns ? t_ns - p->last_tick_ns : 0;
	struct timespec t = { .tv_sec = (time_t)(ns / MB_NS_PER_S),
			      .tv_nsec = (long)(ns % MB_NS_PER_S) };

	mb_out_flush(p->out);
	nanosleep(&t, NULL);
}

static void on_tick(struct replay *p, const struct mb_tick *tick)
{
	uint64_t now = tick->at.t_ns, interval = p->cfg->interval_ns;
	struct mb_snapshot snap;

	p->summary.at = tick->at;
	if (p->order)
		mb_order_show(p->order, now - MB_ORDER_MOST_NS);
	/* the first two ticks of a session make the ledgers of tasks that already run */
	if (++p->ticks <= 2) {
		mb_model_interval(&p->model);
		p->interval_start_ns = now;
	} else if (interval && now - p->interval_start_ns + interval / 4 >= interval) {
		mb_snapshot_interval(&snap, &p->model, &p->setup, &tick->at,
				     now - p->interval_start_ns);
		show(p, &snap);
		mb_model_interval(&p->model);
		p->interval_start_ns = now;
	}
	if (p->cfg->own_pace)
		wait_until(p, now);
	p->last_tick_ns = now;
}

static void show_kill(struct replay *p, const struct mb_oom_report *report)
{
	struct mb_oom_kill *k = mb_oom_find(mb_oom_of(&p->model), report->kill_t_ns);
	struct mb_summary sum = { .at = report->at };
	struct mb_oom_culprit culprit;
	struct mb_snapshot snap;

	if (!k || k->shown)
		return;
	k->shown = true;
	sum.at.time[sizeof(sum.at.time) - 1] = '\0';
	mb_snapshot_total(&snap, &p->model, &p->setup, &sum);
	mb_oom_find_culprit(&p->model, k, &culprit);
	if (p->cfg->check_kill)
		p->cfg->check_kill(k, &culprit);
	mb_oom_show(p->cfg->sink, p->out, &snap, k, &culprit);
}

static int take(void *arg, enum mb_ingest_type type, const void *data, size_t len)
{
	struct replay *p = arg;
	int err;

	if (type == MB_INGEST_SETUP && len == sizeof(p->setup)) {
		memcpy(&p->setup, data, len);
		p->setup.kernel[sizeof(p->setup.kernel) - 1] = '\0';
		p->setup.arch[sizeof(p->setup.arch) - 1] = '\0';
		if (!mb_upgrade_setup(&p->upgrade, &p->setup))
			return -EINVAL;
		data = &p->setup;
		p->set_up = true;
	}
	if (!p->set_up)
		return -EINVAL;
	if (type == MB_INGEST_EVENT)
		data = mb_upgrade_event(&p->upgrade, data, &len);
	err = mb_ingest_apply(&p->model, type, data, len);
	if (err)
		return err;
	if (type == MB_INGEST_TICK)
		on_tick(p, data);
	if (type == MB_INGEST_OOM_REPORT && mb_oom_of(&p->model))
		show_kill(p, data);
	if (type == MB_INGEST_SUMMARY) {
		memcpy(&p->summary, data, len);
		p->summary.command[sizeof(p->summary.command) - 1] = '\0';
		p->summary.at.time[sizeof(p->summary.at.time) - 1] = '\0';
		p->ended = true;
	}
	return p->out->error ? -p->out->error : 0;
}

static int begin(struct replay *p)
{
	mb_model_init(&p->model);
	p->model.on_event = p->cfg->events ? take_shown : NULL;
	p->model.on_event_arg = p;
	p->model.history = mb_history_new(&mb_history_default);
	p->order = p->cfg->events ? mb_order_new(show_event, p) : NULL;
	if (!p->model.history || (p->cfg->events && !p->order))
		return -ENOMEM;
	if ((p->cfg->blame || p->cfg->events) && !mb_blame_new(&p->model))
		return -ENOMEM;
	return p->cfg->oom && !mb_oom_new(&p->model) ? -ENOMEM : 0;
}

static void end(struct replay *p)
{
	struct mb_history *history = p->model.history;

	mb_model_free(&p->model);
	mb_order_free(p->order);
	mb_history_free(history);
}

static void show_end(struct replay *p)
{
	struct mb_snapshot snap;

	if (p->cfg->oom)
		return;
	mb_snapshot_total(&snap, &p->model, &p->setup, &p->summary);
	if (p->order) {
		mb_order_show(p->order, UINT64_MAX);
		snap.late_events = mb_order_late(p->order);
		p->cfg->sink->stream_end(p->out, &snap);
	} else {
		show(p, &snap);
	}
}

int mb_replay_chunk(const void *data, size_t size, const struct mb_replay_config *cfg,
		    struct mb_out *out)
{
	struct replay p = { .cfg = cfg, .out = out };
	int err;

	err = begin(&p);
	if (!err)
		err = mb_reader_chunk(data, size, take, &p);
	show_end(&p);
	end(&p);
	return err;
}

int mb_replay(struct mb_reader *r, const struct mb_replay_config *cfg, struct mb_out *out, int *status,
	      struct mb_err *e)
{
	struct replay p = { .cfg = cfg, .out = out };
	int err;

	const char *own_pid = mb_reader_info(r, "memblame_pid");

	p.own_pid = own_pid ? (uint32_t)strtoul(own_pid, NULL, 10) : 0;
	err = begin(&p);
	if (!err)
		err = mb_reader_records(r, take, &p, e);
	if (!err) {
		long long missing = mb_reader_missing(r);

		if (missing)
			mb_warn("%lld chunks of events are missing, the disk was too slow: what is shown is "
				"too little; report has it all",
				missing);
		if (!p.ended)
			mb_warn("the recording was cut off: this is what was written of it");
		show_end(&p);
		*status = p.summary.command_status;
	} else if (!e->text[0] && !out->error) {
		mb_err_set(e, MB_EXIT_FAILED, -err, "the recording is damaged");
	}
	end(&p);
	return err;
}
