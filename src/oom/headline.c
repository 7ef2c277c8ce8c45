// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The sentence that describes an OOM kill for a person, and the names of allocation flags. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/longpath.h"
#include "base/units.h"
#include "model/model.h"
#include "oom/oom.h"

#define SENTENCE_PATH 160u

struct text {
	char *buf;
	size_t size, len;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->len += n > 0 ? (size_t)n : 0;
	if (t->len >= t->size)
		t->len = t->size - 1;
}

static void say_bytes(struct text *t, uint64_t pages)
{
	char bytes[MB_UNITS_LEN];

	say(t, "%s", mb_format(bytes, MB_UNIT_BYTES, pages * MB_PAGE_SIZE));
}

static const char *name_of(const struct mb_oom_victim *v)
{
	return v->known && v->comm[0] ? v->comm : "a process";
}

/* Returns the path shortened for a sentence; the report has the whole path. NULL: not known. */
static const char *path_of(char buf[SENTENCE_PATH], const struct mb_model *m, const struct mb_oom_kill *k,
			   uint64_t cgroup)
{
	const char *path = mb_oom_cgroup_path(m, k, cgroup);

	if (!path)
		return NULL;
	mb_shorten(buf, SENTENCE_PATH, path, cgroup);
	return buf;
}

static void say_victim(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k)
{
	const struct mb_oom_victim *v = &k->victims[0];
	char path[SENTENCE_PATH];
	const char *cgroup = path_of(path, m, k, v->cgroup);
	uint32_t others = k->n_victims + k->victims_left_out - 1;

	say(t, "%s (pid %u%s%s)", name_of(v), v->tgid, cgroup ? ", " : "", cgroup ? cgroup : "");
	if (others)
		say(t, " and %u other%s", others, others > 1 ? "s" : "");
	say(t, " %s", others ? "were" : "was");
}

static void say_memcg(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k)
{
	char buf[SENTENCE_PATH];
	const char *path = path_of(buf, m, k, k->first.memcg);

	say(t, "cgroup %s reached its limit of ", path ? path : "?");
	say_bytes(t, k->first.memcg_limit_pages);
}

static void say_machine(struct text *t, const struct mb_oom_kill *k)
{
	say(t, "the machine ran out of memory");
	if (!k->n_zones)
		return;
	say(t, " (");
	say_bytes(t, mb_oom_free_pages(k));
	say(t, " free)");
}

static void say_cause(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k)
{
	const struct mb_oom_event *e = &k->first;

	say(t, " because ");
	if (!e->total_pages)
		say(t, "memory ran out");
	else if (e->constraint == MB_OOM_MEMCG)
		say_memcg(t, m, k);
	else if (e->constraint == MB_OOM_CPUSET)
		say(t, "the memory of its cpuset ran out");
	else if (e->constraint == MB_OOM_MEMPOLICY)
		say(t, "the memory that a memory policy allows ran out");
	else
		say_machine(t, k);
}

static bool is_one_of(const struct mb_oom_kill *k, uint32_t tgid)
{
	for (uint32_t i = 0; i < k->n_victims; i++) {
		if (k->victims[i].tgid == tgid)
			return true;
	}
	return false;
}

/* Is the culprit one of the victims, or does it share its address space with one? */
static bool is_victim(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_task_event *culprit)
{
	if (is_one_of(k, culprit->tgid))
		return true;
	for (uint32_t i = 0; i < k->n_tasks && culprit->mm_id; i++) {
		const struct mb_oom_task_event *t = mb_oom_task(mb_oom_of(m), k, i);

		if (t && t->mm_id == culprit->mm_id && is_one_of(k, t->tgid))
			return true;
	}
	return false;
}

static void say_growth(struct text *t, const struct mb_oom_culprit *c)
{
	char ns[MB_UNITS_LEN];

	say(t, "+");
	say_bytes(t, (uint64_t)c->growth_pages);
	say(t, " in %s", mb_format(ns, MB_UNIT_NS, c->growth_ns));
}

/* "8 processes named NAME" or "NAME (pid 1)". */
static void say_named(struct text *t, const struct mb_oom_culprit *c)
{
	if (c->processes > 1)
		say(t, "%u processes named %s", c->processes, c->task->comm);
	else
		say(t, "%s (pid %u)", c->task->comm, c->task->tgid);
}

/* Names a kind of memory and the processes related to it. */
static void say_kind(struct text *t, const struct mb_oom_culprit *c)
{
	char ns[MB_UNITS_LEN];

	say(t, "; the growth was ");
	say_bytes(t, (uint64_t)c->growth_pages);
	say(t, " of %s in %s", mb_memcg_kind_words(c->kind), mb_format(ns, MB_UNIT_NS, c->growth_ns));
	if (!c->task && c->kind == MB_MEMCG_SHMEM) {
		say(t, ", files on tmpfs or memory that no process maps");
	} else if (!c->task) {
		say(t, ", which is no process's own");
	} else {
		say(t, "%s", c->how == MB_OOM_MAPS ? ", mapped by " : c->how == MB_OOM_WROTE ? ", written by " : ", of ");
		say_named(t, c);
	}
}

