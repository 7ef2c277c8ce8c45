// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reading a blame: sums, names, and what is shown first. */
#include <stdlib.h>

#include "model/blame.h"

uint64_t mb_victim_ns(const struct mb_victim *v)
{
	uint64_t sum = 0;

	for (int i = 0; i < MB_BLAME_WHATS; i++)
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

static int by_file_pages(const void *a, const void *b)
{
	const struct mb_culprit_file *x = a, *y = b;

	return x->pages_ns < y->pages_ns ? 1 : x->pages_ns > y->pages_ns ? -1 : 0;
}

static int by_pages(const struct mb_eviction_pair *a, const struct mb_eviction_pair *b)
{
	return a->pages < b->pages ? 1 : a->pages > b->pages ? -1 : 0;
}

void mb_blame_sort(struct mb_matrix *m)
{
	struct mb_victim *v, *tmp;

	HASH_SORT(m->victims, by_time);
	HASH_SORT(m->evictions, by_pages);
	HASH_ITER(hh, m->victims, v, tmp)
	{
		/* "(others)" must stay last, where it is found again */
		uint32_t n = v->n_culprits < MB_BLAME_CULPRITS ? v->n_culprits : MB_BLAME_CULPRITS - 1;

		qsort(v->culprits, n, sizeof(v->culprits[0]), by_blame);
		for (uint32_t i = 0; i < v->n_culprits; i++) {
			struct mb_culprit *c = &v->culprits[i];
			uint32_t files = c->n_files < MB_BLAME_CULPRIT_FILES ? c->n_files :
									       c->n_files - 1;

			qsort(c->files, files, sizeof(c->files[0]), by_file_pages);
		}
	}
}

static int by_written(const void *a, const void *b)
{
	const struct mb_written_file *x = a, *y = b;

	return x->pages < y->pages ? 1 : x->pages > y->pages ? -1 : 0;
}

void mb_device_sort(struct mb_device *d)
{
	uint32_t n = d->n_written < MB_BLAME_WRITTEN_FILES ? d->n_written : d->n_written - 1;

	qsort(d->written, n, sizeof(d->written[0]), by_written);
}

const char *mb_blame_what_name(enum mb_blame_what what)
{
	static const char *const names[MB_BLAME_WHATS] = {
		[MB_BLAME_PAUSE] = "dirty_throttle",   [MB_BLAME_WAIT] = "writeback_wait",
		[MB_BLAME_FSYNC] = "fsync",	       [MB_BLAME_DIRECT] = "direct_reclaim",
		[MB_BLAME_MEMCG] = "memcg_reclaim",    [MB_BLAME_COMPACTION] = "compaction",
		[MB_BLAME_THROTTLE] = "throttle",      [MB_BLAME_HIGH] = "high_throttle",
	};

	return names[what];
}
