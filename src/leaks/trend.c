// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Does an amount of memory grow for good? Evaluates the floor, the level below which the amount
 * never fell again, over the whole series, its last half and its last quarter. The strongest
 * verdict counts; of equal ones, that of the longest part.
 */
#include "leaks/trend.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define RISES_GROWING 2u
#define RISES_LEAK 3u /* of equal size at even intervals; RISES_MANY can be of any kind */
#define RISES_MANY 6u
/* required duration of a part of the series, or of growth that is small compared to the total */
#define LONG_VALUES 90u
#define LONG_NS 90e9
#define SMALL_GROWTH 0.5 /* growth below this share of the floor is small */
#define FALLS 1.5 /* growth must exceed the deepest fall by this factor */
#define FALLS_SMALL 4.0 /* the same for small growth */
#define ERRORS 2.0 /* growth must exceed the standard error by this factor */
#define ERRORS_SMALL 6.0
#define RISES_AFTER_WARM_UP 12u
#define ALIKE 1.25 /* maximum ratio of the largest to the smallest */
#define RANKS 16u /* number of minima to rank, each over a sixteenth of the part */
#define SURE_LEAK 0.95
#define SURE_GROWING 0.8
#define SHARE 0.25 /* minimum share of the growth in each half */
#define SHARE_AFTER_WARM_UP 0.42
#define FLATTER -2.33 /* rank statistic: rates that decline this clearly are not due to chance (1 %) */
#define FLATTER_AFTER_WARM_UP -1.0

/* Part of a series: points first to n - 1. */
struct part {
	const struct mb_trend_series *s;
	const double *floor; /* of all points */
	uint32_t first, n;
	uint32_t values;
	double span_ns, growth;
	double fall; /* deepest fall within the part and as long a time before it */
	uint32_t rises;
	uint32_t last_rise; /* index of its point */
	double largest_rise;
};

static void merge(struct mb_trend_point *into, uint64_t t_ns, uint64_t least, uint64_t last)
{
	into->t_ns = t_ns;
	into->last = last;
	if (least < into->least)
		into->least = least;
}

static void compact(struct mb_trend_series *s)
{
	uint32_t n = s->n / 2;

	for (uint32_t i = 0; i < n; i++) {
		const struct mb_trend_point *b = &s->points[2 * i + 1];

		s->points[i] = s->points[2 * i];
		merge(&s->points[i], b->t_ns, b->least, b->last);
	}
	s->n = n;
	s->step *= 2;
}

void mb_trend_add(struct mb_trend_series *s, uint64_t t_ns, uint64_t least, uint64_t last)
{
	if (!s->step)
		s->step = 1;
	if (least > last)
		least = last;
	if (s->n && t_ns < s->points[s->n - 1].t_ns)
		t_ns = s->points[s->n - 1].t_ns;
	if (!s->in_step) {
		if (s->n == MB_TREND_POINTS)
			compact(s);
		s->points[s->n++] = (struct mb_trend_point){ t_ns, least, last };
	} else {
		merge(&s->points[s->n - 1], t_ns, least, last);
	}
	s->in_step = (s->in_step + 1) % s->step;
}

/* The Mann-Kendall statistic, with ties, in standard deviations. */
static double rank_trend(const double *v, uint32_t n)
{
	double s = 0, var = n * (n - 1.0) * (2.0 * n + 5.0);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t equal = 0;

		for (uint32_t j = 0; j < n; j++) {
			equal += v[j] == v[i];
			if (j > i)
				s += (v[j] > v[i]) - (v[j] < v[i]);
		}
		var -= (equal - 1.0) * (2.0 * equal + 5.0);
	}
	if (var <= 0 || s == 0)
		return 0;
	return (s > 0 ? s - 1 : s + 1) / sqrt(var / 18);
}

/*
 * Confidence of a rank test that the minima of the part grow; reduced if there are falls nearly as
 * deep as the growth.
 */
static double confidence(const struct part *p)
{
	double least[RANKS], z, sure;
	uint32_t len = p->n - p->first, m = len < RANKS ? len : RANKS;

	for (uint32_t i = 0; i < m; i++) {
		least[i] = (double)p->s->points[p->first + i * len / m].least;
		for (uint32_t j = p->first + i * len / m; j < p->first + (i + 1) * len / m; j++)
			least[i] = fmin(least[i], (double)p->s->points[j].least);
	}
	z = rank_trend(least, m);
	sure = z > 0 ? erf(z / sqrt(2)) : 0;
	if (p->fall > 0)
		sure *= fmin(1, fmax(0, (p->growth - p->fall) / ((FALLS - 1) * p->fall)));
	return sure;
}

