// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The kernel's own counters of a memory cgroup by kind: parser and history. */
#include "model/memcg.h"

#include <stdlib.h>
#include <string.h>

#include "memblame/abi.h"
#include "model/model.h"

/* A stored point; 32 bits of pages cover 16 TiB. */
struct point {
	uint64_t t_ns;
	uint64_t until_ns; /* last reading that confirmed the same values */
	uint32_t usage, swap;
	uint32_t pages[MB_MEMCG_KINDS];
};

#define UNKNOWN32 UINT32_MAX

struct mb_memcg_series {
	uint64_t cgroup;
	uint32_t n;
	struct point points[MB_MEMCG_POINTS];
};

void mb_memcgs_free(struct mb_memcgs *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		free(m->series[i]);
	free(m->machine);
	memset(m, 0, sizeof(*m));
}

void mb_memcg_init(struct mb_memcg_split *s)
{
	memset(s, 0, sizeof(*s));
	s->usage_pages = s->swap_pages = MB_UNKNOWN;
	for (int i = 0; i < MB_MEMCG_KINDS; i++)
		s->pages[i] = MB_UNKNOWN;
}

/* ---- parsing ---- */

/* Lines that are used, by their names. For v1 the total_* lines include descendants (use_hierarchy). */
enum line {
	ANON,
	FILE_CACHE,
	KERNEL,
	KERNEL_STACK,
	PAGETABLES,
	PERCPU,
	SOCK,
	SHMEM,
	SLAB,
	SLAB_RECLAIMABLE,
	SLAB_UNRECLAIMABLE,
	HUGETLB,
	TOTAL_RSS,
	TOTAL_CACHE,
	TOTAL_SHMEM,
	TOTAL_SWAP,
	LINES
};

static const char *const names[LINES] = {
	[ANON] = "anon",
	[FILE_CACHE] = "file",
	[KERNEL] = "kernel",
	[KERNEL_STACK] = "kernel_stack",
	[PAGETABLES] = "pagetables",
	[PERCPU] = "percpu",
	[SOCK] = "sock",
	[SHMEM] = "shmem",
	[SLAB] = "slab",
	[SLAB_RECLAIMABLE] = "slab_reclaimable",
	[SLAB_UNRECLAIMABLE] = "slab_unreclaimable",
	[HUGETLB] = "hugetlb",
	[TOTAL_RSS] = "total_rss",
	[TOTAL_CACHE] = "total_cache",
	[TOTAL_SHMEM] = "total_shmem",
	[TOTAL_SWAP] = "total_swap",
};

/* Exceeds any machine, so that sums of parsed values stay in range. */
#define MOST_PAGES (1ull << 40)

static void take_line(uint64_t v[LINES], const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	size_t n = space ? (size_t)(space - line) : 0;
	uint64_t bytes = 0;

	if (!n || n + 1 == len)
		return;
	for (size_t i = n + 1; i < len; i++) {
		if (line[i] < '0' || line[i] > '9' || bytes > UINT64_MAX / 16)
			return;
		bytes = bytes * 10 + (uint64_t)(line[i] - '0');
	}
	for (int i = 0; i < LINES; i++) {
		if (strlen(names[i]) == n && !memcmp(names[i], line, n))
			v[i] = bytes / MB_PAGE_SIZE < MOST_PAGES ? bytes / MB_PAGE_SIZE :
								   MOST_PAGES;
	}
}

static uint64_t less(uint64_t whole, uint64_t part)
{
	return part == MB_UNKNOWN ? whole : whole > part ? whole - part : 0;
}

static uint64_t or_zero(uint64_t v)
{
	return v == MB_UNKNOWN ? 0 : v;
}

static void take_v1(struct mb_memcg_split *s, const uint64_t v[LINES], uint64_t kernel_pages)
{
	s->pages[MB_MEMCG_ANON] = v[TOTAL_RSS];
	s->pages[MB_MEMCG_SHMEM] = v[TOTAL_SHMEM];
	if (v[TOTAL_CACHE] != MB_UNKNOWN)
		s->pages[MB_MEMCG_FILE] = less(v[TOTAL_CACHE], v[TOTAL_SHMEM]);
	if (v[TOTAL_SWAP] != MB_UNKNOWN)
		s->swap_pages = v[TOTAL_SWAP];
	s->pages[MB_MEMCG_KERNEL] = kernel_pages;
}

