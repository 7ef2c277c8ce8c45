// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Read access to blame tables: sums, names and the order in which entries are shown. */
#include <stdlib.h>

#include "blame/blame.h"

uint64_t mb_victim_ns(const struct mb_victim *v)
{
	uint64_t sum = 0;

	for (int i = 0; i < MB_STALL_CAUSES; i++)
		sum += v->ns[i];
	return sum;
}

static int by_time(const struct mb_victim *a, const struct mb_victim *b)
{
	uint64_t x = mb_victim_ns(a), y = mb_victim_ns(b);

	return x < y ? 1 : x > y ? -1 : 0;
}

static int by_blame(const void *a, const void *b)
{
	const struct mb_culprit *x = a, *y = b;

	return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

static int by_sum(const void *a, const void *b)
{
	const struct mb_file_sum *x = a, *y = b;

	return x->sum < y->sum ? 1 : x->sum > y->sum ? -1 : 0;
}

/* "(others)" must stay last, because mb_file_sum_add() expects it there. */
static void sort_files(struct mb_file_sum *list, uint32_t n, uint32_t max)
{
	qsort(list, n < max ? n : max - 1, sizeof(*list), by_sum);
}

static int by_pages(const struct mb_eviction_pair *a, const struct mb_eviction_pair *b)
{
	return a->pages < b->pages ? 1 : a->pages > b->pages ? -1 : 0;
}

void mb_blame_sort(struct mb_blame_table *m)
{
	struct mb_victim *v, *tmp;

	HASH_SORT(m->victims, by_time);
	HASH_SORT(m->evictions, by_pages);
	HASH_ITER(hh, m->victims, v, tmp)
	{
		/* "(others)" must stay last here, too */
		uint32_t n = v->n_culprits < MB_BLAME_CULPRITS ? v->n_culprits : MB_BLAME_CULPRITS - 1;

		qsort(v->culprits, n, sizeof(v->culprits[0]), by_blame);
		for (uint32_t i = 0; i < v->n_culprits; i++) {
			struct mb_culprit *c = &v->culprits[i];

			sort_files(c->files, c->n_files, MB_BLAME_CULPRIT_FILES);
		}
	}
}

/* Finds the program of a process. "(others)" stands for several processes and has no program. */
static struct mb_program *find_program(struct mb_program *list, uint32_t n, const struct mb_process_ref *ref)
{
	for (uint32_t i = 0; i < n && ref->tgid && ref->comm[0]; i++) {
		if (list[i].sum.ref.tgid && strncmp(list[i].sum.ref.comm, ref->comm, sizeof(ref->comm)) == 0)
			return &list[i];
	}
	return NULL;
}

static int by_program(const void *a, const void *b)
{
	const struct mb_program *x = a, *y = b;

	/* "(others)" and "(unknown)" stay last */
	if (!x->sum.ref.tgid != !y->sum.ref.tgid)
		return x->sum.ref.tgid ? -1 : 1;
	return by_blame(&x->sum, &y->sum);
}

uint32_t mb_victim_programs(const struct mb_victim *v, struct mb_program *out)
{
	double known = 0, all = (double)mb_victim_ns(v);
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->n_culprits; i++) {
		const struct mb_culprit *c = &v->culprits[i];
		struct mb_program *p = find_program(out, n, &c->ref);

		if (!p) {
			p = &out[n++];
			p->sum = *c;
			p->n = 0;
		} else {
			p->sum.ns += c->ns;
			p->sum.pages_ns += c->pages_ns;
			for (uint32_t f = 0; f < c->n_files; f++)
				mb_file_sum_add(p->sum.files, &p->sum.n_files, MB_BLAME_CULPRIT_FILES,
						&c->files[f].file, c->files[f].sum);
		}
		p->members[p->n++] = c;
	}
	for (uint32_t i = 0; i < n; i++)
		known += out[i].sum.ns;
	/* a ten-thousandth is what shares are shown in */
	if (n && known < all * (1 - 1e-4)) {
		out[n] = (struct mb_program){ 0 };
		out[n].sum.ref = (struct mb_process_ref){ .comm = "(unknown)" };
		out[n++].sum.ns = all - known;
	}
	for (uint32_t i = 0; i < n; i++)
		sort_files(out[i].sum.files, out[i].sum.n_files, MB_BLAME_CULPRIT_FILES);
	qsort(out, n, sizeof(*out), by_program);
	return n;
}

bool mb_victim_is_culprit(const struct mb_victim *v, const struct mb_program *programs, uint32_t n)
{
	return n == 1 && programs[0].n == 1 && programs[0].sum.ref.tgid == v->ref.tgid &&
	       programs[0].sum.ref.start_ns == v->ref.start_ns;
}

void mb_device_sort(struct mb_device *d)
{
	sort_files(d->written, d->n_written, MB_BLAME_WRITTEN_FILES);
}

const char *mb_stall_cause_name(enum mb_stall_cause cause)
{
	static const char *const names[MB_STALL_CAUSES] = {
		[MB_BLAME_PAUSE] = "dirty_throttle",   [MB_BLAME_WAIT] = "writeback_wait",
		[MB_BLAME_FSYNC] = "fsync",	       [MB_BLAME_DIRECT] = "direct_reclaim",
		[MB_BLAME_MEMCG] = "memcg_reclaim",    [MB_BLAME_COMPACTION] = "compaction",
		[MB_BLAME_THROTTLE] = "throttle",      [MB_BLAME_HIGH] = "high_throttle",
		[MB_BLAME_ASKED] = "memcg_reclaim",
	};

	return names[cause];
}