static double time_of(const struct part *p, uint32_t i)
{
	return (double)(p->s->points[i].t_ns - p->s->points[p->first].t_ns);
}

/* Growth of the floor after this share of the part's time, as a share of the part's growth. */
static double grown_since(const struct part *p, double share)
{
	uint32_t i = p->first;

	while (i + 1 < p->n && time_of(p, i) < share * p->span_ns)
		i++;
	return (p->floor[p->n - 1] - p->floor[i]) / p->growth;
}

static void measure(struct part *p)
{
	const struct mb_trend_series *s = p->s;
	uint32_t len = p->n - p->first;
	double peak = 0;

	p->values = (len - 1) * s->step + (s->in_step ? s->in_step : s->step);
	p->span_ns = time_of(p, p->n - 1);
	p->growth = p->floor[p->n - 1] - p->floor[p->first];
	for (uint32_t i = p->first > len ? p->first - len : 0; i < p->n; i++) {
		p->fall = fmax(p->fall, peak - (double)s->points[i].least);
		peak = fmax(peak, (double)s->points[i].last);
	}
	for (uint32_t i = p->first + 1; i < p->n; i++) {
		double rise = p->floor[i] - p->floor[i - 1];

		if (rise <= 0)
			continue;
		p->rises++;
		p->last_rise = i;
		p->largest_rise = fmax(p->largest_rise, rise);
	}
}

/* A few rises indicate a leak only if they are alike in size and in the time between them; random ones are not. */
static bool rises_alike(const struct part *p)
{
	double size[2] = { INFINITY, 0 }, gap[2] = { INFINITY, 0 };
	uint32_t before = 0;

	if (p->rises >= RISES_MANY)
		return true;
	for (uint32_t i = p->first + 1; i < p->n; i++) {
		double rise = p->floor[i] - p->floor[i - 1];

		if (rise <= 0)
			continue;
		size[0] = fmin(size[0], rise);
		size[1] = fmax(size[1], rise);
		if (before) {
			gap[0] = fmin(gap[0], time_of(p, i) - time_of(p, before));
			gap[1] = fmax(gap[1], time_of(p, i) - time_of(p, before));
		}
		before = i;
	}
	gap[1] = fmax(gap[1], p->span_ns - time_of(p, p->last_rise));
	return size[1] <= ALIKE * size[0] && gap[1] <= ALIKE * gap[0];
}

/* Is the pause since the last rise longer than rises at random times would explain? */
static bool has_stopped(const struct part *p)
{
	double since = p->span_ns - time_of(p, p->last_rise);

	return since > p->span_ns * fmin(0.5, fmax(1.0 / 6, 4.0 / (p->rises + 1)));
}

/* Rank statistic of the growth rates from point to point: positive if they rise, negative if they decline. */
static double rate_trend(const struct part *p)
{
	double rate[MB_TREND_POINTS];
	uint32_t n = 0;

	for (uint32_t i = p->first + 1; i < p->n; i++) {
		double ns = time_of(p, i) - time_of(p, i - 1);

		if (ns > 0)
			rate[n++] = (p->floor[i] - p->floor[i - 1]) / ns;
	}
	return rank_trend(rate, n);
}

/* Does the rate decline, as for something that fills up? after_warm_up: apply stricter limits. */
static bool flattens(const struct part *p, bool after_warm_up)
{
	if (grown_since(p, 0.5) < (after_warm_up ? SHARE_AFTER_WARM_UP : SHARE))
		return true;
	if (p->rises < (after_warm_up ? RISES_AFTER_WARM_UP : RISES_MANY))
		return after_warm_up;
	return rate_trend(p) < (after_warm_up ? FLATTER_AFTER_WARM_UP : FLATTER);
}

