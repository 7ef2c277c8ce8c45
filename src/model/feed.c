// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Applying frames to a model. */
#include "model/feed.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "model/oom.h"

/* Paths of the kernel are shorter. */
#define PATH_MAX_LEN 4096

static void apply_setup(struct mb_model *m, const struct mb_setup *s)
{
	memcpy(m->unknown_slots, s->unknown_slots, sizeof(m->unknown_slots));
	m->sample_1_in = s->sample_1_in;
	m->stream = s->stream;
	m->off = s->off;
	m->has_swap = s->has_swap;
	m->pss = s->pss;
}

static int apply_identity(struct mb_model *m, const struct mb_identity *id, size_t len)
{
	const char *exe = (const char *)(id + 1), *cgroup = exe + id->exe_len;
	struct mb_process *p;

	if (sizeof(*id) + id->exe_len + id->cgroup_len != len)
		return -EINVAL;
	p = mb_model_find_exactly(m, id->tgid, id->start_ns);
	if (!p)
		return 0;
	p->looked_up = true;
	free(p->cgroup_path);
	p->cgroup_path = id->cgroup_len ? strndup(cgroup, id->cgroup_len) : NULL;
	if (!id->exe_len)
		return 0; /* what exec was given is all there is */
	free(p->exe);
	p->exe = strndup(exe, id->exe_len);
	return 0;
}

static int apply_memory(struct mb_model *m, const void *data, size_t len)
{
	struct mb_memory mem = { .pss_bytes = MB_UNKNOWN, .uss_bytes = MB_UNKNOWN };
	struct mb_process *p;

	if (len != sizeof(mem) && len != offsetof(struct mb_memory, pss_bytes))
		return -EINVAL;
	memcpy(&mem, data, len);
	p = mb_model_find_exactly(m, mem.tgid, mem.start_ns);
	if (!p)
		return 0;
	p->total_vm_pages = mem.total_vm_pages;
	p->peak_pages = mem.peak_pages;
	memcpy(p->rss_pages, mem.rss_pages, sizeof(p->rss_pages));
	p->pss_bytes = mem.pss_bytes;
	p->uss_bytes = mem.uss_bytes;
	return 0;
}

static int apply_system(struct mb_system_state *s, const void *data, size_t len)
{
	int err = mb_system_from_frame(&s->now, data, len);

	if (err)
		return err;
	if (!s->known)
		s->first = s->before = s->now;
	s->known = true;
	return 0;
}

static int apply_drops(struct mb_model *m, const struct mb_drop_row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!mb_family_by_id(row[i].family) || row[i].reason >= MB_DROP_REASONS)
			return -EINVAL;
	}
	memset(m->lost.kernel, 0, sizeof(m->lost.kernel));
	for (size_t i = 0; i < n; i++)
		m->lost.kernel[row[i].family][row[i].reason] = row[i].drop;
	return 0;
}

static void apply_mount(struct mb_model *m, const struct mb_mount *mount)
{
	char path[sizeof(mount->path)];

	memcpy(path, mount->path, sizeof(path));
	path[sizeof(path) - 1] = '\0';
	mb_blame_mount(&m->blame, mount->dev, path);
}

/* Frames about OOM kills: without reports, nobody needs them. */
static int apply_oom(struct mb_model *m, enum mb_frame_type type, const void *data, size_t len)
{
	const struct mb_log_line *line = data;
	struct mb_oom_name n;

	if (len < (type == MB_FRAME_LOG ? sizeof(*line) : sizeof(n)))
		return -EINVAL;
	if (!m->oom)
		return 0;
	if (type == MB_FRAME_LOG) {
		mb_oom_log_line(m->oom, line->caller, (const char *)(line + 1), len - sizeof(*line));
		return 0;
	}
	memcpy(&n, data, sizeof(n));
	n.name[sizeof(n.name) - 1] = '\0';
	if (type == MB_FRAME_SYMBOL)
		mb_oom_symbol(m->oom, n.kill_t_ns, n.stack, n.frame, n.name);
	else if (type == MB_FRAME_OOM_PATH)
		mb_oom_path(m->oom, n.kill_t_ns, n.cgroup, n.name);
	else
		mb_oom_stat(m->oom, n.kill_t_ns, (const char *)data + sizeof(n), len - sizeof(n));
	return 0;
}

