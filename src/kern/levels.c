// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Changes the level at which the BPF programs trace; bpf/core/trace_level.bpf.h explains the order
 * of the steps.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "kern/internal.h"

/* At level sampled and above, 1 in this many faults is timed; not more often than at level full. */
#define SAMPLED_1_IN 1024u

/* Wait for a grace period where membarrier() is not available (nohz_full). */
#define GRACE_US 50000

/* Publishes a level to the BPF programs, with the matching sampling of faults. */
static void set_pace(struct mb_kern *k, enum mb_level level)
{
	struct mb_trace_level trace_level = k->bpf->data_trace_level->trace_level;
	uint32_t full = mb_kern_sample_1_in(k), now = level >= MB_LEVEL_SAMPLED ? SAMPLED_1_IN : full;

	trace_level.level = level;
	trace_level.sample_mask = now - 1;
	trace_level.weight = now / full;
	if (level >= MB_LEVEL_ITERATOR && k->level < MB_LEVEL_ITERATOR)
		trace_level.gap_ns = mb_now_ns();
	k->bpf->data_trace_level->trace_level = trace_level;
}

void mb_levels_prepare(struct mb_kern *k)
{
	k->level = MB_LEVEL_FULL;
	set_pace(k, MB_LEVEL_FULL);
}

/*
 * Waits until every running program sees the new level and all programs that saw the old one have
 * ended.
 */
static void wait_grace_period(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(GRACE_US);
}

/* Closes in all ledgers what hot hooks have begun. */
static int settle(struct mb_kern *k)
{
	int n;

	wait_grace_period();
	*(volatile __u32 *)&k->bpf->data_trace_level->trace_level.settle = 1;
	n = mb_kern_harvest(k, NULL, NULL);
	*(volatile __u32 *)&k->bpf->data_trace_level->trace_level.settle = 0;
	return n < 0 ? n : 0;
}

enum mb_level mb_kern_level(const struct mb_kern *k)
{
	return k->level;
}

int mb_kern_set_level(struct mb_kern *k, enum mb_level level)
{
	int err = 0;

	if (!k->cfg.governed || level >= MB_LEVELS)
		return -EINVAL;
	if (level > k->level) {
		set_pace(k, level);
		if (level >= MB_LEVEL_ITERATOR && k->level < MB_LEVEL_ITERATOR)
			err = settle(k);
		if (!err)
			mb_attach_take_off(k, level);
		if (err)
			set_pace(k, k->level);
	} else if (level < k->level) {
		err = mb_attach_put_back(k, level);
		if (err) /* all or nothing */
			mb_attach_take_off(k, k->level);
		else
			set_pace(k, level);
	}
	if (!err)
		k->level = level;
	return err;
}