static void take_v2(struct mb_memcg_split *s, const uint64_t v[LINES])
{
	s->pages[MB_MEMCG_ANON] = v[ANON];
	s->pages[MB_MEMCG_SHMEM] = v[SHMEM];
	if (v[FILE_CACHE] != MB_UNKNOWN)
		s->pages[MB_MEMCG_FILE] = less(v[FILE_CACHE], v[SHMEM]);
	s->pages[MB_MEMCG_PAGE_TABLES] = v[PAGETABLES];
	s->pages[MB_MEMCG_KERNEL_STACK] = v[KERNEL_STACK];
	s->pages[MB_MEMCG_SLAB] = v[SLAB];
	if (v[SLAB] == MB_UNKNOWN && v[SLAB_UNRECLAIMABLE] != MB_UNKNOWN)
		s->pages[MB_MEMCG_SLAB] = v[SLAB_UNRECLAIMABLE] + or_zero(v[SLAB_RECLAIMABLE]);
	s->pages[MB_MEMCG_SOCK] = v[SOCK];
	s->pages[MB_MEMCG_HUGETLB] = v[HUGETLB];
	/* before 5.18 there is no sum of all kernel memory */
	s->pages[MB_MEMCG_KERNEL] =
		v[KERNEL] == MB_UNKNOWN ?
			v[PERCPU] :
			less(less(less(v[KERNEL], v[KERNEL_STACK]), v[PAGETABLES]),
			     s->pages[MB_MEMCG_SLAB]);
}

bool mb_memcg_parse(struct mb_memcg_split *s, const char *text, size_t len, uint64_t kernel_pages)
{
	const char *end = text + len;
	uint64_t v[LINES];

	for (int i = 0; i < LINES; i++)
		v[i] = MB_UNKNOWN;
	while (text < end) {
		const char *next = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((next ? next : end) - text);

		take_line(v, text, n);
		text += n + 1;
	}
	if (v[TOTAL_RSS] == MB_UNKNOWN && v[ANON] == MB_UNKNOWN)
		return false;
	if (v[TOTAL_RSS] != MB_UNKNOWN)
		take_v1(s, v, kernel_pages);
	else
		take_v2(s, v);
	mb_memcg_add_up(s);
	return true;
}

void mb_memcg_add_up(struct mb_memcg_split *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < MB_MEMCG_UNACCOUNTED; i++)
		sum += or_zero(s->pages[i]);
	/*
	 * the kernel charges in advance by some pages per CPU, and counts kinds in batches: the
	 * counters differ by that
	 */
	if (s->usage_pages == MB_UNKNOWN || s->usage_pages < sum)
		s->usage_pages = sum;
	s->pages[MB_MEMCG_UNACCOUNTED] = s->usage_pages - sum;
}

bool mb_memcg_of_machine(struct mb_memcg_split *s, const struct mb_system_state *system)
{
	const uint64_t *now = system->now.values;
	static const struct {
		enum mb_memcg_kind kind;
		enum mb_system_number number;
	} direct[] = {
		{ MB_MEMCG_ANON, MB_SYS_memory_anon_bytes },
		{ MB_MEMCG_SHMEM, MB_SYS_memory_shmem_bytes },
		{ MB_MEMCG_SLAB, MB_SYS_memory_slab_bytes },
		{ MB_MEMCG_KERNEL_STACK, MB_SYS_memory_kernel_stack_bytes },
		{ MB_MEMCG_PAGE_TABLES, MB_SYS_memory_page_tables_bytes },
		{ MB_MEMCG_HUGETLB, MB_SYS_memory_hugetlb_bytes },
	};
	uint64_t cache = now[MB_SYS_memory_cached_bytes], shmem = now[MB_SYS_memory_shmem_bytes];

	mb_memcg_init(s);
	if (!system->known || now[MB_SYS_memory_total_bytes] == MB_UNKNOWN ||
	    now[MB_SYS_memory_free_bytes] == MB_UNKNOWN)
		return false;
	s->usage_pages =
		less(now[MB_SYS_memory_total_bytes], now[MB_SYS_memory_free_bytes]) / MB_PAGE_SIZE;
	for (size_t i = 0; i < MB_ARRAY_SIZE(direct); i++) {
		if (now[direct[i].number] != MB_UNKNOWN)
			s->pages[direct[i].kind] = now[direct[i].number] / MB_PAGE_SIZE;
	}
	if (cache != MB_UNKNOWN)
		s->pages[MB_MEMCG_FILE] =
			(less(cache, shmem) + or_zero(now[MB_SYS_memory_buffers_bytes])) /
			MB_PAGE_SIZE;
	if (now[MB_SYS_swap_total_bytes] != MB_UNKNOWN)
		s->swap_pages = less(now[MB_SYS_swap_total_bytes], now[MB_SYS_swap_free_bytes]) /
				MB_PAGE_SIZE;
	mb_memcg_add_up(s);
	return true;
}