int mb_frame_apply(struct mb_model *m, enum mb_frame_type type, const void *data, size_t len)
{
	switch (type) {
	case MB_FRAME_SETUP:
		if (len != sizeof(struct mb_setup))
			return -EINVAL;
		apply_setup(m, data);
		return 0;
	case MB_FRAME_EVENT:
		mb_model_event(m, data, len);
		return 0;
	case MB_FRAME_IDENTITY:
		return len < sizeof(struct mb_identity) ? -EINVAL : apply_identity(m, data, len);
	case MB_FRAME_MEMORY:
		return apply_memory(m, data, len);
	case MB_FRAME_DROPS:
		if (len % sizeof(struct mb_drop_row))
			return -EINVAL;
		return apply_drops(m, data, len / sizeof(struct mb_drop_row));
	case MB_FRAME_TICK:
		if (len != sizeof(struct mb_tick))
			return -EINVAL;
		mb_model_tick(m, ((const struct mb_tick *)data)->at.t_ns,
			      ((const struct mb_tick *)data)->complete);
		return 0;
	case MB_FRAME_MOUNT:
		if (len != sizeof(struct mb_mount))
			return -EINVAL;
		apply_mount(m, data);
		return 0;
	case MB_FRAME_SUMMARY:
		return len == sizeof(struct mb_summary) ? 0 : -EINVAL;
	case MB_FRAME_SYSTEM:
		return apply_system(&m->system, data, len);
	case MB_FRAME_OOM_REPORT:
		return len == sizeof(struct mb_oom_report) ? 0 : -EINVAL;
	case MB_FRAME_LOG:
	case MB_FRAME_SYMBOL:
	case MB_FRAME_OOM_PATH:
	case MB_FRAME_OOM_STAT:
		return apply_oom(m, type, data, len);
	}
	return -EINVAL;
}

void mb_feed(struct mb_feed *f, enum mb_frame_type type, const void *data, size_t len)
{
	if (f->keep)
		f->keep(f->keep_arg, type, data, len);
	mb_frame_apply(f->model, type, data, len);
}

void mb_feed_identity(struct mb_feed *f, const struct mb_process *p, const char *exe,
		      const char *cgroup)
{
	_Alignas(8) char frame[sizeof(struct mb_identity) + 2 * PATH_MAX_LEN];
	struct mb_identity *id = (struct mb_identity *)frame;
	size_t exe_len = exe ? strnlen(exe, PATH_MAX_LEN) : 0;
	size_t cgroup_len = cgroup ? strnlen(cgroup, PATH_MAX_LEN) : 0;

	id->start_ns = p->start_ns;
	id->tgid = p->tgid;
	id->exe_len = (uint16_t)exe_len;
	id->cgroup_len = (uint16_t)cgroup_len;
	if (exe_len)
		memcpy(id + 1, exe, exe_len);
	if (cgroup_len)
		memcpy((char *)(id + 1) + exe_len, cgroup, cgroup_len);
	mb_feed(f, MB_FRAME_IDENTITY, frame, sizeof(*id) + exe_len + cgroup_len);
}

void mb_feed_drops(struct mb_feed *f, const struct mb_drop drops[MB_FAM_MAX][MB_DROP_REASONS])
{
	struct mb_drop_row rows[MB_FAM_MAX * MB_DROP_REASONS];
	size_t n = 0;

	for (uint32_t family = 0; family < MB_FAM_MAX; family++) {
		for (uint32_t reason = 0; reason < MB_DROP_REASONS; reason++) {
			if (!drops[family][reason].count)
				continue;
			rows[n++] = (struct mb_drop_row){ drops[family][reason], family, reason };
		}
	}
	mb_feed(f, MB_FRAME_DROPS, rows, n * sizeof(rows[0]));
}
