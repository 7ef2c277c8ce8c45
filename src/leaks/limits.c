// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Tracks the memory of processes, cgroups and the machine, and finds the limit that is reached first. */
#include "leaks/limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "host/cgroup_limits.h"
#include "memblame/abi.h"

/* Ticks between two reads of a process's own limits, which prlimit can change. */
#define LIMIT_TICKS 10u

struct group {
	struct group *above; /* parent cgroup; NULL: top level */
	int dir;
	uint64_t seen_ns;
	bool read; /* memory was read at the last tick */
	struct mb_cgroup_memory memory;
	struct mb_trend_series used; /* memory that is not reclaimable, plus what was swapped out */
	/* set by find_growth(): growth of used; sum of the anonymous growth of the processes in it and below; the rate */
	struct mb_growth growth;
	int64_t sum_slope;
	double sum_risen; /* bytes by which they have grown */
	struct mb_rate rate;
	UT_hash_handle hh;
	char path[];
};

struct proc_key {
	uint64_t start_ns;
	uint64_t tgid;
};

struct proc {
	struct proc_key key;
	struct group *group; /* NULL: not followed */
	uint64_t seen_ns;
	uint64_t ticks;
	struct mb_trend_series own; /* anonymous and shared memory, including swap */
	struct mb_trend_series anon; /* anonymous part of own */
	uint64_t as_limit, data_limit; /* MB_NO_LIMIT: none */
	uint64_t as_bytes, data_bytes;
	struct mb_trend_series *mapped, *data; /* NULL: there is no such limit */
	UT_hash_handle hh;
};

struct mb_leak_limits {
	struct mb_leak_source *source;
	bool has_cgroups; /* there is a cgroup hierarchy */
	int root; /* its mount point; -1: none, or a replay */
	uint64_t t_ns; /* time of the current tick */
	uint64_t growth_ns; /* tick for which find_growth() was run */
	struct group *groups;
	struct proc *procs;
	uint64_t left_out;
	struct mb_trend_series machine;
	struct mb_rate machine_rate; /* set by find_growth() */
	struct mb_limit machine_limit; /* kind NULL: not known */
	uint64_t swap_free_bytes;
};

