// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Sums the time spent at each level. */
#include "model/levels.h"

const char *const mb_level_names[MB_LEVELS] = { "full", "sampled", "counts", "iterator" };

/* Time since the last event, or since the time that counts. */
static uint64_t time_until(const struct mb_levels *l, uint64_t t_ns)
{
	uint64_t from = l->since_ns > l->from_ns ? l->since_ns : l->from_ns;

	return l->governed && t_ns > from ? t_ns - from : 0;
}

void mb_levels_add(struct mb_levels *l, const struct mb_level_event *e)
{
	if (e->to >= MB_LEVELS)
		return;
	l->ns[l->now] += time_until(l, e->h.t_ns);
	l->governed = true;
	l->since_ns = e->h.t_ns;
	l->now = e->to;
	l->tick_divisor = e->tick_divisor;
	for (enum mb_level level = MB_LEVEL_FULL + 1; level < MB_LEVELS; level++) {
		if (e->to < level)
			l->off_since_ns[level] = 0;
		else if (!l->off_since_ns[level])
			l->off_since_ns[level] = e->h.t_ns;
	}
	if (e->to >= MB_LEVEL_ITERATOR && !l->partial_ns)
		l->partial_ns = e->h.t_ns;
}

uint64_t mb_levels_ns(const struct mb_levels *l, enum mb_level level, uint64_t now_ns)
{
	return l->ns[level] + (level == l->now ? time_until(l, now_ns) : 0);
}

uint64_t mb_levels_off_ns(const struct mb_levels *l, enum mb_level from, uint64_t now_ns)
{
	uint64_t ns = 0;

	for (enum mb_level level = from; level < MB_LEVELS; level++)
		ns += mb_levels_ns(l, level, now_ns);
	return ns;
}
