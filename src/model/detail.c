// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Histograms and rows of a process: values that do not fit in a single number. */
#include "model/detail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

void mb_details_free(struct mb_detail *d)
{
	while (d) {
		struct mb_detail *next = d->next;
		struct mb_row *r, *tmp;

		LL_FOREACH_SAFE(d->rows, r, tmp)
		free(r);
		free(d);
		d = next;
	}
}

const struct mb_detail *mb_process_detail(const struct mb_process *p, const struct mb_field *f)
{
	const struct mb_detail *d;

	LL_SEARCH_SCALAR(p->details, d, field, f);
	return d;
}

static struct mb_detail *detail_get(struct mb_process *p, const struct mb_field *f)
{
	struct mb_detail *d = (struct mb_detail *)mb_process_detail(p, f);

	if (d)
		return d;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->field = f;
	LL_PREPEND(p->details, d);
	return d;
}

void mb_process_hist_add(struct mb_process *p, const struct mb_field *f, uint64_t v,
			 uint64_t weight, uint64_t sampled_1_in)
{
	struct mb_detail *d = detail_get(p, f);

	if (!d)
		return;
	d->sampled_1_in = sampled_1_in;
	mb_hist_add(&d->hist, v, weight);
}

void mb_process_hist_max(struct mb_process *p, const struct mb_field *f, uint64_t max)
{
	struct mb_detail *d = detail_get(p, f);

	if (d)
		d->hist.max = max;
}

static struct mb_row *row_get(struct mb_detail *d, const char *key)
{
	struct mb_row *r, *last = NULL;
	unsigned int n = 0;

	LL_FOREACH(d->rows, r)
	{
		if (strcmp(r->key, key) == 0)
			return r;
		last = r;
		n++;
	}
	if (n == MB_PROCESS_ROWS)
		return last;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	snprintf(r->key, sizeof(r->key), "%s", n == MB_PROCESS_ROWS - 1 ? "(other)" : key);
	LL_APPEND(d->rows, r);
	return r;
}

void mb_process_row_add(struct mb_process *p, const struct mb_field *f, const char *key,
			const struct mb_stall *more)
{
	struct mb_detail *d = detail_get(p, f);
	struct mb_row *r = d ? row_get(d, key) : NULL;

	if (!r)
		return;
	r->stall.count += more->count;
	r->stall.ns += more->ns;
	if (more->max_ns > r->stall.max_ns)
		r->stall.max_ns = more->max_ns;
}

void mb_process_row_rename(struct mb_process *p, const struct mb_field *f, const char *key,
			   const char *to)
{
	const struct mb_detail *d = mb_process_detail(p, f);
	struct mb_row *r;

	LL_FOREACH(d ? d->rows : NULL, r)
	{
		if (strcmp(r->key, key) == 0)
			snprintf(r->key, sizeof(r->key), "%s", to);
	}
}

void mb_process_hist_set(struct mb_process *p, const struct mb_field *f, unsigned int bucket,
			 uint64_t count, uint64_t max, uint64_t sampled_1_in)
{
	struct mb_detail *d = bucket < MB_HIST_BUCKETS ? detail_get(p, f) : NULL;

	if (!d)
		return;
	d->sampled_1_in = sampled_1_in;
	d->hist.count += count - d->hist.buckets[bucket];
	d->hist.buckets[bucket] = count;
	d->hist.max = max;
}

void mb_process_row_set(struct mb_process *p, const struct mb_field *f, const char *key,
			uint64_t count, uint64_t ns, uint64_t max_ns)
{
	struct mb_detail *d = detail_get(p, f);
	struct mb_row *r = d ? row_get(d, key) : NULL;

	if (r)
		r->stall = (struct mb_stall){ count, ns, max_ns };
}

static void hist_add(struct mb_hist *to, const struct mb_hist *from)
{
	for (unsigned int b = 0; b < MB_HIST_BUCKETS; b++)
		to->buckets[b] += from->buckets[b];
	to->count += from->count;
	if (from->max > to->max)
		to->max = from->max;
}

void mb_details_add(struct mb_process *p, const struct mb_detail *from)
{
	const struct mb_row *r;

	for (; from; from = from->next) {
		struct mb_detail *d = detail_get(p, from->field);

		if (!d)
			continue;
		if (from->sampled_1_in)
			d->sampled_1_in = from->sampled_1_in;
		hist_add(&d->hist, &from->hist);
		LL_FOREACH(from->rows, r)
		mb_process_row_add(p, from->field, r->key, &r->stall);
	}
}
