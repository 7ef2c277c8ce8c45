// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Finds rows that are about the same memory. A block lies in pages, and a page in a region: the
 * bytes that each pair of rows has in common are added up, and decide which of them is a view of
 * the other.
 *
 * Where blocks are traced, the block row stands for the memory; pages and regions that contain
 * blocks are its evidence. Elsewhere, a region row stands for the memory if the program mapped the
 * region itself, or if one call site touched most of it. A region shared by many call sites (a
 * heap, an arena) is evidence of the call site that has most of it.
 */
#include "leaks/evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "leaks/blocks.h"
#include "leaks/verdict.h"

/* Maximum number of blocks per process that are examined; of more, only every nth is. */
#define BLOCKS_MOST 65536u
/* Maximum number of pages per block that are looked up. */
#define PAGES_MOST 1024u
#define PAGE 4096u

/* A call site that touched this share of a region's pages owns the region. */
#define MAIN_SHARE 0.6
/* A row is a view of another row that contains this share of it. */
#define VIEW_SHARE 0.5

enum pair_kind { BLOCK_REGION, BLOCK_PAGE, PAGE_REGION };

struct pair_key {
	uint32_t kind, a, b; /* row numbers */
	uint32_t pad;
};

/* Bytes that two rows have in common. */
struct pair {
	struct pair_key key;
	double bytes;
	UT_hash_handle hh;
};

/* Kinds of rows with which a row can have most bytes in common; only rows with a stack count. */
enum partner { REGIONS_BLOCKS, PAGES_BLOCKS, PAGES_REGION, REGIONS_PAGES, PARTNERS };

/* Where the memory of a row lies. */
struct extent {
	uint32_t partner[PARTNERS]; /* row numbers; MB_LEAK_NO_OWNER: none */
	double most[PARTNERS];
	double pages; /* page and region rows: bytes of sampled pages */
	double in_blocks; /* part of pages that lies in regions with blocks */
	double in_regions; /* page rows: part of pages that lies in regions that stand for themselves */
	/* page rows: part of pages in memory that an allocator requested, or that contains blocks */
	double in_allocators;
};

struct mb_leak_common {
	const struct mb_leaks_session *l;
	struct mb_leaks_view *v;
	struct pair *pairs;
	struct extent *extents;
	bool failed;
};

static void common(struct mb_leak_common *k, enum pair_kind kind, uint32_t a, uint32_t b, double bytes)
{
	struct pair_key key = { .kind = kind, .a = a, .b = b };
	struct pair *p;

	HASH_FIND(hh, k->pairs, &key, sizeof(key), p);
	if (!p) {
		p = calloc(1, sizeof(*p));
		k->failed |= !p;
		if (!p)
			return;
		p->key = key;
		HASH_ADD(hh, k->pairs, key, sizeof(p->key), p);
	}
	p->bytes += bytes;
}

/* Find the row of a group. Returns false if the group is not shown. */
static bool row_of(const struct mb_leak_common *k, const struct mb_leak_key *key, uint32_t *row)
{
	struct mb_leak_group *g;

	HASH_FIND(hh, k->l->leaks->groups, key, sizeof(*key), g);
	if (!g || g->row >= k->v->n_rows || g->bytes <= 0)
		return false;
	*row = g->row;
	return true;
}

static bool region_row(const struct mb_leak_common *k, const struct mb_leak_space *sp,
		       const struct mb_region *r, uint32_t *row)
{
	struct mb_leak_key key = mb_leak_key_of(sp, MB_LEAK_REGION, r->stack);

	key.kind = r->kind;
	return row_of(k, &key, row);
}

/* A block that grew in place (mremap) can span several mappings. */
static void look_at_block_regions(struct mb_leak_common *k, struct mb_leak_space *sp, const struct mb_block_entry *b,
				  uint32_t row, bool *has_blocks)
{
	uint64_t at = b->addr, end = b->addr + b->size;
	uint32_t other;

	do {
		const struct mb_region *r = mb_regions_next(&sp->regions, at);
		uint64_t to;

		if (!r || r->start > at)
			return;
		to = r->end < end ? r->end : end;
		has_blocks[r - sp->regions.list] = true;
		if (region_row(k, sp, r, &other))
			common(k, BLOCK_REGION, row, other, (double)(to - at));
		at = r->end;
	} while (at < end);
}