/* The reason why growth is not a leak. */
static enum mb_missing not_a_leak(const struct part *p, double error)
{
	bool is_long = p->values >= LONG_VALUES && p->span_ns >= LONG_NS;
	bool is_small = p->growth < SMALL_GROWTH * p->floor[p->n - 1];
	double all = p->floor[p->n - 1] - p->floor[0];
	double all_ns = (double)(p->s->points[p->n - 1].t_ns - p->s->points[0].t_ns);

	if (p->values < MB_TREND_VALUES)
		return MB_MISSING_VALUES;
	if (p->rises < RISES_LEAK || p->largest_rise > p->growth / 2)
		return MB_MISSING_RISES;
	if (!is_long && (p->first || is_small))
		return MB_MISSING_TIME;
	if (is_small && p->growth <= fmax(FALLS_SMALL * p->fall, ERRORS_SMALL * error))
		return MB_MISSING_HEIGHT;
	if (grown_since(p, 0.5) > 1 - SHARE)
		return MB_MISSING_EVENNESS;
	if (!rises_alike(p))
		return MB_MISSING_RISES;
	return flattens(p, p->growth / p->span_ns < 0.5 * all / all_ns) ? MB_MISSING_EVENNESS :
									  MB_MISSING_NOTHING;
}

static enum mb_verdict judge(struct part *p, uint64_t error_bytes, double *sure,
			     enum mb_missing *missing)
{
	*sure = 0;
	*missing = MB_MISSING_NOTHING;
	if (p->n - p->first < 3)
		return MB_VERDICT_STABLE;
	measure(p);
	if (p->growth <= ERRORS * (double)error_bytes || p->span_ns <= 0)
		return MB_VERDICT_STABLE;
	*sure = confidence(p);
	if (p->rises < RISES_GROWING || *sure < SURE_GROWING || has_stopped(p))
		return MB_VERDICT_STABLE;
	if (*sure < SURE_LEAK)
		*missing = p->values < MB_TREND_VALUES ? MB_MISSING_VALUES : MB_MISSING_HEIGHT;
	else
		*missing = not_a_leak(p, (double)error_bytes);
	return *missing ? MB_VERDICT_GROWING : MB_VERDICT_LEAK;
}

/* The k-th smallest element of v; reorders v (Hoare's algorithm in Wirth's version). */
static double kth(double *v, int n, int k)
{
	int lo = 0, hi = n - 1;

	while (lo < hi) {
		double pivot = v[k], swap;
		int i = lo, j = hi;

		while (i <= j) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i > j)
				break;
			swap = v[i];
			v[i++] = v[j];
			v[j--] = swap;
		}
		if (j < k)
			lo = i;
		if (i > k)
			hi = j;
	}
	return v[k];
}

/* Theil-Sen estimator: the median of the slopes between all pairs of points of the floor. */
static double median_slope(const struct part *p)
{
	double slopes[MB_TREND_POINTS * (MB_TREND_POINTS - 1) / 2];
	int n = 0;

	for (uint32_t i = p->first; i < p->n; i++) {
		for (uint32_t j = i + 1; j < p->n; j++) {
			double ns = time_of(p, j) - time_of(p, i);

			if (ns > 0)
				slopes[n++] = (p->floor[j] - p->floor[i]) / ns * 1e9;
		}
	}
	return n ? kth(slopes, n, n / 2) : 0;
}

static uint32_t values_of(const struct mb_trend_series *s)
{
	return s->n ? (s->n - 1) * s->step + (s->in_step ? s->in_step : s->step) : 0;
}

static void find_floor(const struct mb_trend_series *s, double *floor)
{
	for (uint32_t i = s->n; i-- > 0;)
		floor[i] = fmin((double)s->points[i].least, i + 1 < s->n ? floor[i + 1] : INFINITY);
}

