// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The list of observers of a model. */
#include "model/observer.h"

#include <string.h>

#include "model/model.h"

void mb_model_observe(struct mb_model *m, struct mb_observer *o)
{
	struct mb_observer **end = &m->observers;

	while (*end)
		end = &(*end)->next;
	o->next = NULL;
	*end = o;
}

void *mb_model_observer(const struct mb_model *m, const char *name)
{
	for (const struct mb_observer *o = m->observers; o; o = o->next) {
		if (!strcmp(o->name, name))
			return o->arg;
	}
	return NULL;
}

/* Call this function of each observer that has it. */
#define CALL(m, function, ...)                                                      \
	do {                                                                        \
		for (const struct mb_observer *o = (m)->observers; o; o = o->next) { \
			if (o->function)                                            \
				o->function(o->arg, ##__VA_ARGS__);                 \
		}                                                                   \
	} while (0)

void mb_observers_event(struct mb_model *m, const struct mb_event *e)
{
	CALL(m, event, e);
}

void mb_observers_annotate(struct mb_model *m, struct mb_event *shown)
{
	CALL(m, annotate, shown);
}

void mb_observers_record(struct mb_model *m, unsigned int type, const void *data, size_t len)
{
	CALL(m, record, type, data, len);
}

void mb_observers_tick(struct mb_model *m, uint64_t t_ns)
{
	CALL(m, tick, t_ns);
}

void mb_observers_interval(struct mb_model *m)
{
	CALL(m, interval);
}

void mb_observers_free(struct mb_model *m)
{
	struct mb_observer *o, *next;

	for (o = m->observers; o; o = next) {
		next = o->next; /* o is freed with its feature */
		if (o->free)
			o->free(o->arg);
	}
	m->observers = NULL;
}