static void look_at_block(struct mb_leak_common *k, struct mb_leak_space *sp, const struct mb_block_entry *b,
			  bool *has_blocks)
{
	struct mb_leak_key key = mb_leak_key_of(sp, MB_LEAK_ALLOC, (uint32_t)b->stack);
	uint64_t first = b->addr & ~(uint64_t)(PAGE - 1), end = b->addr + b->size;
	uint32_t row, other;

	if (!row_of(k, &key, &row))
		return;
	look_at_block_regions(k, sp, b, row, has_blocks);
	for (uint64_t at = first, n = 0; at < end && n < PAGES_MOST; at += PAGE, n++) {
		const struct mb_page *p = NULL;

		if (mb_page_sampled(at, (uint32_t)k->l->cfg->page_sample_1_in - 1))
			p = mb_pages_at(&sp->pages, at);
		if (!p || !p->resident)
			continue;
		key = mb_leak_key_of_page(sp, p);
		if (row_of(k, &key, &other))
			common(k, BLOCK_PAGE, row, other, PAGE);
	}
}

/* The frame that requested the memory from the kernel, skipping the C library's wrappers. NULL: not known. */
static const struct mb_source_frame *asks(const struct mb_leak_row *r)
{
	unsigned int i = 0;

	while (i < r->n_sources && r->sources[i].symbol &&
	       (strstr(r->sources[i].symbol, "mmap") || strstr(r->sources[i].symbol, "brk")))
		i++;
	return i < r->n_sources ? &r->sources[i] : NULL;
}

/* Was this region requested by an allocator? */
static bool is_allocators(const struct mb_leak_row *region)
{
	const struct mb_source_frame *p = asks(region);

	return p && mb_leak_is_allocator(p);
}

static void look_at_page(struct mb_leak_common *k, const struct mb_leak_space *sp, const struct mb_page *p,
			 const bool *has_blocks)
{
	const struct mb_region *r = mb_regions_at(&sp->regions, p->addr);
	struct mb_leak_key key = mb_leak_key_of_page(sp, p);
	double bytes = (double)(k->l->cfg->page_sample_1_in * PAGE);
	uint32_t row, other;
	bool allocators;

	if (!p->resident || !row_of(k, &key, &row))
		return;
	k->extents[row].pages += bytes;
	if (!r)
		return;
	allocators = has_blocks[r - sp->regions.list];
	k->extents[row].in_blocks += allocators ? bytes : 0;
	if (region_row(k, sp, r, &other)) {
		k->extents[other].pages += bytes;
		common(k, PAGE_REGION, row, other, bytes);
		allocators |= is_allocators(&k->v->rows[other]);
	}
	k->extents[row].in_allocators += allocators ? bytes : 0;
}

static int look_at_space(struct mb_leak_common *k, struct mb_leak_space *sp)
{
	bool *has_blocks = calloc(sp->regions.n + 1, sizeof(*has_blocks));
	size_t step, row;

	if (!has_blocks)
		return -ENOMEM;
	mb_pages_sort(&sp->pages);
	step = sp->blocks ? sp->blocks->n / BLOCKS_MOST + 1 : 1;
	for (size_t i = 0, n = 0; sp->blocks && i < sp->blocks->room; i++) {
		if (sp->blocks->table[i].addr && n++ % step == 0)
			look_at_block(k, sp, &sp->blocks->table[i], has_blocks);
	}
	for (size_t i = 0; i < sp->pages.n; i++)
		look_at_page(k, sp, &sp->pages.list[i], has_blocks);
	for (size_t i = 0; i < sp->regions.n; i++) {
		const struct mb_region *r = &sp->regions.list[i];
		uint32_t found;

		if (has_blocks[i] && region_row(k, sp, r, &found)) {
			row = found;
			k->extents[row].in_blocks += (double)(r->end - r->start);
		}
	}
	free(has_blocks);
	return k->failed ? -ENOMEM : 0;
}

/* ---- owners of rows ---- */

static enum mb_leak_level level_of(const struct mb_leak_row *r)
{
	return (enum mb_leak_level)r->group->key.level;
}

static bool is_before(const struct mb_leak_row *r)
{
	return !r->group->key.stack;
}

/* Remember other as partner of self if they have more bytes in common than any pair before. */
static void offer(const struct mb_leak_common *k, enum partner as, uint32_t self, uint32_t other,
		  double bytes)
{
	struct extent *e = &k->extents[self];

	if (bytes <= e->most[as] || is_before(&k->v->rows[other]))
		return;
	e->most[as] = bytes;
	e->partner[as] = other;
}

