// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Compares all blocks of a heap with those whose call sites are known. */
#include "leaks/heap_net.h"

#include <math.h>
#include <string.h>

/* Use size classes only if nearly all blocks had a size word; the kernel side uses the same ratio. */
#define WORDS_PER_NONE 16

/*
 * Growth since the baseline. The baseline is zero at the start of the account, or the lowest point
 * since then if that was long ago (nothing was lower for half of the time). Memory that was freed
 * recently and is allocated again does not count as growth.
 */
static double grown(double now, uint64_t t_ns, struct mb_heap_lows *lows, int i)
{
	double base = 0;

	if (now < lows->low[i]) {
		lows->low[i] = now;
		lows->low_ns[i] = t_ns;
	}
	if (lows->low[i] < 0 && t_ns - lows->low_ns[i] >= (t_ns - lows->since_ns) / 2)
		base = lows->low[i];
	return fmax(0, now - base);
}

static double share_of(double grown, double known)
{
	return known > 0 ? fmin(1, grown / known) : 1;
}

/*
 * Each freed block and the block that replaced it could as well have come a moment later, so the
 * sum behaves like a random walk.
 */
static double variance_of(double unknown, double size)
{
	return 2 * unknown * size * size;
}

/*
 * A sample can overestimate or underestimate the number of blocks. Only a difference of more than
 * this many standard errors counts as freed blocks.
 */
#define BEYOND_CHANCE 2.0

double mb_heap_weight(double size, uint64_t mean)
{
	return mean > 1 ? 1 / -expm1(-fmax(size, 1) / (double)mean) : 1;
}

static void by_class(const struct mb_heap_net *net, const struct mb_heap_known *known, uint64_t mean, uint64_t t_ns,
		     struct mb_heap_lows *lows, struct mb_heap_shares *out)
{
	double variance = 0;

	for (int c = 0; c < MB_HEAP_CLASSES; c++) {
		double unknown = fmax(0, known->count[c] - (double)net->count[c]);
		double size = known->count[c] > 0 ? known->bytes[c] / known->count[c] : 0;
		/* variance of a number of blocks, each of which stands for several */
		double by_chance = fmax(0, known->count[c]) * (mb_heap_weight(size, mean) - 1);

		out->share[c] =
			share_of(grown((double)net->count[c], t_ns, lows, c), known->count[c]);
		out->variance[c] = variance_of(unknown, size);
		out->net_bytes += (double)net->bytes[c];
		if (unknown <= BEYOND_CHANCE * sqrt(by_chance))
			continue;
		out->unknown_count += unknown;
		out->unknown_bytes += unknown * size;
		variance += by_chance * size * size;
	}
	out->unknown_error = sqrt(variance);
}

/*
 * Without size words only the number of blocks is known; freed blocks are assumed to be as large on
 * average as allocated ones.
 */
static void by_number(const struct mb_heap_net *net, const struct mb_heap_known *known,
		      uint64_t t_ns, struct mb_heap_lows *lows, struct mb_heap_shares *out)
{
	double count = 0, bytes = 0, now = (double)net->allocated - (double)net->freed, share;
	double mean = net->allocated ? (double)net->allocated_bytes / (double)net->allocated : 0;

	for (int c = 0; c < MB_HEAP_CLASSES; c++) {
		count += known->count[c];
		bytes += known->bytes[c];
	}
	share = share_of(grown(now, t_ns, lows, MB_HEAP_CLASSES), count);
	out->unknown_count = fmax(0, count - now);
	out->unknown_bytes = out->unknown_count * (count > 0 ? bytes / count : mean);
	out->unknown_error = sqrt(out->unknown_count) * mean;
	out->net_bytes = now * mean;
	for (int c = 0; c < MB_HEAP_CLASSES; c++) {
		double size = known->count[c] > 0 ? known->bytes[c] / known->count[c] : 0;
		double part = count > 0 ? known->count[c] / count : 0;

		out->share[c] = share;
		out->variance[c] = variance_of(out->unknown_count * part, size);
	}
}

void mb_heap_share(const struct mb_heap_net *net, const struct mb_heap_known *known, uint64_t mean, uint64_t t_ns,
		   struct mb_heap_lows *lows, struct mb_heap_shares *out)
{
	memset(out, 0, sizeof(*out));
	if (!lows->since_ns)
		lows->since_ns = net->since_ns;
	/* the account was evicted by that of another process, and its counters are lost */
	lows->incomplete |= lows->since_ns != net->since_ns;
	out->known = !lows->incomplete && net->allocated + net->freed > 0;
	out->by_class = net->size_words > WORDS_PER_NONE * net->no_size_words;
	if (!out->known)
		return;
	memcpy(out->known_bytes, known->bytes, sizeof(out->known_bytes));
	if (out->by_class)
		by_class(net, known, mean, t_ns, lows, out);
	else
		by_number(net, known, t_ns, lows, out);
}