struct mb_leak_limits *mb_leak_limits_open(const char *root, struct mb_leak_source *source, bool has_cgroups)
{
	struct mb_leak_limits *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->source = source;
	h->root = root && !source->replays ? open(root, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	h->has_cgroups = source->replays ? has_cgroups : h->root >= 0;
	return h;
}

bool mb_leak_limits_has_cgroups(const struct mb_leak_limits *h)
{
	return h->has_cgroups;
}

static void close_dir(int dir)
{
	if (dir >= 0)
		close(dir);
}

static void free_group(struct mb_leak_limits *h, struct group *g)
{
	HASH_DEL(h->groups, g);
	close_dir(g->dir);
	free(g);
}

static void free_proc(struct mb_leak_limits *h, struct proc *p)
{
	HASH_DEL(h->procs, p);
	free(p->mapped);
	free(p->data);
	free(p);
}

void mb_leak_limits_close(struct mb_leak_limits *h)
{
	struct group *g, *next_group;
	struct proc *p, *next_proc;

	if (!h)
		return;
	HASH_ITER(hh, h->groups, g, next_group)
	free_group(h, g);
	HASH_ITER(hh, h->procs, p, next_proc)
	free_proc(h, p);
	close_dir(h->root);
	free(h);
}

/* ---- cgroups ---- */

/* Open the directory of a cgroup. *whole: the cgroup above accounts for it. Returns false if there is none. */
static bool open_group(const struct mb_leak_limits *h, const struct group *above, const char *name, int *dir, bool *whole)
{
	struct {
		uint32_t there, whole;
	} read = { 0 };

	*dir = -1;
	if (!h->source->replays) {
		*dir = openat(above ? above->dir : h->root, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		read.there = *dir >= 0;
		read.whole = above && mb_cgroup_memory_is_whole(above->dir);
	}
	mb_leak_source_value(h->source, MB_LEAK_FACT_CGROUP_OPEN, 0, &read, sizeof(read));
	*whole = read.whole;
	return read.there;
}

static struct group *new_group(struct mb_leak_limits *h, struct group *above, const char *path,
			       size_t len, const char *name)
{
	struct group *g;
	bool whole;
	int dir;

	if (HASH_COUNT(h->groups) >= MB_LEAK_LIMITS_CGROUPS) {
		h->left_out++;
		return NULL;
	}
	if (!open_group(h, above, name, &dir, &whole))
		return NULL;
	g = calloc(1, sizeof(*g) + len + 1);
	if (!g) {
		close_dir(dir);
		return NULL;
	}
	g->dir = dir;
	g->above = whole ? above : NULL;
	memcpy(g->path, path, len);
	HASH_ADD(hh, h->groups, path[0], len, g);
	return g;
}

static void reopen_group(const struct mb_leak_limits *h, const struct group *above, struct group *g,
			 const char *name)
{
	bool whole;
	int dir;

	if (!open_group(h, above, name, &dir, &whole))
		return;
	close_dir(g->dir);
	g->dir = dir;
	memset(&g->used, 0, sizeof(g->used));
}

/*
 * Follow the cgroup of a path and all its ancestors, from the top down. Each component is opened
 * separately, since a path can be longer than a file name may be.
 */
static struct group *follow_group(struct mb_leak_limits *h, const char *path)
{
	struct group *above = NULL, *g = NULL;
	const char *at = path;
	char name[256];

	while (h->has_cgroups && *at == '/' && at[1]) {
		size_t len = strcspn(at + 1, "/"), whole = (size_t)(at + 1 + len - path);

		if (len >= sizeof(name))
			return NULL;
		memcpy(name, at + 1, len);
		name[len] = '\0';
		HASH_FIND(hh, h->groups, path, whole, g);
		if (g && !g->read &&
		    g->seen_ns != h->t_ns) /* the cgroup can have been removed and created again */
			reopen_group(h, above, g, name);
		if (!g)
			g = new_group(h, above, path, whole, name);
		if (!g)
			return NULL;
		g->seen_ns = h->t_ns;
		above = g;
		at += 1 + len;
	}
	return g;
}

static void read_group(struct mb_leak_limits *h, struct group *g)
{
	const struct mb_cgroup_memory *m = &g->memory;
	struct {
		uint64_t known;
		struct mb_cgroup_memory memory;
	} read = { 0 };
	uint64_t used;

	if (!h->source->replays)
		read.known = mb_cgroup_memory_read(g->dir, &read.memory);
	mb_leak_source_value(h->source, MB_LEAK_FACT_CGROUP, 0, &read, sizeof(read));
	g->read = read.known;
	g->memory = read.memory;
	if (!g->read)
		return;
	used = m->usage_bytes - m->reclaimable_bytes + m->swapped_bytes;
	mb_trend_add(&g->used, h->t_ns, used, used);
}

/* Memory of the cgroup that can still be swapped out, within the swap limits of the cgroup and the machine. */
static uint64_t swap_room(const struct mb_leak_limits *h, const struct mb_cgroup_memory *m)
{
	uint64_t room = m->swap_max_bytes;

	if (m->no_swap)
		return 0;
	if (room != MB_NO_LIMIT)
		room = room > m->swapped_bytes ? room - m->swapped_bytes : 0;
	return room < h->swap_free_bytes ? room : h->swap_free_bytes;
}

static uint64_t span_ns(const struct mb_trend_series *s)
{
	return s->n ? s->points[s->n - 1].t_ns - s->points[0].t_ns : 0;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static bool is_old(const struct mb_trend_series *s, const struct mb_trend_series *whole)
{
	return span_ns(s) >= span_ns(whole) / 2;
}

/* By how much the amount has risen since t_ns; negative: fallen. */
static double risen_since(const struct mb_trend_series *s, uint64_t t_ns)
{
	return s->n ? (double)s->points[s->n - 1].last - (double)s->points[mb_trend_index(s, t_ns)].last : 0;
}

/* The last time at which the amount was lowest: what it has grown by is since then. */
static uint64_t lowest_ns(const struct mb_trend_series *s)
{
	uint32_t low = 0;

	for (uint32_t i = 1; i < s->n; i++) {
		if (s->points[i].last <= s->points[low].last)
			low = i;
	}
	return s->n ? s->points[low].t_ns : 0;
}

struct falls {
	uint32_t n; /* in the whole series */
	double since; /* how much of them was since some time */
};

/* Falls of at least this height. Points that fall one after the other are one fall. */
static struct falls falls_of(const struct mb_trend_series *s, double height, uint64_t since_ns)
{
	uint32_t first = mb_trend_index(s, since_ns);
	struct falls f = { 0 };
	double top = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		double at = (double)s->points[i].last;
		bool is_low = i + 1 == s->n || (double)s->points[i + 1].last > at;

		top = fmax(top, at);
		if (is_low && top - at >= height) {
			f.n++;
			f.since += i > first ? top - at : 0;
		}
		top = is_low ? at : top;
	}
	return f;
}

#define BORNE_OUT 0.5 /* the whole must show at least this share of a part's growth */
#define FALL 0.25 /* a fall of this share of that growth made room for it... */
#define LEAST_FALL (256.0 * 1024) /* ...if it is more than the kernel's counters lag behind by */

/*
 * Does the memory charged to a limit show that a part of it grew by so much since then? Not what is
 * charged elsewhere, such as shared memory, or is freed lazily. Others may have given back memory
 * at one time (once), or all the time. In a cgroup where they do so again and again, the whole is a
 * saw-tooth, and its own floor says how it grows.
 */
static bool is_borne_out(const struct mb_trend_series *whole, double growth, uint64_t since_ns, bool once)
{
	struct falls f = falls_of(whole, fmax(FALL * growth, LEAST_FALL), since_ns);

	return (f.n < 2 || !once) && risen_since(whole, since_ns) + f.since >= BORNE_OUT * growth;
}

/* Add what grows to the rate of a whole that bears it out. */
static void take_rate(struct mb_rate *r, const struct mb_trend_series *whole, const struct mb_trend_series *s,
		      int64_t slope, bool once)
{
	uint64_t since_ns;

	if (slope <= 0) /* most processes do not grow */
		return;
	since_ns = lowest_ns(s);
	if (s == whole || is_borne_out(whole, risen_since(s, since_ns), since_ns, once))
		mb_rate_take(r, slope, span_ns(s), span_ns(whole));
}

/* Add what grows to the rates of the cgroups from g up. */
static void take_rates(struct group *g, const struct mb_trend_series *s, int64_t slope)
{
	for (; g; g = g->above)
		take_rate(&g->rate, &g->used, s, slope, true);
}

/* The same for the rate of the machine, where others give back memory all the time. */
static void take_machine_rate(struct mb_leak_limits *h, const struct mb_trend_series *s, int64_t slope)
{
	take_rate(&h->machine_rate, &h->machine, s, slope, false);
}

static void take_process(struct mb_leak_limits *h, const struct proc *p)
{
	struct mb_growth own, anon;

	mb_growth_of(&p->own, &own);
	mb_growth_of(&p->anon, &anon);
	take_rates(p->group, &p->own, own.slope_bytes_per_s);
	/* others may have filled the shared memory before, and the machine's figures vary too much to tell */
	take_machine_rate(h, &p->anon, anon.slope_bytes_per_s);
	for (struct group *g = p->group; g; g = g->above) {
		if (!is_old(&p->own, &g->used))
			continue;
		g->sum_risen += fmax(0, risen_since(&p->anon, 0));
		if (__builtin_add_overflow(g->sum_slope, anon.slope_bytes_per_s, &g->sum_slope))
			g->sum_slope = INT64_MAX;
	}
}

/* Growth of the cgroup's own figures, or of its processes together if these figures bear it out. */
static int64_t slope_of(const struct group *g)
{
	int64_t sum = is_borne_out(&g->used, g->sum_risen, 0, true) ? g->sum_slope : 0;

	return larger(g->growth.slope_bytes_per_s, sum);
}

/*
 * Compute how fast each cgroup and the machine grow, once per tick: the rate as a whole, but at
 * least the rate of each part that grows, so that the time of a part is never sooner than that of the
 * whole. Memory that other processes happen to free at the moment does not make lasting room.
 */
static void find_growth(struct mb_leak_limits *h)
{
	struct mb_growth machine;

	if (h->growth_ns == h->t_ns)
		return;
	h->growth_ns = h->t_ns;
	mb_growth_of(&h->machine, &machine);
	h->machine_rate = (struct mb_rate){ .lasting = machine.slope_bytes_per_s };
	for (struct group *g = h->groups; g; g = g->hh.next) {
		mb_growth_of(&g->used, &g->growth);
		g->rate = (struct mb_rate){ 0 };
		g->sum_slope = 0;
		g->sum_risen = 0;
	}
	for (struct proc *p = h->procs; p; p = p->hh.next)
		take_process(h, p);
	for (struct group *g = h->groups; g; g = g->hh.next) {
		int64_t slope = slope_of(g);

		take_rates(g, &g->used, slope);
		take_machine_rate(h, &g->used, slope);
	}
}

/* Consider one limit of a cgroup, or the machine's, for a part of the memory charged to it. slope: the part's. */
static void take_limit(const struct mb_rate *r, const struct mb_limit *l, int64_t slope, struct mb_outlook *o)
{
	if (l->bytes != MB_NO_LIMIT)
		mb_outlook_take(o, l, mb_rate_of_part(r, l, slope));
}

/* Consider the limits of one cgroup, to which all memory in it is charged. */
static void take_group(const struct mb_leak_limits *h, const struct group *g, int64_t slope, struct mb_outlook *o)
{
	const struct mb_cgroup_memory *m = &g->memory;
	struct mb_limit l = { .path = g->path, .reclaimable_bytes = m->reclaimable_bytes };

	if (!g->read)
		return;
	l.usage_bytes = m->usage_bytes;
	l.swap_bytes = swap_room(h, m);
	l.kind = "cgroup";
	l.bytes = m->max_bytes;
	take_limit(&g->rate, &l, slope, o);
	l.kind = "cgroup high";
	l.bytes = m->high_bytes;
	take_limit(&g->rate, &l, slope, o);
	l.kind = "cgroup memory and swap";
	l.bytes = m->both_max_bytes;
	l.usage_bytes = m->both_bytes;
	l.swap_bytes = 0;
	take_limit(&g->rate, &l, slope, o);
}

/* ---- processes ---- */

struct process_limits {
	uint64_t as_limit, data_limit;
};

/* A line of /proc/PID/limits: "Max address space   4294967296   unlimited   bytes" */
static void read_process_limits(uint32_t tgid, struct process_limits *read)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/limits", tgid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "Max address space %" SCNu64, &read->as_limit);
		sscanf(line, "Max data size %" SCNu64, &read->data_limit);
	}
	if (f)
		fclose(f);
}