static void find_partners(const struct mb_leak_common *k)
{
	for (const struct pair *p = k->pairs; p; p = p->hh.next) {
		if (p->key.kind == BLOCK_REGION)
			offer(k, REGIONS_BLOCKS, p->key.b, p->key.a, p->bytes);
		else if (p->key.kind == BLOCK_PAGE)
			offer(k, PAGES_BLOCKS, p->key.b, p->key.a, p->bytes);
		else
			offer(k, PAGES_REGION, p->key.a, p->key.b, p->bytes);
		if (p->key.kind == PAGE_REGION)
			offer(k, REGIONS_PAGES, p->key.b, p->key.a, p->bytes);
	}
}

/* Make block rows the owners of the pages and regions that contain blocks. */
static void to_blocks(struct mb_leak_common *k)
{
	for (uint32_t i = 0; i < k->v->n_rows; i++) {
		struct mb_leak_row *r = &k->v->rows[i];
		const struct extent *e = &k->extents[i];
		uint32_t region;

		if (is_before(r))
			continue;
		if (level_of(r) == MB_LEAK_REGION &&
		    e->in_blocks >= VIEW_SHARE * (double)r->group->bytes)
			r->owner = e->partner[REGIONS_BLOCKS];
		if (level_of(r) != MB_LEAK_PAGE || e->in_blocks < VIEW_SHARE * e->pages ||
		    e->pages <= 0)
			continue;
		r->owner = e->partner[PAGES_BLOCKS];
		region = r->owner == MB_LEAK_NO_OWNER ? e->partner[PAGES_REGION] : MB_LEAK_NO_OWNER;
		if (region != MB_LEAK_NO_OWNER)
			r->owner = k->extents[region].partner[REGIONS_BLOCKS];
	}
}

/* Did the program map this region itself, or an allocator for its own purposes? */
static bool is_programs_own(const struct mb_leak_row *r)
{
	const struct mb_source_frame *p = asks(r);

	return p && p != r->sources && !mb_leak_is_allocator(p);
}

/*
 * Does the region row stand for the memory, rather than the rows of pages in it? Yes if the program
 * mapped it itself, or if most of it belongs to one call site.
 */
static bool is_one_source(const struct mb_leak_common *k, uint32_t region, uint32_t page)
{
	const struct mb_leak_row *r = &k->v->rows[region];
	struct pair_key key = { .kind = PAGE_REGION, .a = page, .b = region };
	struct pair *p;

	if (r->group->key.kind == MB_REGION_HEAP)
		return false;
	HASH_FIND(hh, k->pairs, &key, sizeof(key), p);
	return is_programs_own(r) || (p && p->bytes >= MAIN_SHARE * k->extents[region].pages);
}

static void to_regions_and_pages(struct mb_leak_common *k)
{
	bool *stands = calloc(k->v->n_rows + 1, sizeof(*stands)); /* the region row stands for its pages */

	k->failed |= !stands;
	for (uint32_t i = 0; stands && i < k->v->n_rows; i++) {
		struct mb_leak_row *r = &k->v->rows[i];
		uint32_t page;

		if (level_of(r) != MB_LEAK_REGION || is_before(r) || r->owner != MB_LEAK_NO_OWNER)
			continue;
		page = k->extents[i].partner[REGIONS_PAGES];
		if (page == MB_LEAK_NO_OWNER || k->v->rows[page].owner != MB_LEAK_NO_OWNER)
			continue;
		stands[i] = is_one_source(k, i, page);
		/* a region that grows must not be hidden behind pages that do not */
		if (!stands[i] && (r->trend.verdict < MB_VERDICT_GROWING ||
				   k->v->rows[page].trend.verdict >= MB_VERDICT_GROWING))
			r->owner = page;
	}
	for (const struct pair *p = k->pairs; stands && p; p = p->hh.next) {
		if (p->key.kind == PAGE_REGION && stands[p->key.b])
			k->extents[p->key.a].in_regions += p->bytes;
	}
	for (uint32_t i = 0; stands && i < k->v->n_rows; i++) {
		struct mb_leak_row *r = &k->v->rows[i];
		uint32_t region;

		if (level_of(r) != MB_LEAK_PAGE || r->owner != MB_LEAK_NO_OWNER ||
		    k->extents[i].in_regions < VIEW_SHARE * k->extents[i].pages ||
		    k->extents[i].pages <= 0)
			continue;
		region = k->extents[i].partner[PAGES_REGION];
		if (region != MB_LEAK_NO_OWNER && stands[region])
			r->owner = region;
	}
	free(stands);
}

