// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Memory cgroups with a limit: finds them, and reads what they are charged by kind. */
#include "host/memcg_watch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/readfd.h"
#include "model/memcg.h"

#define LOOKS 64u /* cgroups whose limit is checked per tick */
#define BORN 1024u /* cgroups created since tracing began whose creation time is known */
#define BORN_LOOKS 4u /* ticks in which the limit of a new cgroup is checked: it is set after the creation */
#define STAT_BYTES 8192
#define NO_LIMIT (UINT64_C(1) << 60)
#define ROOM_PART 16 /* if less than this part of the limit is left, kinds are read in each tick */
#define IDLE_TICKS 8u /* otherwise, if the usage hardly changes, only once in so many ticks */

struct watched {
	uint64_t id;
	uint64_t limit_bytes, usage_bytes; /* at the last reading of its kinds */
	uint32_t quiet; /* ticks since that reading */
	UT_hash_handle hh;
	char path[];
};

struct born {
	uint64_t id, t_ns;
	uint32_t looks;
};

struct mb_memcg_watch {
	struct watched *all; /* in the order in which they were added */
	uint32_t next_look;
	uint64_t last_ns;
	bool searched;
	struct born born[BORN];
	uint32_t n_born;
	char text[STAT_BYTES];
};

struct mb_memcg_watch *mb_memcg_watch_open(void)
{
	return calloc(1, sizeof(struct mb_memcg_watch));
}

static void drop(struct mb_memcg_watch *w, struct watched *x)
{
	HASH_DEL(w->all, x);
	free(x);
}

void mb_memcg_watch_close(struct mb_memcg_watch *w)
{
	while (w && w->all)
		drop(w, w->all);
	free(w);
}

/* ---- cgroup files ---- */

/* Reads a file and returns its length; 0: it cannot be read. */
static size_t read_file(const char *dir, const char *name, char *buf, size_t size)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return 0;
	return mb_read_fd(open(path, O_RDONLY | O_CLOEXEC), buf, size);
}

/* Reads the number in the v2 file, otherwise in the v1 file. "max" gives NO_LIMIT. */
static bool read_number(const char *dir, const char *v2, const char *v1, uint64_t *v)
{
	char text[32];

	if (!(v2 && read_file(dir, v2, text, sizeof(text))) &&
	    !(v1 && read_file(dir, v1, text, sizeof(text))))
		return false;
	*v = text[0] == 'm' ? NO_LIMIT : strtoull(text, NULL, 10);
	return true;
}

static bool directory_of(const struct mb_cgroups *c, const char *path, char *dir, size_t size)
{
	return snprintf(dir, size, "%s%s", mb_cgroups_root(c), path) < (int)size;
}

/* ---- finding cgroups ---- */

static uint64_t born_ns(const struct mb_memcg_watch *w, uint64_t id)
{
	for (uint32_t i = 0; i < w->n_born && i < BORN; i++) {
		if (w->born[i].id == id)
			return w->born[i].t_ns;
	}
	return 0;
}

void mb_memcg_watch_event(struct mb_memcg_watch *w, const void *data, size_t len)
{
	const struct mb_cgroup_event *e = data;

	if (len < sizeof(*e) || e->h.family != MB_FAM_task || e->h.type != MB_TASK_EVENT_CGROUP)
		return;
	w->born[w->n_born++ % BORN] = (struct born){ .id = e->cgroup, .t_ns = e->h.t_ns };
}

static void ingest_split(struct mb_ingest *ingest, uint64_t id, const struct mb_memcg_split *s)
{
	struct mb_memcg_record record = { .cgroup = id, .split = *s };

	mb_ingest(ingest, MB_INGEST_MEMCG, &record, sizeof(record));
}

/* Passes a split of zeros at the cgroup's creation time to the model. */
static void ingest_birth(struct mb_memcg_watch *w, struct mb_ingest *ingest, uint64_t id)
{
	struct mb_memcg_split nothing = { .t_ns = born_ns(w, id) };

	if (nothing.t_ns && !mb_memcg_find(&ingest->model->memcgs, id))
		ingest_split(ingest, id, &nothing);
}

void mb_memcg_watch_kill(struct mb_memcg_watch *w, struct mb_ingest *ingest, uint64_t cgroup)
{
	if (w && cgroup)
		ingest_birth(w, ingest, cgroup);
}

/* Checks whether the cgroup has a limit; if so, it is read from now on. */
static void look(struct mb_memcg_watch *w, struct mb_ingest *ingest, const struct mb_cgroups *c,
		 uint64_t id, const char *path)
{
	char dir[4096];
	struct watched *x;
	uint64_t limit;

	HASH_FIND(hh, w->all, &id, sizeof(id), x);
	if (x || !directory_of(c, path, dir, sizeof(dir)) ||
	    !read_number(dir, "memory.max", "memory.limit_in_bytes", &limit) || limit >= NO_LIMIT)
		return;
	if (HASH_COUNT(w->all) >= MB_MEMCG_SERIES)
		drop(w, w->all);
	x = calloc(1, sizeof(*x) + strlen(path) + 1);
	if (!x)
		return;
	x->id = id;
	x->limit_bytes = limit;
	x->quiet = IDLE_TICKS;
	strcpy(x->path, path);
	HASH_ADD(hh, w->all, id, sizeof(x->id), x);
	ingest_birth(w, ingest, id);
}