/* ---- history ---- */

static uint32_t to32(uint64_t v)
{
	return v == MB_UNKNOWN ? UNKNOWN32 : v < UNKNOWN32 ? (uint32_t)v : UNKNOWN32 - 1;
}

static uint64_t from32(uint32_t v)
{
	return v == UNKNOWN32 ? MB_UNKNOWN : v;
}

/*
 * Remove the point that matters least, which has the closest neighbors relative to its age; never
 * the first one.
 */
static void thin_out(struct mb_memcg_series *s, uint64_t now_ns)
{
	double least = 0;
	uint32_t goes = 1;

	for (uint32_t i = 1; i + 1 < s->n; i++) {
		const struct point *p = &s->points[i];
		double gap = (double)(p[1].t_ns - p[-1].t_ns) / (double)(now_ns - p->t_ns);

		if (i == 1 || gap < least) {
			least = gap;
			goes = i;
		}
	}
	memmove(&s->points[goes], &s->points[goes + 1], (s->n - goes - 1) * sizeof(s->points[0]));
	s->n--;
}

static void push(struct mb_memcg_series *s, const struct mb_memcg_split *split)
{
	struct point p = { .t_ns = split->t_ns,
			   .until_ns = split->t_ns,
			   .usage = to32(split->usage_pages),
			   .swap = to32(split->swap_pages) };
	struct point *last = s->n ? &s->points[s->n - 1] : NULL;

	for (int i = 0; i < MB_MEMCG_KINDS; i++)
		p.pages[i] = to32(split->pages[i]);
	if (last && last->t_ns >= p.t_ns)
		return;
	if (last && last->usage == p.usage && last->swap == p.swap && !memcmp(last->pages, p.pages, sizeof(p.pages))) {
		last->until_ns = p.t_ns;
		return;
	}
	if (s->n == MB_MEMCG_POINTS)
		thin_out(s, p.t_ns);
	s->points[s->n++] = p;
}

static struct mb_memcg_series *find(const struct mb_memcgs *m, uint64_t cgroup)
{
	if (!cgroup)
		return m->machine;
	for (uint32_t i = 0; i < m->n; i++) {
		if (m->series[i]->cgroup == cgroup)
			return m->series[i];
	}
	return NULL;
}

static uint64_t last_ns(const struct mb_memcg_series *s)
{
	return s->n ? s->points[s->n - 1].t_ns : 0;
}

/* The cgroup's series, created if there is none; NULL: out of memory. */
static struct mb_memcg_series *get(struct mb_memcgs *m, uint64_t cgroup)
{
	struct mb_memcg_series *s = find(m, cgroup);

	if (s)
		return s;
	if (cgroup && m->n == MB_MEMCG_SERIES) {
		s = m->series[0];
		for (uint32_t i = 1; i < m->n; i++)
			s = last_ns(m->series[i]) < last_ns(s) ? m->series[i] : s;
		m->evicted++;
	} else {
		s = malloc(sizeof(*s));
		if (s && cgroup)
			m->series[m->n++] = s;
		else if (s)
			m->machine = s;
	}
	if (s) {
		s->cgroup = cgroup;
		s->n = 0;
	}
	return s;
}

