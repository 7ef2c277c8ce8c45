/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Events in order of time: rings are read one after the other, and a thread sends its faults in batches, so events come
 * late by up to some tenths of a second. They wait here until nothing of before can come any more.
 */
#ifndef MB_MODEL_ORDER_H
#define MB_MODEL_ORDER_H

#include <stdint.h>

#include "memblame/abi.h"

struct mb_model;
struct mb_order;

/* What waits; over that the older half is shown, though something of before may still come. */
#define MB_ORDER_BYTES (64u << 20)

/* Nothing is waited for longer: a stall that lasts for a minute is told, with its start, when it is over. */
#define MB_ORDER_MOST_NS (2 * 1000000000ull)

/* show: who gets the events; comm: who the process was when the event was read, "" where that is not known. */
struct mb_order *mb_order_new(void (*show)(void *arg, const char *comm, const struct mb_event *e), void *arg);
void mb_order_free(struct mb_order *o);

/* An event has been read; m says whose it is. Without memory for it, it is shown at once. */
void mb_order_add(struct mb_order *o, struct mb_model *m, const struct mb_event *e);

/* Nothing from before until_ns can come any more: show what is from before that, in order of time. */
void mb_order_show(struct mb_order *o, uint64_t until_ns);

/* Events that came when a later one had been shown already. */
uint64_t mb_order_late(const struct mb_order *o);

#endif