static void look_up_limits(const struct mb_leak_limits *h, struct proc *p)
{
	struct process_limits read = { .as_limit = MB_NO_LIMIT, .data_limit = MB_NO_LIMIT };

	if (!h->source->replays)
		read_process_limits((uint32_t)p->key.tgid, &read);
	if (!mb_leak_source_value(h->source, MB_LEAK_FACT_PROCESS_LIMITS, p->key.tgid, &read, sizeof(read)))
		read = (struct process_limits){ .as_limit = MB_NO_LIMIT, .data_limit = MB_NO_LIMIT };
	p->as_limit = read.as_limit;
	p->data_limit = read.data_limit;
	if (p->as_limit != MB_NO_LIMIT && !p->mapped)
		p->mapped = calloc(1, sizeof(*p->mapped));
	if (p->data_limit != MB_NO_LIMIT && !p->data)
		p->data = calloc(1, sizeof(*p->data));
}

struct process_data {
	uint64_t known, bytes;
};

static void read_process_data(uint32_t tgid, struct process_data *read)
{
	char path[64], line[256];
	uint64_t kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", tgid);
	f = fopen(path, "re");
	while (f && !read->known && fgets(line, sizeof(line), f))
		read->known = sscanf(line, "VmData: %" SCNu64, &kib) == 1;
	if (f)
		fclose(f);
	if (read->known)
		read->bytes = kib * 1024;
}

