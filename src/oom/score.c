// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The candidates of the OOM killer, in the kernel's order. */
#include "model/model.h"
#include "oom/oom.h"

const struct mb_oom_task_event *mb_oom_task(const struct mb_oom *o, const struct mb_oom_kill *k, uint32_t i)
{
	uint64_t at = k->first_task + i;

	if (i >= k->n_tasks || at + MB_OOM_TASKS < o->n_tasks)
		return NULL;
	return &o->tasks[at % MB_OOM_TASKS];
}

bool mb_oom_badness(const struct mb_oom_task_event *t, uint64_t total_pages, int64_t *badness)
{
	int64_t points = (int64_t)(t->rss_pages[0] + t->rss_pages[1] + t->rss_pages[2] + t->rss_pages[3] +
				   t->pgtables_bytes / MB_PAGE_SIZE);

	*badness = points + t->oom_score_adj * ((int64_t)total_pages / 1000);
	return t->oom_score_adj != -1000; /* OOM_SCORE_ADJ_MIN */
}

uint64_t mb_oom_score(const struct mb_oom_task_event *t, uint64_t machine_pages)
{
	int64_t badness;

	if (!mb_oom_badness(t, machine_pages, &badness) || !machine_pages)
		return 0;
	badness = (1000 + badness * 1000 / (int64_t)machine_pages) * 2 / 3;
	return badness > 0 ? (uint64_t)badness : 0;
}

/* Does task a come after task b? Those that may not be killed come last. */
static bool comes_after(struct mb_oom *o, const struct mb_oom_kill *k, uint32_t a, uint32_t b)
{
	const struct mb_oom_task_event *x = mb_oom_task(o, k, a), *y = mb_oom_task(o, k, b);
	int64_t of_x = 0, of_y = 0;
	bool x_may = x && mb_oom_badness(x, k->first.total_pages, &of_x);
	bool y_may = y && mb_oom_badness(y, k->first.total_pages, &of_y);

	return x_may != y_may ? y_may : of_x < of_y;
}

/*
 * Heap sort, because qsort() allocates memory for long lists. The task that is last in the order is
 * at the top of the heap.
 */
static void sift_down(struct mb_oom *o, const struct mb_oom_kill *k, uint32_t from, uint32_t n)
{
	uint32_t *list = o->order;

	for (;;) {
		uint32_t child = 2 * from + 1, moved = list[from];

		if (child >= n)
			return;
		if (child + 1 < n && comes_after(o, k, list[child + 1], list[child]))
			child++;
		if (!comes_after(o, k, list[child], moved))
			return;
		list[from] = list[child];
		list[child] = moved;
		from = child;
	}
}

uint32_t mb_oom_sort(struct mb_oom *o, const struct mb_oom_kill *k)
{
	uint32_t n = k->n_tasks < MB_OOM_TASKS ? k->n_tasks : MB_OOM_TASKS;

	for (uint32_t i = 0; i < n; i++)
		o->order[i] = i;
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(o, k, i, n);
	for (uint32_t end = n; end > 1;) {
		uint32_t last = o->order[0];

		o->order[0] = o->order[--end];
		o->order[end] = last;
		sift_down(o, k, 0, end);
	}
	return n;
}

const char *mb_oom_constraint_name(const struct mb_oom_kill *k)
{
	static const char *const names[] = { "global", "cpuset", "mempolicy", "memcg" };

	return k->first.total_pages && k->first.constraint < MB_OOM_CONSTRAINTS ?
		       names[k->first.constraint] :
		       NULL;
}
