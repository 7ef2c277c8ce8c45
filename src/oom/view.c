// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Code that the text and JSON formats of OOM reports share. */
#include "oom/view.h"

#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "oom/oom.h"

#define POINTS 120u

void mb_oom_show(const struct mb_sink *sink, struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		 const struct mb_oom_culprit *c)
{
	(sink->json ? mb_json_oom : mb_text_oom)(o, s, k, c);
}

const char *mb_oom_time(const struct mb_snapshot *s, const struct mb_oom_kill *k, char *buf)
{
	mb_utc_shift(s->time, (int64_t)(k->first.h.t_ns - s->t_ns), buf, 32);
	return buf;
}

const struct mb_process *mb_oom_process(const struct mb_model *m, uint32_t tgid, uint64_t start_ns)
{
	return start_ns ? mb_model_find_exactly(m, tgid, start_ns) : mb_model_find(m, tgid);
}

const char *mb_oom_whole_path(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t cgroup,
			      const struct mb_process *p)
{
	const char *path = mb_oom_cgroup_path(m, k, cgroup);

	if (p && p->cgroup == cgroup && p->cgroup_path)
		return p->cgroup_path;
	return path && strlen(path) < MB_PATH_LEN - 1 ? path : NULL;
}

const char *mb_oom_reaper_name(const struct mb_oom_victim *v)
{
	switch (v->reaper) {
	case MB_OOM_REAPED:
		return "reaped";
	case MB_OOM_REAPER_SKIPPED:
		return "skipped";
	default:
		return NULL;
	}
}

uint32_t mb_oom_first_frame(const struct mb_oom_kill *k, enum mb_oom_stack_of of)
{
	uint32_t i = 0;

	/* bpf_prog_TAG_NAME, bpf_trace_runN, bpf_trampoline_N */
	while (i < MB_OOM_STACK && !strncmp(k->symbols[of][i], "bpf_", 4))
		i++;
	return i;
}

bool mb_oom_log_next(const struct mb_oom_kill *k, uint32_t *at, char *buf)
{
	const char *line = k->log + *at, *end = memchr(line, '\n', k->log_len - *at);
	size_t len = end ? (size_t)(end - line) : 0, shown = len < MB_OOM_LINE_LEN ? len : MB_OOM_LINE_LEN - 1;

	if (!end)
		return false;
	memcpy(buf, line, shown);
	buf[shown] = '\0';
	*at += (uint32_t)len + 1;
	return true;
}

const char *mb_oom_verdict_name(enum mb_oom_verdict v)
{
	static const char *const names[] = {
		[MB_OOM_CULPRIT_CLEAR] = "clear",
		[MB_OOM_CULPRIT_SEVERAL] = "several",
		[MB_OOM_CULPRIT_NOT_PROCESSES] = "not processes",
		[MB_OOM_CULPRIT_NO_GROWTH] = "no growth",
		[MB_OOM_CULPRIT_UNKNOWN] = "unknown",
		[MB_OOM_CULPRIT_NOT_KNOWN] = NULL,
	};

	return names[v];
}

bool mb_oom_grew(const struct mb_oom_culprit *c)
{
	return c->verdict == MB_OOM_CULPRIT_CLEAR || c->verdict == MB_OOM_CULPRIT_SEVERAL ||
	       c->verdict == MB_OOM_CULPRIT_NOT_PROCESSES;
}

const char *mb_oom_how_name(const struct mb_oom_culprit *c)
{
	static const char *const names[] = { [MB_OOM_OWNS] = "owns", [MB_OOM_MAPS] = "maps", [MB_OOM_WROTE] = "wrote" };

	return c->task ? names[c->how] : NULL;
}

uint64_t mb_oom_machine_pages(const struct mb_model *m)
{
	const uint64_t *now = m->system.now.values;

	if (!m->system.known || now[MB_SYS_memory_total_bytes] == MB_UNKNOWN ||
	    now[MB_SYS_swap_total_bytes] == MB_UNKNOWN)
		return 0;
	return (now[MB_SYS_memory_total_bytes] + now[MB_SYS_swap_total_bytes]) / MB_PAGE_SIZE;
}

uint64_t mb_oom_memcg_swap_pages(const struct mb_oom_event *e)
{
	if (!e->memcg_v1)
		return e->memcg_swap_pages;
	return e->memcg_swap_pages > e->memcg_usage_pages ? e->memcg_swap_pages - e->memcg_usage_pages : 0;
}

const struct mb_series *mb_oom_scope(const struct mb_model *m, const struct mb_oom_kill *k)
{
	const char *path = k->first.memcg ? mb_oom_cgroup_path(m, k, k->first.memcg) : "";

	return m->history && path ? mb_history_cgroup(m->history, path) : NULL;
}

struct mb_oom_points mb_oom_points(const struct mb_oom_kill *k, const struct mb_oom_culprit *c,
				   const struct mb_series *s)
{
	uint64_t window = c->window_ns > MB_OOM_LEAST_NS ? c->window_ns : MB_OOM_LEAST_NS;
	uint64_t from = k->first.h.t_ns > window ? k->first.h.t_ns - window : 0;
	struct mb_oom_points at = { .end = mb_series_points(s), .step = 1 };

	/*
	 * leave out points after the kill; begin with the point that was valid at the window's
	 * start
	 */
	while (at.end && mb_series_point(s, at.end - 1)->t_ns > k->first.h.t_ns + MB_OOM_WAIT_NS)
		at.end--;
	while (at.first + 1 < at.end && mb_series_point(s, at.first + 1)->t_ns <= from)
		at.first++;
	if (at.end - at.first > POINTS)
		at.step = (at.end - at.first + POINTS - 1) / POINTS;
	return at;
}