static bool look_up_data(const struct mb_leak_limits *h, struct proc *p)
{
	struct process_data read = { 0 };

	if (!h->source->replays)
		read_process_data((uint32_t)p->key.tgid, &read);
	mb_leak_source_value(h->source, MB_LEAK_FACT_PROCESS_DATA, p->key.tgid, &read, sizeof(read));
	if (read.known)
		p->data_bytes = read.bytes;
	return read.known;
}

static struct proc *find_proc(const struct mb_leak_limits *h, uint32_t tgid, uint64_t start_ns)
{
	struct proc_key key = { .start_ns = start_ns, .tgid = tgid };
	struct proc *found;

	HASH_FIND(hh, h->procs, &key, sizeof(key), found);
	return found;
}

void mb_leak_limits_begin(struct mb_leak_limits *h, uint64_t t_ns)
{
	h->t_ns = t_ns;
}

void mb_leak_limits_process(struct mb_leak_limits *h, const struct mb_process *m)
{
	struct proc *p = find_proc(h, m->tgid, m->start_ns);
	uint64_t anon = (m->rss_pages[1] + m->rss_pages[2]) * MB_PAGE_SIZE;
	uint64_t own = anon + m->rss_pages[3] * MB_PAGE_SIZE;

	if (m->exited || !m->has_memory || (p && p->seen_ns == h->t_ns))
		return;
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return;
		p->key = (struct proc_key){ .start_ns = m->start_ns, .tgid = m->tgid };
		HASH_ADD(hh, h->procs, key, sizeof(p->key), p);
	}
	p->seen_ns = h->t_ns;
	if (p->ticks++ % LIMIT_TICKS == 0)
		look_up_limits(h, p);
	mb_trend_add(&p->own, h->t_ns, own, own);
	mb_trend_add(&p->anon, h->t_ns, anon, anon);
	p->as_bytes = m->total_vm_pages * MB_PAGE_SIZE;
	if (p->mapped)
		mb_trend_add(p->mapped, h->t_ns, p->as_bytes, p->as_bytes);
	if (p->data && look_up_data(h, p))
		mb_trend_add(p->data, h->t_ns, p->data_bytes, p->data_bytes);
	p->group = m->cgroup_path ? follow_group(h, m->cgroup_path) : NULL;
}

