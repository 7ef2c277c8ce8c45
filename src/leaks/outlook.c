// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Growth rates and times until limits are reached. The rate is that of the floor, the level below
 * which the amount never fell again, so memory that is freed again does not count.
 */
#include "leaks/outlook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALUES 5u /* minimum number of values */
#define SPAN_NS 2e9
#define RISES 3u
#define LEAST_BYTES (256.0 * 1024) /* the kernel's own counters can lag behind by this much */
#define FALLS 1.5 /* growth must exceed the deepest fall by this factor */
#define EVEN 0.3 /* minimum share of the growth in each half of the time */
#define LONGEST_NS 9e18 /* 285 years */
#define COUNTS 0.75 /* a part counts if the whole grows by this share of its rate: both are measured */
#define AHEAD 10.0 /* young growth counts for so many times its own time */

struct window {
	const struct mb_trend_series *s;
	const double *floor; /* of all points */
	uint32_t first;
};

static double time_of(const struct window *w, uint32_t i)
{
	return (double)(w->s->points[i].t_ns - w->s->points[w->first].t_ns);
}

static double span(const struct window *w)
{
	return time_of(w, w->s->n - 1);
}

static double grown(const struct window *w, uint32_t from)
{
	return w->floor[w->s->n - 1] - w->floor[from];
}

/* Does each half of the time have its share of the growth? */
static bool is_even(const struct window *w)
{
	double all = grown(w, w->first), later;
	uint32_t i = w->first;

	while (i + 1 < w->s->n && time_of(w, i) < span(w) / 2)
		i++;
	later = grown(w, i);
	return all <= 0 || (later >= EVEN * all && later <= (1 - EVEN) * all);
}

/* The deepest fall from a value to a later one, within the window and twice its length before it. */
static double deepest_fall(const struct window *w)
{
	uint32_t len = w->s->n - w->first;
	double peak = 0, fall = 0;

	for (uint32_t i = w->first > 2 * len ? w->first - 2 * len : 0; i < w->s->n; i++) {
		fall = fmax(fall, peak - (double)w->s->points[i].least);
		peak = fmax(peak, (double)w->s->points[i].last);
	}
	return fall;
}

/* Does it rise often enough, and recently enough? */
static bool goes_on(const struct window *w)
{
	uint32_t rises = 0, last = w->first;

	for (uint32_t i = w->first + 1; i < w->s->n; i++) {
		if (w->floor[i] <= w->floor[i - 1])
			continue;
		rises++;
		last = i;
	}
	/* the pause since the last rise must not be longer than rises at random times would explain */
	return rises >= RISES &&
	       span(w) - time_of(w, last) <= span(w) * fmin(0.5, fmax(1.0 / 6, 4.0 / (rises + 1)));
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * The median slope between points that are at least a third of the window apart. Shorter distances
 * would see single steps.
 */
static double median_slope(const struct window *w)
{
	double slopes[MB_TREND_POINTS * (MB_TREND_POINTS - 1) / 2];
	size_t n = 0;

	for (uint32_t i = w->first; i < w->s->n; i++) {
		for (uint32_t j = i + 1; j < w->s->n; j++) {
			double ns = time_of(w, j) - time_of(w, i);

			if (ns * 3 >= span(w))
				slopes[n++] = (w->floor[j] - w->floor[i]) / ns * 1e9;
		}
	}
	if (!n)
		return 0;
	qsort(slopes, n, sizeof(slopes[0]), by_value);
	return n % 2 ? slopes[n / 2] : (slopes[n / 2 - 1] + slopes[n / 2]) / 2;
}

void mb_growth_of(const struct mb_trend_series *s, struct mb_growth *g)
{
	double floor[MB_TREND_POINTS];
	struct window w = { .s = s, .floor = floor };

	*g = (struct mb_growth){ 0 };
	if (s->n < VALUES || span(&w) < SPAN_NS)
		return;
	g->known = true;
	for (uint32_t i = s->n; i-- > 0;)
		floor[i] = fmin((double)s->points[i].least, i + 1 < s->n ? floor[i + 1] : INFINITY);
	while (s->n - w.first >= 2 * VALUES && !is_even(&w))
		w.first += (s->n - w.first) / 2;
	if (grown(&w, w.first) < LEAST_BYTES || grown(&w, w.first) <= FALLS * deepest_fall(&w) ||
	    !goes_on(&w))
		return;
	g->slope_bytes_per_s = llround(fmin(median_slope(&w), 9e18));
}

uint64_t mb_limit_room(const struct mb_limit *l)
{
	double room = (double)l->bytes - (double)l->usage_bytes + (double)l->reclaimable_bytes +
		      (double)l->swap_bytes;

	return room > 0 ? (uint64_t)room : 0;
}

void mb_rate_take(struct mb_rate *r, int64_t slope_bytes_per_s, uint64_t watched_ns, uint64_t whole_ns)
{
	if (watched_ns >= whole_ns / 2) {
		r->lasting = slope_bytes_per_s > r->lasting ? slope_bytes_per_s : r->lasting;
	} else if (slope_bytes_per_s > r->young) {
		r->young = slope_bytes_per_s;
		r->young_ns = watched_ns;
	}
}

int64_t mb_rate_towards(const struct mb_rate *r, const struct mb_limit *l)
{
	bool is_near = (double)mb_limit_room(l) <= AHEAD * (double)r->young * (double)r->young_ns / 1e9;

	return is_near && r->young > r->lasting ? r->young : r->lasting;
}

int64_t mb_rate_of_part(const struct mb_rate *r, const struct mb_limit *l, int64_t slope_bytes_per_s)
{
	int64_t all = mb_rate_towards(r, l);

	return slope_bytes_per_s > 0 && (double)all >= COUNTS * (double)slope_bytes_per_s ? all : 0;
}

void mb_outlook_take(struct mb_outlook *o, const struct mb_limit *l, int64_t slope_bytes_per_s)
{
	uint64_t room = mb_limit_room(l);
	double ns = slope_bytes_per_s > 0 ? (double)room / (double)slope_bytes_per_s * 1e9 :
					    INFINITY;
	bool reached = ns <= LONGEST_NS;

	if (o->limited && (reached != o->eta_known ? o->eta_known :
			   reached		   ? ns >= (double)o->eta_ns :
						     room >= mb_limit_room(&o->limit)))
		return;
	o->limited = true;
	o->limit = *l;
	o->limit_slope_bytes_per_s = slope_bytes_per_s > 0 ? slope_bytes_per_s : 0;
	o->eta_known = reached;
	o->eta_ns = reached ? (uint64_t)ns : 0;
}
