// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Sampled pages by address. */
#include "model/pages.h"

#include <stdlib.h>
#include <string.h>

#define HUGE_MASK (~((2ull << 20) - 1))

static void tell(const struct mb_pages *p, const struct mb_page *page, int sign)
{
	if (p->changed)
		p->changed(p->arg, page, sign);
}

/* A resident page changes its owner. */
static void hand_over(const struct mb_pages *p, struct mb_page *page, uint32_t stack)
{
	tell(p, page, -1);
	page->stack = stack;
	tell(p, page, 1);
}

void mb_pages_free(struct mb_pages *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].resident)
			tell(p, &p->list[i], -1);
	}
	free(p->list);
	p->list = NULL;
	p->n = p->n_sorted = p->room = 0;
}

static struct mb_page *append(struct mb_pages *p, uint64_t addr, uint32_t stack)
{
	if (p->n == p->room) {
		size_t room = p->room ? p->room * 2 : 256;
		struct mb_page *bigger = room <= MB_PAGES_MAX ? realloc(p->list, room * sizeof(*bigger)) : NULL;

		if (!bigger) {
			p->left_out++;
			return NULL;
		}
		p->list = bigger;
		p->room = room;
	}
	p->list[p->n] = (struct mb_page){ .addr = addr, .stack = stack };
	return &p->list[p->n++];
}

struct mb_page *mb_pages_at(struct mb_pages *p, uint64_t addr)
{
	size_t from = 0, to = p->n_sorted;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (p->list[middle].addr < addr)
			from = middle + 1;
		else
			to = middle;
	}
	return from < p->n_sorted && p->list[from].addr == addr ? &p->list[from] : NULL;
}

void mb_pages_touch(struct mb_pages *p, uint64_t addr, uint32_t stack, bool marker, bool is_new)
{
	struct mb_page *page;

	addr &= ~4095ull;
	page = mb_pages_at(p, addr);
	if (!page) {
		page = append(p, addr, stack);
		if (!page)
			return;
		page->marker = marker;
	} else if (is_new || !page->stack || page->found) {
		if (page->resident)
			hand_over(p, page, stack);
		page->stack = stack;
		page->found = false;
	}
	page->touched = true;
}

void mb_pages_found(struct mb_pages *p, uint64_t addr, uint32_t fallback, bool shared)
{
	struct mb_page *first = mb_pages_at(p, addr & HUGE_MASK), *page;
	uint32_t stack = first ? first->stack : fallback;

	page = append(p, addr, stack);
	if (!page)
		return;
	page->resident = page->found = true;
	page->shared = shared;
	tell(p, page, 1);
}

/* Sort by address; for equal addresses, pages in the accounts first, then in order of arrival. */
static int by_address(const void *a, const void *b)
{
	const struct mb_page *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->resident != y->resident)
		return x->resident ? -1 : 1;
	return 0;
}

void mb_pages_sort(struct mb_pages *p)
{
	size_t n = 0;

	if (p->n == p->n_sorted)
		return;
	qsort(p->list, p->n, sizeof(*p->list), by_address);
	for (size_t i = 0; i < p->n; i++) {
		struct mb_page *last = n ? &p->list[n - 1] : NULL;

		if (last && last->addr == p->list[i].addr) {
			bool takes = !last->stack || (last->found && !p->list[i].found);

			if (takes && last->resident)
				hand_over(p, last, p->list[i].stack);
			if (takes) {
				last->stack = p->list[i].stack;
				last->found = p->list[i].found;
			}
			last->touched |= p->list[i].touched;
			continue;
		}
		p->list[n++] = p->list[i];
	}
	p->n = p->n_sorted = n;
}

void mb_pages_answer(struct mb_pages *p, size_t i, bool there, bool shared)
{
	struct mb_page *page = &p->list[i];

	page->touched = false;
	if (page->marker) {
		page->resident = false;
		if (!there)
			page->addr |= 1; /* marks the entry for mb_pages_sweep */
		return;
	}
	if (page->resident && (!there || page->shared != shared)) {
		tell(p, page, -1);
		page->resident = false;
	}
	page->shared = shared;
	if (there && !page->resident)
		tell(p, page, 1);
	page->resident = there;
	if (!there)
		page->addr |= 1;
}

void mb_pages_sweep(struct mb_pages *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (!(p->list[i].addr & 1))
			p->list[n++] = p->list[i];
	}
	p->n = n;
	p->n_sorted = n;
}