void mb_leak_limits_follow(struct mb_leak_limits *h, const char *path)
{
	follow_group(h, path);
}

/* ---- the machine ---- */

/* Use the values of the model's last tick. */
static void read_machine(struct mb_leak_limits *h, const struct mb_model *m)
{
	const uint64_t *values = m->system.now.values;
	uint64_t total = values[MB_SYS_memory_total_bytes],
		 free = values[MB_SYS_memory_available_bytes];
	uint64_t swap = values[MB_SYS_swap_total_bytes], swap_free = values[MB_SYS_swap_free_bytes],
		 used;

	h->machine_limit.kind = NULL;
	h->swap_free_bytes = m->system.known && swap_free != MB_UNKNOWN ? swap_free : 0;
	if (!m->system.known || total == MB_UNKNOWN || free == MB_UNKNOWN || free > total)
		return;
	if (swap == MB_UNKNOWN || swap_free == MB_UNKNOWN || swap_free > swap)
		swap = swap_free = 0;
	used = total - free + swap - swap_free;
	h->machine_limit = (struct mb_limit){ .kind = "free memory",
					      .bytes = total,
					      .usage_bytes = total - free,
					      .swap_bytes = swap_free };
	mb_trend_add(&h->machine, h->t_ns, used, used);
}

void mb_leak_limits_end(struct mb_leak_limits *h, const struct mb_model *m)
{
	struct group *g, *next_group;
	struct proc *p, *next_proc;

	read_machine(h, m);
	HASH_ITER(hh, h->procs, p, next_proc)
	{
		if (p->seen_ns != h->t_ns)
			free_proc(h, p);
	}
	HASH_ITER(hh, h->groups, g, next_group)
	{
		if (g->seen_ns == h->t_ns)
			read_group(h, g);
	}
	/* children are not seen either if their parent is not, so they are freed as well */
	HASH_ITER(hh, h->groups, g, next_group)
	{
		if (g->seen_ns != h->t_ns)
			free_group(h, g);
	}
}

