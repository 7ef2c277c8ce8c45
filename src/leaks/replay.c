// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Repeats the steps of a recorded leak detection. */
#include "leaks/replay.h"

#include <stdlib.h>
#include <string.h>

#include "leaks/limits.h"
#include "leaks/lookup.h"

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* The recording contains leak detection. */
static void replay_begin(struct mb_leaks_session *l, const struct mb_leak_begin *begin)
{
	if (l->begun || !is_power_of_two(begin->page_sample_1_in) || begin->page_sample_1_in > 65536 ||
	    !begin->kmem_sample_1_in)
		return;
	l->recorded_cfg = *l->cfg;
	l->recorded_cfg.page_sample_1_in = begin->page_sample_1_in;
	l->recorded_cfg.heap_sample_bytes = begin->heap_sample_bytes;
	l->recorded_cfg.heap = begin->heap;
	l->recorded_cfg.kernel = begin->kernel;
	l->cfg = &l->recorded_cfg;
	l->start_ns = begin->start_ns;
	l->kmem_sample_1_in = begin->kmem_sample_1_in;
	l->limits = mb_leak_limits_open(NULL, &l->source, begin->has_cgroups);
	l->begun = l->limits;
}

static void replay_follow(struct mb_leaks_session *l, const char *data, size_t len)
{
	char *path = strndup(data, len);

	if (path)
		mb_leaks_follow(l, path);
	free(path);
}

static void replay_select(struct mb_leaks_session *l, bool keep_ended, const void *data, size_t len)
{
	uint32_t pids[MB_MAX_PIDS];
	size_t n = len / sizeof(pids[0]);

	if (n > MB_MAX_PIDS)
		return;
	if (n)
		memcpy(pids, data, n * sizeof(pids[0]));
	mb_leaks_begin(l, pids, n, keep_ended);
}

static void replay_tick(struct mb_leaks_session *l, const struct mb_leak_tick *tick)
{
	if (tick->t_ns < l->leaks->tick_ns || tick->t_ns < l->start_ns)
		return;
	l->code_left_out = tick->code_left_out;
	mb_leaks_ticked(l, tick->complete_ns, tick->t_ns);
}

static void do_step(struct mb_leaks_session *l, const struct mb_leaks_record *head, const void *data, size_t len)
{
	struct mb_leak_tick tick;

	if (head->kind == MB_LEAK_FACT_FOLLOW) {
		replay_follow(l, data, len);
	} else if (head->kind == MB_LEAK_FACT_SELECT) {
		replay_select(l, head->key, data, len);
	} else if (head->kind == MB_LEAK_FACT_WORK) {
		mb_leaks_work_off(l, UINT64_MAX);
	} else if (len == sizeof(tick)) {
		memcpy(&tick, data, sizeof(tick));
		replay_tick(l, &tick);
	}
	mb_leak_source_step_done(&l->source);
}

void mb_leaks_replay(void *arg, unsigned int type, const void *data, size_t len)
{
	struct mb_leaks_session *l = arg;
	struct mb_leaks_record head;
	struct mb_leak_begin begin;

	if (type != MB_INGEST_LEAKS || !l->source.replays)
		return;
	memcpy(&head, data, sizeof(head));
	data = (const char *)data + sizeof(head);
	len -= sizeof(head);
	if (head.kind == MB_LEAK_FACT_BEGIN && len == sizeof(begin)) {
		memcpy(&begin, data, sizeof(begin));
		replay_begin(l, &begin);
	} else if (!l->begun) {
		return;
	} else if (head.kind <= MB_LEAK_FACT_TICK) {
		do_step(l, &head, data, len);
	} else if (head.kind == MB_LEAK_FACT_NAME) {
		mb_leak_replay_name(l, data, len);
	} else if (head.kind == MB_LEAK_FACT_PROCESS) {
		mb_leak_replay_process(l, data, len);
	} else {
		mb_leak_source_arrived(&l->source, &head, data, len);
	}
}
