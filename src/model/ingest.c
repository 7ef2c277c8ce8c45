// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Applies records to a model. */
#include "model/ingest.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/longpath.h"

/* Longer than any path of a file. */
#define EXE_MAX_LEN 4096

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
	p = id->tgid ? mb_model_find_exactly(m, id->tgid, id->start_ns) : mb_ended_row(m, id->start_ns);
	if (!p)
		return 0;
	p->looked_up = true;
	free(p->cgroup_path);
	p->cgroup_path = id->cgroup_len ? strndup(cgroup, id->cgroup_len) : NULL;
	if (!id->exe_len)
		return 0; /* only the path that was passed to exec is known */
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
	int err = mb_system_from_record(&s->now, data, len);

	if (err)
		return err;
	if (!s->known)
		s->first = s->before = s->now;
	s->known = true;
	return 0;
}

static int apply_memcg(struct mb_model *m, const void *data, size_t len)
{
	struct mb_memcg_same_record same;
	struct mb_memcg_record f;

	if (len == sizeof(same)) {
		memcpy(&same, data, len);
		mb_memcg_same(&m->memcgs, same.cgroup, same.t_ns);
		return 0;
	}
	if (len != sizeof(f))
		return -EINVAL;
	memcpy(&f, data, len);
	/* the machine's split is derived from its system record */
	if (f.cgroup)
		mb_memcg_note(&m->memcgs, f.cgroup, &f.split);
	return 0;
}

/* A record for a feature: pass it to the observers. */
static int apply_observed(struct mb_model *m, enum mb_ingest_type type, const void *data, size_t len)
{
	size_t least = type == MB_INGEST_LIMITS ? sizeof(struct mb_cgroup_limits) :
		       type == MB_INGEST_LOG    ? sizeof(struct mb_log_line) :
		       type == MB_INGEST_LEAKS  ? sizeof(struct mb_leaks_record) :
						 sizeof(struct mb_oom_name);

	if (len < least)
		return -EINVAL;
	mb_observers_record(m, type, data, len);
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
	mb_mount_found(&m->mounts, mount->dev, path);
}

static int apply_device(struct mb_model *m, const void *data, size_t len)
{
	struct mb_device_name name;

	if (len != sizeof(name))
		return -EINVAL;
	memcpy(&name, data, sizeof(name));
	name.bdi[sizeof(name.bdi) - 1] = name.device[sizeof(name.device) - 1] = '\0';
	mb_device_named(&m->devices, &name);
	return 0;
}

int mb_ingest_apply(struct mb_model *m, enum mb_ingest_type type, const void *data, size_t len)
{
	switch (type) {
	case MB_INGEST_SETUP:
		if (len != sizeof(struct mb_setup))
			return -EINVAL;
		apply_setup(m, data);
		return 0;
	case MB_INGEST_EVENT:
		mb_model_event(m, data, len);
		return 0;
	case MB_INGEST_IDENTITY:
		return len < sizeof(struct mb_identity) ? -EINVAL : apply_identity(m, data, len);
	case MB_INGEST_MEMORY:
		return apply_memory(m, data, len);
	case MB_INGEST_DROPS:
		if (len % sizeof(struct mb_drop_row))
			return -EINVAL;
		return apply_drops(m, data, len / sizeof(struct mb_drop_row));
	case MB_INGEST_TICK:
		if (len != sizeof(struct mb_tick))
			return -EINVAL;
		mb_model_tick(m, ((const struct mb_tick *)data)->at.t_ns,
			      ((const struct mb_tick *)data)->complete);
		return 0;
	case MB_INGEST_MOUNT:
		if (len != sizeof(struct mb_mount))
			return -EINVAL;
		apply_mount(m, data);
		return 0;
	case MB_INGEST_DEVICE:
		return apply_device(m, data, len);
	case MB_INGEST_SUMMARY:
		return len == sizeof(struct mb_summary) ? 0 : -EINVAL;
	case MB_INGEST_SYSTEM:
		return apply_system(&m->system, data, len);
	case MB_INGEST_MEMCG:
		return apply_memcg(m, data, len);
	case MB_INGEST_OOM_REPORT:
		return len == sizeof(struct mb_oom_report) ? 0 : -EINVAL;
	case MB_INGEST_LIMITS:
	case MB_INGEST_LOG:
	case MB_INGEST_SYMBOL:
	case MB_INGEST_OOM_PATH:
	case MB_INGEST_OOM_STAT:
	case MB_INGEST_LEAKS:
		return apply_observed(m, type, data, len);
	}
	return -EINVAL;
}

void mb_ingest(struct mb_ingest *f, enum mb_ingest_type type, const void *data, size_t len)
{
	if (f->keep)
		f->keep(f->keep_arg, type, data, len);
	mb_ingest_apply(f->model, type, data, len);
}

void mb_ingest_identity(struct mb_ingest *f, const struct mb_process *p, const char *exe,
			const char *cgroup)
{
	_Alignas(8) char record[sizeof(struct mb_identity) + EXE_MAX_LEN + MB_CGROUP_PATH_MAX];
	struct mb_identity *id = (struct mb_identity *)record;
	size_t exe_len = exe ? strnlen(exe, EXE_MAX_LEN) : 0, cgroup_len;
	char path[MB_CGROUP_PATH_MAX + 1] = "";

	if (cgroup)
		mb_shorten(path, sizeof(path), cgroup, p->cgroup);
	cgroup_len = strlen(path);
	id->start_ns = p->start_ns;
	id->tgid = p->tgid;
	id->exe_len = (uint16_t)exe_len;
	id->cgroup_len = (uint16_t)cgroup_len;
	if (exe_len)
		memcpy(id + 1, exe, exe_len);
	if (cgroup_len)
		memcpy((char *)(id + 1) + exe_len, path, cgroup_len);
	mb_ingest(f, MB_INGEST_IDENTITY, record, sizeof(*id) + exe_len + cgroup_len);
}

void mb_ingest_drops(struct mb_ingest *f, const struct mb_drop drops[MB_FAM_MAX][MB_DROP_REASONS])
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
	mb_ingest(f, MB_INGEST_DROPS, rows, n * sizeof(rows[0]));
}