/* ---- outlook ---- */

static int64_t shown_slope(const struct group *g)
{
	return g->rate.lasting ? g->rate.lasting : g->rate.young;
}

/*
 * The rate of a part seen from above this cgroup, too: 0 if the cgroup's figures do not bear it out. A cgroup that
 * grows faster, and is too new for a time, makes what is in it too new as well.
 */
static int64_t slope_above(const struct group *g, int64_t slope)
{
	struct mb_limit none = { .bytes = 0 };

	if (!g->read || slope <= 0)
		return slope;
	return mb_rate_of_part(&g->rate, &none, slope) ? larger(slope, shown_slope(g)) : 0;
}

/*
 * Consider the limits shared with other processes, up to the machine's memory, which everything that grows uses up.
 * They are never reached by a process that does not grow itself.
 */
static void take_shared(const struct mb_leak_limits *h, const struct group *g, struct mb_outlook *o)
{
	int64_t slope = o->growth.slope_bytes_per_s;

	for (; g; g = g->above) {
		take_group(h, g, slope, o);
		slope = slope_above(g, slope);
	}
	if (h->machine_limit.kind)
		take_limit(&h->machine_rate, &h->machine_limit, slope, o);
}

static void take_own(const char *kind, uint64_t bytes, uint64_t usage_bytes,
		     const struct mb_trend_series *s, struct mb_outlook *o)
{
	struct mb_limit l = { .kind = kind, .bytes = bytes, .usage_bytes = usage_bytes };
	struct mb_growth growth;

	if (!s || bytes == MB_NO_LIMIT)
		return;
	mb_growth_of(s, &growth);
	mb_outlook_take(o, &l, growth.slope_bytes_per_s);
}

void mb_leak_limits_of(struct mb_leak_limits *h, uint32_t tgid, uint64_t start_ns, struct mb_outlook *o)
{
	const struct proc *p = find_proc(h, tgid, start_ns);

	memset(o, 0, sizeof(*o));
	if (!p)
		return;
	find_growth(h);
	mb_growth_of(&p->own, &o->growth);
	take_own("address space", p->as_limit, p->as_bytes, p->mapped, o);
	take_own("data", p->data_limit, p->data_bytes, p->data, o);
	take_shared(h, p->group, o);
}

bool mb_leak_limits_cgroup(struct mb_leak_limits *h, size_t i, const char **path, struct mb_outlook *o)
{
	struct group *g = h->groups;

	while (g && (!g->read || i--))
		g = g->hh.next;
	memset(o, 0, sizeof(*o));
	if (!g)
		return false;
	*path = g->path;
	find_growth(h);
	o->growth = g->growth;
	o->growth.slope_bytes_per_s = shown_slope(g);
	take_shared(h, g, o);
	return true;
}

uint64_t mb_leak_limits_left_out(const struct mb_leak_limits *h)
{
	return h->left_out;
}
