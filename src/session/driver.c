// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* What a session and a replay do alike: connect a model with its features, and show it in a sink. */
#include "session/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/order.h"
#include "session/feature.h"

/*
 * Events of memblame itself, caused by its own writes, are shown only on request; changes of the tracing level always
 * are.
 */
static void take_event(void *arg, struct mb_model *m, const struct mb_event *e)
{
	struct mb_driver *d = arg;
	bool own = d->own_pid && e->tgid == d->own_pid && !(mb_event_kind_of(e)->flags & MB_EVENT_ALWAYS);

	if ((d->cfg.families & (1u << e->family)) && (!own || d->cfg.own_events))
		mb_order_add(d->order, m, e);
}

static void show_event(void *arg, const char *comm, const struct mb_event *e)
{
	struct mb_driver *d = arg;

	d->cfg.sink->event(d->out, comm, e);
}

int mb_driver_open(struct mb_driver *d, const struct mb_show_config *cfg, struct mb_model *m, const struct mb_setup *setup,
		   struct mb_out *out)
{
	*d = (struct mb_driver){ .cfg = *cfg, .model = m, .setup = setup, .out = out };
	if (cfg->events) {
		d->order = mb_order_new(show_event, d);
		if (!d->order)
			return -ENOMEM;
		m->on_event = take_event;
		m->on_event_arg = d;
	}
	for (size_t i = 0; i < MB_FEATURES; i++) {
		const struct mb_feature *f = mb_features[i];

		if (!f->wanted(cfg))
			continue;
		if (f->subscribe && f->subscribe(m, &d->cfg))
			return -ENOMEM;
		if (f->shown(cfg))
			d->shown = f;
	}
	return 0;
}

void mb_driver_close(struct mb_driver *d)
{
	mb_order_free(d->order);
	d->order = NULL;
}

void mb_driver_events(struct mb_driver *d, uint64_t until_ns)
{
	if (d->order)
		mb_order_show(d->order, until_ns);
}

bool mb_driver_wants_color(const struct mb_driver *d)
{
	return !d->out->is_file && isatty(d->out->fd) && !getenv("NO_COLOR");
}

static int show(const struct mb_driver *d, struct mb_snapshot *snap, struct mb_err *e)
{
	snap->victims = d->cfg.victims;
	snap->pids = d->cfg.pids;
	snap->n_pids = d->cfg.n_pids;
	snap->history = d->cfg.history;
	snap->color = mb_driver_wants_color(d);
	if (d->shown)
		return d->shown->show ? d->shown->show(d->state, d, snap, e) : 0;
	d->cfg.sink->snapshot(d->out, snap);
	return 0;
}

void mb_driver_begin(struct mb_driver *d, uint64_t t_ns)
{
	mb_model_interval(d->model);
	d->interval_start_ns = t_ns;
}

int mb_driver_interval(struct mb_driver *d, const struct mb_sample_meta *at, uint64_t next_ns, struct mb_err *e)
{
	struct mb_snapshot snap;
	int err;

	mb_snapshot_interval(&snap, d->model, d->setup, at, at->t_ns - d->interval_start_ns);
	err = show(d, &snap, e);
	mb_driver_begin(d, next_ns);
	return err;
}

int mb_driver_end(struct mb_driver *d, const struct mb_summary *sum, struct mb_err *e)
{
	struct mb_snapshot snap;

	mb_snapshot_total(&snap, d->model, d->setup, sum);
	if (!d->order)
		return show(d, &snap, e);
	mb_order_show(d->order, UINT64_MAX);
	snap.late_events = mb_order_late(d->order);
	snap.color = mb_driver_wants_color(d);
	d->cfg.sink->stream_end(d->out, &snap);
	return 0;
}