void mb_memcg_note(struct mb_memcgs *m, uint64_t cgroup, const struct mb_memcg_split *split)
{
	struct mb_memcg_series *s = get(m, cgroup);

	if (s)
		push(s, split);
}

void mb_memcg_same(struct mb_memcgs *m, uint64_t cgroup, uint64_t t_ns)
{
	struct mb_memcg_series *s = find(m, cgroup);
	struct point *last = s && s->n ? &s->points[s->n - 1] : NULL;

	if (last && last->until_ns < t_ns)
		last->until_ns = t_ns;
}

void mb_memcg_tick(struct mb_model *m, uint64_t t_ns)
{
	struct mb_memcg_split s;

	if (!mb_memcg_of_machine(&s, &m->system))
		return;
	s.t_ns = t_ns;
	mb_memcg_note(&m->memcgs, 0, &s);
}

const struct mb_memcg_series *mb_memcg_find(const struct mb_memcgs *m, uint64_t cgroup)
{
	return find(m, cgroup);
}

uint32_t mb_memcg_points(const struct mb_memcg_series *s)
{
	return s ? s->n : 0;
}

void mb_memcg_point(const struct mb_memcg_series *s, uint32_t i, struct mb_memcg_split *out)
{
	const struct point *p = &s->points[i];

	out->t_ns = p->t_ns;
	out->usage_pages = from32(p->usage);
	out->swap_pages = from32(p->swap);
	for (int k = 0; k < MB_MEMCG_KINDS; k++)
		out->pages[k] = from32(p->pages[k]);
}

bool mb_memcg_at(const struct mb_memcg_series *s, uint64_t t_ns, struct mb_memcg_split *out)
{
	uint32_t n = mb_memcg_points(s), i = 0;

	mb_memcg_init(out);
	if (!n)
		return false;
	while (i < n && s->points[i].t_ns <= t_ns)
		i++;
	mb_memcg_point(s, i ? i - 1 : 0, out);
	return i;
}

bool mb_memcg_known(const struct mb_memcgs *m, uint64_t cgroup, uint64_t t_ns, uint64_t before_ns,
		    struct mb_memcg_split *out)
{
	const struct mb_memcg_series *s = find(m, cgroup);
	uint32_t i = 0;

	if (!mb_memcg_at(s, t_ns, out))
		return false;
	while (s->points[i].t_ns != out->t_ns)
		i++;
	if (s->points[i].until_ns < before_ns)
		out->t_ns = s->points[i].until_ns;
	return true;
}

/* ---- names ---- */

const char *mb_memcg_kind_name(enum mb_memcg_kind kind)
{
	static const char *const kinds[MB_MEMCG_KINDS] = {
		[MB_MEMCG_ANON] = "anon",
		[MB_MEMCG_FILE] = "file",
		[MB_MEMCG_SHMEM] = "shmem",
		[MB_MEMCG_PAGE_TABLES] = "page_tables",
		[MB_MEMCG_KERNEL_STACK] = "kernel_stack",
		[MB_MEMCG_SLAB] = "slab",
		[MB_MEMCG_SOCK] = "sock",
		[MB_MEMCG_HUGETLB] = "hugetlb",
		[MB_MEMCG_KERNEL] = "kernel",
		[MB_MEMCG_UNACCOUNTED] = "unaccounted",
	};

	return kinds[kind];
}

const char *mb_memcg_kind_words(enum mb_memcg_kind kind)
{
	static const char *const kinds[MB_MEMCG_KINDS] = {
		[MB_MEMCG_ANON] = "anonymous memory",
		[MB_MEMCG_FILE] = "page cache",
		[MB_MEMCG_SHMEM] = "shared memory",
		[MB_MEMCG_PAGE_TABLES] = "page tables",
		[MB_MEMCG_KERNEL_STACK] = "kernel stacks",
		[MB_MEMCG_SLAB] = "kernel slabs",
		[MB_MEMCG_SOCK] = "socket buffers",
		[MB_MEMCG_HUGETLB] = "huge pages of hugetlbfs",
		[MB_MEMCG_KERNEL] = "other kernel memory",
		[MB_MEMCG_UNACCOUNTED] = "memory that the kernel does not break down",
	};

	return kinds[kind];
}