/* Set row->allocators: which rows lie in the memory of an allocator, as far as known. */
static void tell_allocators(struct mb_leak_common *k)
{
	for (size_t i = 0; i < k->v->n_rows; i++) {
		struct mb_leak_row *r = &k->v->rows[i];
		const struct extent *e = &k->extents[i];

		if (level_of(r) == MB_LEAK_PAGE)
			r->allocators = e->pages > 0 && e->in_allocators >= VIEW_SHARE * e->pages;
		else if (level_of(r) == MB_LEAK_REGION)
			r->allocators = is_allocators(r) || e->in_blocks >= VIEW_SHARE * (double)r->group->bytes;
	}
}

struct mb_leak_common *mb_leak_common_new(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	struct mb_leak_common *k = calloc(1, sizeof(*k));
	int err = 0;

	if (!k)
		return NULL;
	k->l = l;
	k->v = v;
	k->extents = calloc(v->n_rows + 1, sizeof(*k->extents));
	if (!k->extents) {
		mb_leak_common_free(k);
		return NULL;
	}
	for (size_t i = 0; i < v->n_rows; i++)
		memset(k->extents[i].partner, 0xff, sizeof(k->extents[i].partner));
	for (struct mb_leak_space *sp = l->spaces; sp && !err; sp = sp->hh.next)
		err = look_at_space(k, sp);
	if (err) {
		mb_leak_common_free(k);
		return NULL;
	}
	tell_allocators(k);
	return k;
}

void mb_leak_common_free(struct mb_leak_common *k)
{
	struct pair *p, *tmp;

	if (!k)
		return;
	HASH_ITER(hh, k->pairs, p, tmp)
	{
		HASH_DEL(k->pairs, p);
		free(p);
	}
	free(k->extents);
	free(k);
}

int mb_leak_evidence(struct mb_leak_common *k)
{
	for (size_t i = 0; i < k->v->n_rows; i++)
		k->v->rows[i].owner = MB_LEAK_NO_OWNER;
	find_partners(k);
	to_blocks(k);
	to_regions_and_pages(k);
	mb_leak_verdicts_of_views(k->v);
	return k->failed ? -ENOMEM : 0;
}

/* ---- moving rows to the evidence ---- */

static int by_owner(const void *a, const void *b)
{
	const struct mb_leak_row *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return x->group->bytes > y->group->bytes ? -1 : x->group->bytes < y->group->bytes;
}

/* The owner at the end of a chain of owners. */
static uint32_t last_owner(const struct mb_leaks_view *v, uint32_t i)
{
	for (int n = 0; n < 4 && v->rows[i].owner != MB_LEAK_NO_OWNER; n++)
		i = v->rows[i].owner;
	return i;
}

int mb_leak_evidence_move(struct mb_leaks_view *v)
{
	size_t n = 0, m = 0;

	v->evidence = calloc(v->n_rows + 1, sizeof(*v->evidence));
	if (!v->evidence)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n_rows; i++) {
		if (v->rows[i].owner != MB_LEAK_NO_OWNER)
			v->rows[i].owner = last_owner(v, i);
		v->rows[i].id = i;
	}
	for (size_t i = 0; i < v->n_rows; i++) {
		if (v->rows[i].owner != MB_LEAK_NO_OWNER)
			v->evidence[m++] = v->rows[i];
		else
			v->rows[n++] = v->rows[i];
	}
	v->n_rows = n;
	v->n_evidence = m;
	for (size_t i = 0; i < m; i++)
		v->evidence[i].group = &v->evidence[i].sum;
	for (size_t i = 0; i < n; i++)
		v->rows[i].group = &v->rows[i].sum;
	qsort(v->evidence, m, sizeof(*v->evidence), by_owner);
	for (size_t i = 0; i < m; i++)
		v->evidence[i].group = &v->evidence[i].sum;
	for (size_t i = 0, at = 0; i < n; i++) { /* both are sorted by id */
		struct mb_leak_row *r = &v->rows[i];

		r->evidence = &v->evidence[at];
		for (; at < m && v->evidence[at].owner == r->id; at++)
			r->n_evidence++;
	}
	return 0;
}