static void say_clear(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	if (c->kind != MB_MEMCG_ANON) {
		say_kind(t, c);
	} else if (c->processes > 1) {
		say(t, "; the growth came from %u processes named %s (together ", c->processes, c->task->comm);
		say_growth(t, c);
		say(t, ")");
	} else if (is_victim(m, k, c->task)) {
		say(t, "; the growth was %s (", k->n_victims > 1 ? "of one of them" : "its own");
		say_growth(t, c);
		say(t, ")");
	} else {
		say(t, "; the growth came from %s (pid %u, ", c->task->comm, c->task->tgid);
		say_growth(t, c);
		say(t, "), not from the victim");
	}
}

/* Names the kind too if more than half of the growth is of that kind. */
static void say_several(struct text *t, const struct mb_oom_culprit *c)
{
	int64_t most = c->kind_growth_pages[c->kind];
	char ns[MB_UNITS_LEN];

	say(t, "; it is not clear whose growth it was: ");
	if (most * 2 > c->all_growth_pages) {
		say_bytes(t, (uint64_t)most);
		say(t, " of %s, ", mb_memcg_kind_words(c->kind));
	}
	if (!c->task) {
		say(t, "of which no process is known to have most");
		return;
	}
	if (c->missing)
		say(t, "%s, and most grew %s (", c->missing, c->task->comm);
	else
		say(t, "many grew, most of all %s (", c->task->comm);
	if (c->processes > 1)
		say(t, "%u of that name, ", c->processes);
	else
		say(t, "pid %u, ", c->task->tgid);
	say_growth(t, c);
	say(t, ")");
	if (!c->steady)
		return;
	say(t, "; over the longer time %s (pid %u, +", c->steady->comm, c->steady->tgid);
	say_bytes(t, (uint64_t)c->steady_growth_pages);
	say(t, " in %s) grew", mb_format(ns, MB_UNIT_NS, c->steady_ns));
}

static void say_culprit(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	switch (c->verdict) {
	case MB_OOM_CULPRIT_CLEAR:
		say_clear(t, m, k, c);
		break;
	case MB_OOM_CULPRIT_NOT_PROCESSES:
		say_kind(t, c);
		break;
	case MB_OOM_CULPRIT_SEVERAL:
		say_several(t, c);
		break;
	case MB_OOM_CULPRIT_NO_GROWTH:
		say(t, "; it is not clear whose growth it was: nothing grew much since memblame looks");
		break;
	case MB_OOM_CULPRIT_UNKNOWN:
		say(t, "; whose growth it was is not known: %s", c->missing);
		break;
	case MB_OOM_CULPRIT_NOT_KNOWN:
		break;
	}
}

static void say_shortage(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k)
{
	char buf[SENTENCE_PATH];
	const char *path = path_of(buf, m, k, k->first.memcg);

	if (k->was_short == MB_OOM_SHORT_CGROUP) {
		say(t, "cgroup %s used ", path ? path : "?");
		say_bytes(t, k->first.memcg_usage_pages);
		say(t, " of ");
		say_bytes(t, k->first.memcg_limit_pages);
		return;
	}
	if (k->was_short == MB_OOM_SHORT_PRESSURE)
		say(t, "processes waited for it %" PRIu64 " %% of 10 s, and ", k->pressure_bp / 100);
	say(t, "the machine had ");
	say_bytes(t, k->available_pages);
	say(t, " available");
}

static void say_by_process(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k)
{
	say(t, " killed by %s (pid %u) with SIGKILL while memory was short (", k->first.trigger_comm, k->first.h.tgid);
	say_shortage(t, m, k);
	say(t, "), not by the kernel");
}

void mb_oom_sentence(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c,
		     char *buf, size_t size)
{
	struct text t = { buf, size, 0 };

	say_victim(&t, m, k);
	if (mb_oom_is_by_process(k)) {
		say_by_process(&t, m, k);
	} else if (mb_oom_kill_outcome(mb_oom_of(m), k) == MB_OOM_WAS_ENDING) {
		say(&t, " ending already when memory ran out; the kernel gave it the reserves and killed "
			"nothing");
	} else {
		say(&t, " killed");
		say_cause(&t, m, k);
		say_culprit(&t, m, k, c);
	}
	say(&t, ".");
}

/* ---- flags of an allocation ---- */

/*
 * Flags from include/linux/gfp_types.h. They are the same from 5.10 to 7.x, except for flags that
 * were added or removed at the end.
 */
