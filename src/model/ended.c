// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Sums the accounts of processes that leave the model, by program. */
#include "model/ended.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "model/detail.h"
#include "model/model.h"

#define OTHER "(other ended)"

const char *mb_process_name(const struct mb_process *p, char *buf)
{
	snprintf(buf, MB_ENDED_NAME_LEN, "%.15s%s", p->comm,
		 p->is_sum && strcmp(p->comm, OTHER) != 0 ? " (ended)" : "");
	return buf;
}

static struct mb_process *row_new(struct mb_model *m, const char *comm)
{
	struct mb_process *row = mb_process_new();

	if (!row)
		return NULL;
	snprintf(row->comm, sizeof(row->comm), "%s", comm);
	row->start_ns = ++m->ended.n_rows;
	row->exited = row->is_sum = true;
	/* in a recording, an unknown value is not 0 */
	for (unsigned int i = 0; m->recorded && i < mb_slots(); i++)
		row->values[i] = MB_NO_VALUE;
	DL_APPEND(m->ended.rows, row);
	return row;
}

/* The row for everything that has no row of its own. */
static struct mb_process *row_other(struct mb_model *m)
{
	if (!m->ended.other && (m->ended.other = row_new(m, OTHER)))
		m->ended.other->looked_up = true;
	return m->ended.other;
}

/* Cgroup ids are only valid in one boot; recordings have paths only. */
static bool same_cgroup(const struct mb_process *a, const struct mb_process *b)
{
	if (a->cgroup || b->cgroup)
		return a->cgroup == b->cgroup;
	return !strcmp(a->cgroup_path ? a->cgroup_path : "", b->cgroup_path ? b->cgroup_path : "");
}

static struct mb_process *row_of(struct mb_model *m, const struct mb_process *p)
{
	struct mb_process *row;

	DL_FOREACH(m->ended.rows, row)
	{
		if (row != m->ended.other && strcmp(row->comm, p->comm) == 0 && same_cgroup(row, p))
			return row;
	}
	if (m->ended.n_rows >= MB_ENDED_ROWS - 1 || !(row = row_new(m, p->comm)))
		return row_other(m);
	row->cgroup = p->cgroup;
	row->looked_up = !p->cgroup;
	return row;
}

static void add_values(struct mb_process *to, const struct mb_process *p)
{
	unsigned int slot = 0;
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			bool stall = fam[i]->fields[j].kind == MB_FIELD_STALL;
			bool first = to->values[slot] == MB_NO_VALUE;

			for (int sums = stall ? 2 : 1; sums; sums--, slot++) {
				to->values[slot] = mb_values_sum(to->values[slot], p->values[slot]);
				to->before[slot] = mb_values_sum(to->before[slot], p->before[slot]);
			}
			if (stall) { /* the longest */
				to->values[slot] = first ? p->values[slot] :
							   mb_values_max(to->values[slot], p->values[slot]);
				to->before[slot] = mb_values_max(to->before[slot], p->before[slot]);
				slot++;
			}
		}
	}
}

static struct mb_ended_of *recent_slot(struct mb_model *m, uint32_t tgid, uint64_t start_ns)
{
	uint64_t hash = (start_ns + ((uint64_t)tgid << 40)) * 0x9e3779b97f4a7c15ull; /* Fibonacci */

	return &m->ended.recent[hash >> 32 & (MB_ENDED_RECENT - 1)];
}

/* On a hash collision the newer process is remembered. */
static void remember(struct mb_model *m, const struct mb_process *p, struct mb_process *row)
{
	if (!m->ended.recent)
		m->ended.recent = calloc(MB_ENDED_RECENT, sizeof(*m->ended.recent));
	if (m->ended.recent)
		*recent_slot(m, p->tgid, p->start_ns) =
			(struct mb_ended_of){ .start_ns = p->start_ns, .tgid = p->tgid, .row = row };
}

struct mb_process *mb_ended_fold(struct mb_model *m, struct mb_process *p, uint32_t processes)
{
	struct mb_process *row = row_of(m, p);

	if (!row)
		return NULL;
	if (!row->cgroup_path && p->cgroup_path && row != m->ended.other)
		row->cgroup_path = strdup(p->cgroup_path);
	row->ended_processes += processes;
	row->minor += p->minor;
	row->major += p->major;
	if (p->peak_pages > row->peak_pages)
		row->peak_pages = p->peak_pages;
	add_values(row, p);
	mb_details_add(row, p->details);
	remember(m, p, row);
	m->ended.processes += processes;
	return row;
}

struct mb_process *mb_ended_find(struct mb_model *m, uint32_t tgid, uint64_t start_ns)
{
	const struct mb_ended_of *of = m->ended.recent ? recent_slot(m, tgid, start_ns) : NULL;

	if (!m->ended.n_rows)
		return NULL;
	return of && of->row && of->tgid == tgid && of->start_ns == start_ns ? of->row : row_other(m);
}

struct mb_process *mb_ended_row(struct mb_model *m, uint64_t start_ns)
{
	struct mb_process *row;

	DL_FOREACH(m->ended.rows, row)
	{
		if (row->start_ns == start_ns)
			return row;
	}
	return NULL;
}

const char *mb_ended_cgroup_path(const struct mb_model *m, uint64_t cgroup)
{
	const struct mb_process *row;

	DL_FOREACH(m->ended.rows, row)
	{
		if (row->cgroup == cgroup && row->cgroup_path)
			return row->cgroup_path;
	}
	return NULL;
}

void mb_ended_free(struct mb_model *m)
{
	struct mb_process *row, *tmp;

	DL_FOREACH_SAFE(m->ended.rows, row, tmp)
	{
		DL_DELETE(m->ended.rows, row);
		mb_process_free(row);
	}
	free(m->ended.recent);
	memset(&m->ended, 0, sizeof(m->ended));
}
