// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The table of features, and how leaks and blame take part in a session. OOM reports have a file of their own. */
#include <errno.h>

#include "blame/blame.h"
#include "blame/view.h"
#include "host/cgroups.h"
#include "host/lookup.h"
#include "leaks/leaks.h"
#include "leaks/show.h"
#include "session/feature.h"
#include "session/internal.h"

/* ---- blame ---- */

/* Single events name the culprits of stalls, too. */
static bool blame_wanted(const struct mb_show_config *cfg)
{
	return cfg->blame || cfg->events;
}

static bool blame_shown(const struct mb_show_config *cfg)
{
	return cfg->blame;
}

static int blame_subscribe(struct mb_model *m, const struct mb_show_config *cfg)
{
	(void)cfg;
	return mb_blame_new(m) ? 0 : -ENOMEM;
}

/* Ingest limits and usage of those cgroups at whose limit a process has just stalled. */
static void blame_before_tick(struct mb_session *s, void *state)
{
	const char *root = mb_cgroups_root(s->cgroups), *limited;
	const struct mb_blame *b = mb_blame_of(&s->model);

	(void)state;
	for (size_t i = 0; b && root && (limited = mb_blame_limited(b, i)); i++)
		mb_lookup_ingest_limits(&s->ingest, root, limited);
}

static int blame_show(void *state, const struct mb_driver *d, const struct mb_snapshot *snap, struct mb_err *e)
{
	(void)state;
	(void)e;
	mb_blame_show(d->cfg.sink, d->out, snap);
	return 0;
}

static const struct mb_feature feature_blame = {
	.name = "blame",
	.wanted = blame_wanted,
	.subscribe = blame_subscribe,
	.shown = blame_shown,
	.show = blame_show,
	.before_tick = blame_before_tick,
};

/* ---- leaks ---- */

static bool leaks_wanted(const struct mb_show_config *cfg)
{
	return cfg->leaks;
}

static bool leaks_shown(const struct mb_show_config *cfg)
{
	return cfg->show_leaks;
}

static int leaks_subscribe(struct mb_model *m, const struct mb_show_config *cfg)
{
	return mb_leaks_observe(m, cfg->leaks) ? 0 : -ENOMEM;
}

static int leaks_open(struct mb_session *s, void **state, struct mb_err *e)
{
	struct mb_leaks_session *l = mb_leaks_of(&s->model);

	*state = l;
	if (mb_leaks_trace(l, s->kern, mb_cgroups_root(s->cgroups), s->cfg.recorder ? &s->ingest : NULL))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for leaks");
	return 0;
}

static void leaks_opened(struct mb_session *s, void *state)
{
	mb_leaks_traced(state);
	mb_session_warn_of_unanswered(s);
}

static void leaks_attached(struct mb_session *s, void *state)
{
	const struct mb_kern_config *kern = &s->cfg.kern;

	for (uint32_t i = 0; i < kern->n_cgroups; i++) {
		const char *path = mb_cgroups_path(s->cgroups, kern->cgroups[i]);

		if (path)
			mb_leaks_follow(state, path);
	}
	mb_leaks_begin(state, kern->pids, kern->n_pids, kern->select != MB_SELECT_ALL);
}

static void leaks_held(void *state, uint32_t tgid)
{
	mb_leaks_held(state, tgid);
}

static void leaks_ticked(struct mb_session *s, void *state, uint64_t drained_ns, uint64_t t_ns)
{
	(void)s;
	mb_leaks_ticked(state, drained_ns, t_ns);
}

static int leaks_show(void *state, const struct mb_driver *d, const struct mb_snapshot *snap, struct mb_err *e)
{
	(void)state;
	return mb_leaks_show(mb_leaks_of(d->model), d->cfg.sink, d->out, snap, e);
}

static int leaks_end(struct mb_session *s, void *state, struct mb_err *e)
{
	(void)s;
	(void)e;
	mb_leaks_end_record(state);
	return 0;
}

static void leaks_close(void *state)
{
	mb_leaks_closed(state);
}

static const struct mb_feature feature_leaks = {
	.name = "leaks",
	.wanted = leaks_wanted,
	.subscribe = leaks_subscribe,
	.shown = leaks_shown,
	.show = leaks_show,
	.open = leaks_open,
	.opened = leaks_opened,
	.attached = leaks_attached,
	.held = leaks_held,
	.ticked = leaks_ticked,
	.end = leaks_end,
	.close = leaks_close,
};

/* ---- the table ---- */

const struct mb_feature *const mb_features[MB_FEATURES] = { &feature_blame, &mb_feature_oom, &feature_leaks };