enum {
	DMA = 1 << 0,
	HIGHMEM = 1 << 1,
	DMA32 = 1 << 2,
	MOVABLE = 1 << 3,
	RECLAIMABLE = 1 << 4,
	HIGH = 1 << 5,
	IO = 1 << 6,
	FS = 1 << 7,
	ZERO = 1 << 8,
	ATOMIC = 1 << 9, /* until 6.3 */
	DIRECT_RECLAIM = 1 << 10,
	KSWAPD_RECLAIM = 1 << 11,
	WRITE = 1 << 12,
	NOWARN = 1 << 13,
	RETRY_MAYFAIL = 1 << 14,
	NOFAIL = 1 << 15,
	NORETRY = 1 << 16,
	MEMALLOC = 1 << 17,
	COMP = 1 << 18,
	NOMEMALLOC = 1 << 19,
	HARDWALL = 1 << 20,
	THISNODE = 1 << 21,
	ACCOUNT = 1 << 22,
	RECLAIM = DIRECT_RECLAIM | KSWAPD_RECLAIM,
	GFP_NOFS = RECLAIM | IO,
	GFP_KERNEL = GFP_NOFS | FS,
	GFP_USER = GFP_KERNEL | HARDWALL,
	GFP_HIGHUSER = GFP_USER | HIGHMEM,
	GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | MOVABLE,
	GFP_TRANSHUGE_LIGHT = (GFP_HIGHUSER_MOVABLE | COMP | NOMEMALLOC | NOWARN) & ~RECLAIM,
};

/* In the kernel's order: the first name whose bits are all set consumes these bits. */
static const struct {
	uint32_t bits;
	const char *name;
} gfp_names[] = {
	{ GFP_TRANSHUGE_LIGHT | DIRECT_RECLAIM, "GFP_TRANSHUGE" },
	{ GFP_TRANSHUGE_LIGHT, "GFP_TRANSHUGE_LIGHT" },
	{ GFP_HIGHUSER_MOVABLE, "GFP_HIGHUSER_MOVABLE" },
	{ GFP_HIGHUSER, "GFP_HIGHUSER" },
	{ GFP_USER, "GFP_USER" },
	{ GFP_KERNEL | ACCOUNT, "GFP_KERNEL_ACCOUNT" },
	{ GFP_KERNEL, "GFP_KERNEL" },
	{ GFP_NOFS, "GFP_NOFS" },
	{ HIGH | KSWAPD_RECLAIM | ATOMIC, "GFP_ATOMIC" },
	{ HIGH | KSWAPD_RECLAIM, "GFP_ATOMIC" },
	{ RECLAIM, "GFP_NOIO" },
	{ DMA, "GFP_DMA" },
	{ DMA32, "GFP_DMA32" },
	{ HIGH, "__GFP_HIGH" },
	{ ATOMIC, "__GFP_ATOMIC" },
	{ IO, "__GFP_IO" },
	{ FS, "__GFP_FS" },
	{ NOWARN, "__GFP_NOWARN" },
	{ RETRY_MAYFAIL, "__GFP_RETRY_MAYFAIL" },
	{ NOFAIL, "__GFP_NOFAIL" },
	{ NORETRY, "__GFP_NORETRY" },
	{ COMP, "__GFP_COMP" },
	{ ZERO, "__GFP_ZERO" },
	{ NOMEMALLOC, "__GFP_NOMEMALLOC" },
	{ MEMALLOC, "__GFP_MEMALLOC" },
	{ HARDWALL, "__GFP_HARDWALL" },
	{ THISNODE, "__GFP_THISNODE" },
	{ RECLAIMABLE, "__GFP_RECLAIMABLE" },
	{ MOVABLE, "__GFP_MOVABLE" },
	{ ACCOUNT, "__GFP_ACCOUNT" },
	{ WRITE, "__GFP_WRITE" },
	{ RECLAIM, "__GFP_RECLAIM" },
	{ DIRECT_RECLAIM, "__GFP_DIRECT_RECLAIM" },
	{ KSWAPD_RECLAIM, "__GFP_KSWAPD_RECLAIM" },
	{ HIGHMEM, "__GFP_HIGHMEM" },
};

const char *mb_oom_gfp_names(uint32_t gfp, char *buf, size_t size)
{
	struct text t = { buf, size, 0 };

	buf[0] = '\0';
	for (size_t i = 0; i < MB_ARRAY_SIZE(gfp_names); i++) {
		if ((gfp & gfp_names[i].bits) != gfp_names[i].bits)
			continue;
		say(&t, "%s%s", t.len ? "|" : "", gfp_names[i].name);
		gfp &= ~gfp_names[i].bits;
	}
	if (gfp)
		say(&t, "%s0x%x", t.len ? "|" : "", gfp);
	return buf;
}