void mb_trend_of(const struct mb_trend_series *s, uint64_t error_bytes, struct mb_trend *out)
{
	const uint32_t firsts[] = { 0, s->n / 2, s->n - s->n / 4 };
	double floor[MB_TREND_POINTS];
	struct part best = { 0 };

	memset(out, 0, sizeof(*out));
	out->values = values_of(s);
	find_floor(s, floor);
	for (int i = 0; i < 3; i++) {
		struct part p = { .s = s, .floor = floor, .first = firsts[i], .n = s->n };
		enum mb_missing missing;
		double sure;
		enum mb_verdict v = judge(&p, error_bytes, &sure, &missing);

		if (v > out->verdict) {
			out->verdict = v;
			out->missing = missing;
			out->confidence = sure;
			best = p;
		} else if (out->verdict == MB_VERDICT_STABLE && i < 2) {
			out->confidence = fmin(sure, 0.5);
		}
	}
	if (out->verdict == MB_VERDICT_STABLE && out->values < MB_TREND_VALUES) {
		out->verdict = MB_VERDICT_UNKNOWN;
		out->missing = MB_MISSING_VALUES;
	}
	if (out->verdict < MB_VERDICT_GROWING)
		return;
	out->slope_bytes_per_s = llround(fmin(median_slope(&best), 9e18));
	out->growth_bytes = best.growth;
	out->from_ns = s->points[best.first].t_ns;
	out->to_ns = s->points[s->n - 1].t_ns;
	out->late_share = grown_since(&best, 0.5);
	out->rate_trend = best.rises >= RISES_AFTER_WARM_UP ? rate_trend(&best) : 0;
}

uint32_t mb_trend_index(const struct mb_trend_series *s, uint64_t t_ns)
{
	uint32_t i = 0;

	while (i + 1 < s->n && s->points[i + 1].t_ns <= t_ns)
		i++;
	return i;
}

double mb_trend_grown(const struct mb_trend_series *s, uint64_t from_ns)
{
	double floor[MB_TREND_POINTS];

	if (!s->n)
		return 0;
	find_floor(s, floor);
	return floor[s->n - 1] - floor[mb_trend_index(s, from_ns)];
}

const char *mb_verdict_name(enum mb_verdict v)
{
	static const char *const names[] = { "stable", "unknown", "growing", "leak" };

	return names[v];
}

const char *mb_missing_text(const struct mb_trend *t, char *buf, size_t size)
{
	static const char *const texts[] = {
		[MB_MISSING_TIME] =
			"more time: it is little beside what there is, or has begun late",
		[MB_MISSING_RISES] = "more rises: these few may be chance",
		[MB_MISSING_EVENNESS] =
			"an even rate: it becomes slower or grew by leaps, as what fills does",
		[MB_MISSING_HEIGHT] = "more growth than it falls by, or than the sample's error",
		[MB_MISSING_OWN_GROWTH] =
			"growth of the process: its own memory does not grow as much",
		[MB_MISSING_ROOM] = "growth of the address space: it fills what was mapped before",
		[MB_MISSING_BLOCKS] =
			"growth of the allocator's blocks: the memory is the allocator's own",
		[MB_MISSING_ONE_SITE] = "one place: many grow together and ever slower, as where a store fills",
		[MB_MISSING_AGE] =
			"age: it has grown for as long as it is known, as what warms up or a cache that is not full does",
		[MB_MISSING_PRIVATE] =
			"memory of its own: it comes to use shared memory that is mapped already",
		[MB_MISSING_NEW_HEIGHT] = "a new height: the process has had as much before",
		[MB_MISSING_COLLECTION] =
			"a collection: until the heap has doubled it may be garbage that is not collected yet",
		[MB_MISSING_STACK] = "a stack: it may be part of what else leaks in this process",
	};

	if (t->missing == MB_MISSING_NOTHING)
		return NULL;
	if (t->missing != MB_MISSING_VALUES)
		return texts[t->missing];
	snprintf(buf, size, "too early: %u of %u values", t->values, MB_TREND_VALUES);
	return buf;
}

/* The point of s that contains t_ns; NULL if s begins later. */
static const struct mb_trend_point *point_at(const struct mb_trend_series *s, uint64_t t_ns)
{
	uint32_t i = 0;

	while (i + 1 < s->n && s->points[i].t_ns < t_ns)
		i++;
	return s->n && s->points[0].t_ns <= t_ns ? &s->points[i] : NULL;
}

void mb_trend_merge(struct mb_trend_series *into, const struct mb_trend_series *more)
{
	struct mb_trend_series other = *more;

	/* the series that starts earlier determines the points */
	if (other.n && (!into->n || other.points[0].t_ns < into->points[0].t_ns)) {
		other = *into;
		*into = *more;
	}
	for (uint32_t i = 0; i < into->n; i++) {
		const struct mb_trend_point *q = point_at(&other, into->points[i].t_ns);

		if (!q)
			continue;
		into->points[i].least += q->least;
		into->points[i].last += q->last;
	}
}
