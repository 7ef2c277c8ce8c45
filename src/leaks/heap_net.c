// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* All blocks of a heap beside those whose call sites are known. */
#include "leaks/heap_net.h"

#include <math.h>
#include <string.h>

/* Nearly all blocks must have had a size word: as the kernel side has it. */
#define WORDS_PER_NONE 16

/*
 * From where growth counts: the beginning; or the lowest point since, if that was long ago (for half of the time there
 * was nothing lower). What was just given back and is taken again is no growth.
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

/* Each block that was freed, and the one in its place, may as well have come a moment later: a walk by chance. */
static double variance_of(double unknown, double size)
{
	return 2 * unknown * size * size;
}

/* A sample says a few more or less than there are: only what is beyond this many standard errors has been freed. */
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
		/* the variance of a number of blocks that stand for others */
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

/* Without sizes only the number of blocks is known; those freed are taken to be as large as those allocated. */
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
	/* it had to give way to another's: what it had counted is gone */
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
