// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* JSON: stalls summed over all processes of a cgroup. */
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "sinks/json.h"

struct sums {
	const char *path; /* owned by a process; "" if not known */
	uint64_t *values; /* by slot: a sum, or for a maximum the largest value */
	uint32_t processes;
	UT_hash_handle hh;
};

static struct sums *sums_get(struct sums **all, const char *path)
{
	struct sums *s;

	HASH_FIND_STR(*all, path, s);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (s)
		s->values = calloc(mb_slots(), sizeof(*s->values));
	if (!s || !s->values) {
		free(s);
		return NULL;
	}
	s->path = path;
	for (unsigned int i = 0; i < mb_slots(); i++)
		s->values[i] = MB_NO_VALUE;
	HASH_ADD_KEYPTR(hh, *all, s->path, strlen(s->path), s);
	return s;
}

/* Call fn for each kind of stall, with whether this kernel counts it. */
static void each_stall(const struct mb_snapshot *s,
		       void (*fn)(void *arg, const struct mb_field *f, bool known), void *arg)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			if (f->kind == MB_FIELD_STALL)
				fn(arg, f, mb_field_known(s->model, fam[i], f));
		}
	}
}

struct adding {
	const struct mb_snapshot *snapshot;
	const struct mb_process *process;
	struct sums *to;
};

static void add(void *arg, const struct mb_field *f, bool known)
{
	struct adding *a = arg;
	unsigned int slot = mb_slot(f);
	uint64_t *v = a->to->values + slot;

	bool first = v[0] == MB_NO_VALUE;

	(void)known;
	v[0] = mb_values_sum(v[0], mb_snapshot_value(a->snapshot, a->process, slot));
	v[1] = mb_values_sum(v[1], mb_snapshot_value(a->snapshot, a->process, slot + 1));
	v[2] = first ? mb_process_value(a->process, slot + 2) :
		       mb_values_max(v[2], mb_process_value(a->process, slot + 2));
}

struct putting {
	struct mb_out *out;
	const struct sums *sums;
	uint64_t total_ns;
};

static void put(void *arg, const struct mb_field *f, bool known)
{
	struct putting *p = arg;
	const uint64_t *v = p->sums->values + mb_slot(f);

	if (!known || v[0] == MB_NO_VALUE) {
		mb_json_null(p->out, f->name);
		return;
	}
	p->total_ns = mb_values_sum(p->total_ns, v[1]);
	mb_json_object(p->out, f->name);
	mb_json_number(p->out, "count", v[0]);
	mb_json_number(p->out, "ns", v[1]);
	mb_json_number(p->out, "max_ns", v[2]);
	mb_json_object_end(p->out);
}

static void put_sums(struct mb_out *o, const struct mb_snapshot *s, const struct sums *sums)
{
	struct putting p = { o, sums, 0 };

	mb_json_object(o, NULL);
	mb_json_str(o, "cgroup", sums->path[0] ? sums->path : NULL);
	mb_json_u64(o, "processes", sums->processes);
	mb_json_object(o, "stalls");
	each_stall(s, put, &p);
	mb_json_number(o, "total_ns", p.total_ns);
	mb_json_object_end(o);
	mb_json_object_end(o);
}

static void add_processes(struct sums **all, const struct mb_snapshot *s, const struct mb_process *list)
{
	const struct mb_process *p;

	DL_FOREACH(list, p)
	{
		struct adding a = { s, p, sums_get(all, p->cgroup_path ? p->cgroup_path : "") };

		if (!a.to)
			continue;
		a.to->processes += p->is_sum ? p->ended_processes : 1;
		each_stall(s, add, &a);
	}
}

void mb_json_put_cgroups(struct mb_out *o, const struct mb_snapshot *s)
{
	struct sums *all = NULL, *sums, *tmp;

	add_processes(&all, s, s->model->all);
	add_processes(&all, s, s->model->ended.rows);
	mb_json_array(o, "cgroups");
	HASH_ITER(hh, all, sums, tmp)
	{
		put_sums(o, s, sums);
		HASH_DEL(all, sums);
		free(sums->values);
		free(sums);
	}
	mb_json_array_end(o);
}
