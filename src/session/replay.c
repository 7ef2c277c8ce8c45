// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Feeds ingest records into a model, and shows the model in a sink at the same points in time as the session did. */
#include "session/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "model/order.h"
#include "record/upgrade.h"
#include "session/feature.h"

struct replay {
	const struct mb_replay_config *cfg;
	struct mb_out *out;
	struct mb_model model;
	struct mb_driver driver; /* shows the model */
	struct mb_setup setup;
	struct mb_summary summary; /* the summary of the session; if it has none, the last known state */
	uint64_t ticks;
	uint64_t last_tick_ns;
	struct mb_upgrade upgrade; /* converts records of earlier builds */
	bool set_up;
	bool ended;
};

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
	struct mb_err e = { 0 };

	p->summary.at = tick->at;
	mb_driver_events(&p->driver, now - MB_ORDER_MOST_NS);
	/* the first two ticks of a session make the ledgers of tasks that already run */
	if (++p->ticks <= 2)
		mb_driver_begin(&p->driver, now);
	else if (interval && now - p->driver.interval_start_ns + interval / 4 >= interval)
		mb_driver_interval(&p->driver, &tick->at, now, &e);
	if (p->cfg->own_pace)
		wait_until(p, now);
	p->last_tick_ns = now;
}

static void tell_features(const struct replay *p, enum mb_ingest_type type, const void *data)
{
	for (size_t i = 0; i < MB_FEATURES; i++) {
		if (mb_features[i]->replayed && mb_features[i]->wanted(&p->cfg->show))
			mb_features[i]->replayed(&p->driver, type, data);
	}
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
	tell_features(p, type, data);
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
	p->model.history = mb_history_new(&mb_history_default);
	return p->model.history ? mb_driver_open(&p->driver, &p->cfg->show, &p->model, &p->setup, p->out) : -ENOMEM;
}

static void end(struct replay *p)
{
	struct mb_history *history = p->model.history;

	mb_model_free(&p->model);
	mb_driver_close(&p->driver);
	mb_history_free(history);
}

int mb_replay_chunk(const void *data, size_t size, const struct mb_replay_config *cfg,
		    struct mb_out *out)
{
	struct replay p = { .cfg = cfg, .out = out };
	struct mb_err e = { 0 };
	int err = begin(&p);

	if (!err)
		err = mb_reader_chunk(data, size, take, &p);
	if (p.driver.model)
		mb_driver_end(&p.driver, &p.summary, &e);
	end(&p);
	return err;
}

int mb_replay(struct mb_reader *r, const struct mb_replay_config *cfg, struct mb_out *out, int *status,
	      struct mb_err *e)
{
	struct replay p = { .cfg = cfg, .out = out };
	int err;

	const char *own_pid = mb_reader_info(r, "memblame_pid");

	err = begin(&p);
	p.driver.own_pid = own_pid ? (uint32_t)strtoul(own_pid, NULL, 10) : 0;
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
		err = mb_driver_end(&p.driver, &p.summary, e);
		*status = p.summary.command_status;
	} else if (!e->text[0] && !out->error) {
		mb_err_set(e, MB_EXIT_FAILED, -err, "the recording is damaged");
	}
	end(&p);
	return err;
}
