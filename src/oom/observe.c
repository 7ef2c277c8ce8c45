// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Connects the account of OOM kills to the model: handles its events and the records with data from
 * the running system.
 */
#include <stdlib.h>
#include <string.h>

#include "model/ingest.h"
#include "model/model.h"
#include "oom/oom.h"

#define NAME "oom"

static void on_event(void *arg, const struct mb_event *e)
{
	struct mb_oom *o = arg;

	if (e->family == MB_FAM_oom)
		mb_oom_event(o->model, e);
}

/* more: the whole path if it did not fit into the name, len bytes; len 0: it did. */
static void take_path(struct mb_oom *o, const struct mb_oom_name *n, const char *more, size_t len)
{
	char path[MB_OOM_PATH_LEN];

	if (!len) {
		mb_oom_path(o, n->kill_t_ns, n->cgroup, n->name);
		return;
	}
	len = len < sizeof(path) - 1 ? len : sizeof(path) - 1;
	memcpy(path, more, len);
	path[len] = '\0';
	mb_oom_path(o, n->kill_t_ns, n->cgroup, path);
}

static void on_record(void *arg, unsigned int type, const void *data, size_t len)
{
	const struct mb_log_line *line = data;
	struct mb_oom *o = arg;
	struct mb_oom_name n;

	if (type == MB_INGEST_LOG) {
		mb_oom_log_line(o, line->caller, (const char *)(line + 1), len - sizeof(*line));
		return;
	}
	if (type != MB_INGEST_SYMBOL && type != MB_INGEST_OOM_PATH && type != MB_INGEST_OOM_STAT)
		return;
	memcpy(&n, data, sizeof(n));
	n.name[sizeof(n.name) - 1] = '\0';
	if (type == MB_INGEST_SYMBOL)
		mb_oom_symbol(o, n.kill_t_ns, n.stack, n.frame, n.name);
	else if (type == MB_INGEST_OOM_PATH)
		take_path(o, &n, (const char *)data + sizeof(n), len - sizeof(n));
	else
		mb_oom_stat(o, n.kill_t_ns, (const char *)data + sizeof(n), len - sizeof(n));
}

struct mb_oom *mb_oom_new(struct mb_model *m)
{
	struct mb_oom *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->model = m;
	o->observer =
		(struct mb_observer){ .name = NAME, .arg = o, .event = on_event, .record = on_record, .free = free };
	mb_model_observe(m, &o->observer);
	return o;
}

struct mb_oom *mb_oom_of(const struct mb_model *m)
{
	return mb_model_observer(m, NAME);
}
