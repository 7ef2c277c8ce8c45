/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Sorts events by time. Events arrive late by up to some tenths of a second, because rings are read
 * one after another and threads send faults in batches. Events are held here until no earlier event
 * can arrive.
 */
#ifndef MB_MODEL_ORDER_H
#define MB_MODEL_ORDER_H

#include <stdint.h>

#include "memblame/abi.h"

struct mb_model;
struct mb_order;

/*
 * Maximum size of held events. Beyond it the older half is shown, although earlier events may still
 * arrive.
 */
#define MB_ORDER_BYTES (64u << 20)

/*
 * Maximum delay. A stall that lasts a minute is therefore shown, with its start time, when it is
 * over.
 */
#define MB_ORDER_MOST_NS (2 * 1000000000ull)

/*
 * show: receives the events; comm: of the event's process at the time the event was read, "" if
 * unknown. Returns NULL if out of memory.
 */
struct mb_order *mb_order_new(void (*show)(void *arg, const char *comm, const struct mb_event *e), void *arg);
void mb_order_free(struct mb_order *o);

/* An event has been read; m provides the comm. Without memory the event is shown at once. */
void mb_order_add(struct mb_order *o, struct mb_model *m, const struct mb_event *e);

/* No event from before until_ns can arrive any more: show all earlier ones, in order of time. */
void mb_order_show(struct mb_order *o, uint64_t until_ns);

/* Number of events that arrived after a later one had been shown. */
uint64_t mb_order_late(const struct mb_order *o);

#endif
