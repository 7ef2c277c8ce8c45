// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Holds events until they can be shown in order of time. */
#include "model/order.h"

#include <stdlib.h>
#include <string.h>

#include "model/model.h"

struct waiting {
	uint64_t t_ns;
	uint64_t number; /* events with the same time stay in order of arrival */
	char comm[MB_COMM_LEN];
	char event[];
};

struct mb_order {
	void (*show)(void *arg, const char *comm, const struct mb_event *e);
	void *arg;
	struct waiting **list;
	size_t n, room, bytes;
	uint64_t number, late;
	uint64_t shown_ns; /* time of the last event shown */
};

struct mb_order *mb_order_new(void (*show)(void *arg, const char *comm, const struct mb_event *e), void *arg)
{
	struct mb_order *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->show = show;
	o->arg = arg;
	return o;
}

void mb_order_free(struct mb_order *o)
{
	for (size_t i = 0; o && i < o->n; i++)
		free(o->list[i]);
	if (o)
		free(o->list);
	free(o);
}

static bool has_room(struct mb_order *o)
{
	size_t room = o->room ? 2 * o->room : 1024;
	struct waiting **bigger;

	if (o->n < o->room)
		return true;
	bigger = realloc(o->list, room * sizeof(*bigger));
	if (!bigger)
		return false;
	o->list = bigger;
	o->room = room;
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct waiting *x = *(struct waiting *const *)a, *y = *(struct waiting *const *)b;

	if (x->t_ns != y->t_ns)
		return x->t_ns < y->t_ns ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static size_t size_of(const struct waiting *w)
{
	return sizeof(*w) + ((const struct mb_event *)w->event)->size;
}

static void show(struct mb_order *o, const struct waiting *w)
{
	o->late += w->t_ns < o->shown_ns;
	if (w->t_ns > o->shown_ns)
		o->shown_ns = w->t_ns;
	o->show(o->arg, w->comm, (const struct mb_event *)w->event);
}

/* Show the first n events of the sorted list. */
static void show_first(struct mb_order *o, size_t n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n; i++) {
		show(o, o->list[i]);
		o->bytes -= size_of(o->list[i]);
		free(o->list[i]);
	}
	memmove(o->list, o->list + n, (o->n - n) * sizeof(*o->list));
	o->n -= n;
}

static void sort(struct mb_order *o)
{
	if (o->n)
		qsort(o->list, o->n, sizeof(*o->list), by_time);
}

void mb_order_add(struct mb_order *o, struct mb_model *m, const struct mb_event *e)
{
	const struct mb_process *p = mb_model_find(m, e->tgid);
	struct waiting *w = has_room(o) ? malloc(sizeof(*w) + e->size) : NULL;

	if (!w) {
		o->late += e->t_ns < o->shown_ns;
		o->show(o->arg, p ? p->comm : "", e);
		return;
	}
	w->t_ns = e->t_ns;
	w->number = o->number++;
	memset(w->comm, 0, sizeof(w->comm));
	if (p)
		memcpy(w->comm, p->comm, sizeof(w->comm) - 1);
	memcpy(w->event, e, e->size);
	o->list[o->n++] = w;
	o->bytes += size_of(w);
	if (o->bytes < MB_ORDER_BYTES)
		return;
	sort(o);
	show_first(o, o->n / 2);
}

void mb_order_show(struct mb_order *o, uint64_t until_ns)
{
	size_t n = 0;

	sort(o);
	while (n < o->n && o->list[n]->t_ns < until_ns)
		n++;
	show_first(o, n);
}

uint64_t mb_order_late(const struct mb_order *o)
{
	return o ? o->late : 0;
}