struct looking {
	struct mb_memcg_watch *watch;
	struct mb_ingest *ingest;
	const struct mb_cgroups *cgroups;
};

static void look_at(void *arg, uint64_t id, const char *path)
{
	struct looking *l = arg;

	look(l->watch, l->ingest, l->cgroups, id, path);
}

/*
 * Checks cgroups created since tracing began, whether or not they contain known processes: newest
 * first, at most LOOKS per tick.
 */
static void look_at_born(struct mb_memcg_watch *w, struct mb_ingest *ingest, struct mb_cgroups *c)
{
	uint32_t looks = 0;

	for (uint32_t i = w->n_born, n = 0; i-- > 0 && n < BORN && looks < LOOKS; n++) {
		struct born *b = &w->born[i % BORN];
		const char *path = b->looks < BORN_LOOKS ? mb_cgroups_path(c, b->id) : NULL;

		if (!path)
			continue;
		b->looks++;
		looks++;
		look(w, ingest, c, b->id, path);
	}
}

/*
 * Checks the cgroups of processes and their ancestors: some processes per tick, so that all get
 * their turn.
 */
static void look_at_processes(struct mb_memcg_watch *w, struct mb_ingest *ingest, struct mb_cgroups *c)
{
	struct looking l = { w, ingest, c };
	uint32_t i = 0, looks = 0, n = ingest->model->n_processes;

	for (struct mb_process *p = ingest->model->all; p && looks < LOOKS; p = p->next, i++) {
		bool turn = n <= LOOKS || (i >= w->next_look && i < w->next_look + LOOKS);

		/* a new process may be in a new cgroup */
		if (p->exited || !p->cgroup_path || !(turn || p->start_ns >= w->last_ns))
			continue;
		looks++;
		mb_cgroups_above(c, p->cgroup_path, look_at, &l);
	}
	w->next_look = w->next_look + LOOKS < n ? w->next_look + LOOKS : 0;
}

/* ---- reading charges ---- */

/*
 * Must the kinds be read in this tick? See ROOM_PART and IDLE_TICKS; also if the usage changed by
 * more than 1/256 of the limit.
 */
static bool is_due(const struct watched *x, uint64_t usage)
{
	uint64_t step = x->limit_bytes / 256,
		 moved = usage > x->usage_bytes ? usage - x->usage_bytes : x->usage_bytes - usage;

	return moved > step || x->quiet >= IDLE_TICKS ||
	       usage + x->limit_bytes / ROOM_PART >= x->limit_bytes;
}

/*
 * Reads what a cgroup is charged and passes it to the model. Returns false if the cgroup is gone.
 */
static bool read_split(struct mb_memcg_watch *w, struct mb_ingest *ingest, const struct mb_cgroups *c,
		       struct watched *x)
{
	struct mb_memcg_same_record same = { .cgroup = x->id };
	uint64_t usage, kernel = MB_UNKNOWN, swap;
	struct mb_memcg_split s;
	char dir[4096];
	size_t len;

	if (!directory_of(c, x->path, dir, sizeof(dir)) ||
	    !read_number(dir, "memory.max", "memory.limit_in_bytes", &x->limit_bytes) ||
	    !read_number(dir, "memory.current", "memory.usage_in_bytes", &usage))
		return false;
	if (!is_due(x, usage)) {
		x->quiet++;
		same.t_ns = mb_now_ns();
		mb_ingest(ingest, MB_INGEST_MEMCG, &same, sizeof(same));
		return true;
	}
	mb_memcg_init(&s);
	len = read_file(dir, "memory.stat", w->text, sizeof(w->text));
	if (read_number(dir, NULL, "memory.kmem.usage_in_bytes", &kernel))
		kernel /= MB_PAGE_SIZE;
	if (read_number(dir, "memory.swap.current", NULL, &swap))
		s.swap_pages = swap / MB_PAGE_SIZE;
	/* read the usage after the kinds, so that it includes all of them */
	read_number(dir, "memory.current", "memory.usage_in_bytes", &usage);
	s.usage_pages = usage / MB_PAGE_SIZE;
	s.t_ns = mb_now_ns();
	if (!mb_memcg_parse(&s, w->text, len, kernel))
		return false;
	x->usage_bytes = usage;
	x->quiet = 0;
	ingest_split(ingest, x->id, &s);
	return true;
}

void mb_memcg_watch_tick(struct mb_memcg_watch *w, struct mb_ingest *ingest, struct mb_cgroups *c, uint64_t t_ns)
{
	const struct mb_history *h = ingest->model->history;
	struct looking l = { w, ingest, c };
	struct watched *x, *tmp;

	if (!w || !h || !mb_cgroups_root(c) || h->last_ns != t_ns)
		return;
	if (!w->searched)
		mb_cgroups_each(c, look_at, &l);
	w->searched = true;
	look_at_born(w, ingest, c);
	look_at_processes(w, ingest, c);
	w->last_ns = t_ns;
	HASH_ITER(hh, w->all, x, tmp)
	{
		if (!read_split(w, ingest, c, x))
			drop(w, x);
	}
}
