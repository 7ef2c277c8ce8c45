// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* An OOM kill in words: the sentence for a person, and the names of allocation flags. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "model/model.h"
#include "model/oom.h"

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

static void say_victim(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k)
{
	const struct mb_oom_victim *v = &k->victims[0];
	const char *cgroup = mb_oom_cgroup_path(m, k, v->cgroup);
	uint32_t others = k->n_victims + k->victims_left_out - 1;

	say(t, "%s (pid %u%s%s)", name_of(v), v->tgid, cgroup ? ", " : "", cgroup ? cgroup : "");
	if (others)
		say(t, " and %u other%s", others, others > 1 ? "s" : "");
	say(t, " %s", others ? "were" : "was");
}

static void say_memcg(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k)
{
	const char *path = mb_oom_cgroup_path(m, k, k->first.memcg);

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

/* Is the culprit among those that were killed? */
static bool is_victim(const struct mb_oom_kill *k, const struct mb_oom_task_event *culprit)
{
	for (uint32_t i = 0; i < k->n_victims; i++) {
		if (k->victims[i].tgid == culprit->tgid)
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

static void say_culprit(struct text *t, const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	switch (c->verdict) {
	case MB_OOM_CULPRIT_CLEAR:
		if (c->processes > 1) {
			say(t, "; the growth came from %u processes named %s (together ", c->processes,
			    c->task->comm);
			say_growth(t, c);
			say(t, ")");
		} else if (is_victim(k, c->task)) {
			say(t, "; the growth was %s (", k->n_victims > 1 ? "of one of them" : "its own");
			say_growth(t, c);
			say(t, ")");
		} else {
			say(t, "; the growth came from %s (pid %u, ", c->task->comm, c->task->tgid);
			say_growth(t, c);
			say(t, "), not from the victim");
		}
		break;
	case MB_OOM_CULPRIT_SEVERAL:
		say(t, "; it is not clear whose growth it was: many grew, most of all %s (pid %u, ", c->task->comm,
		    c->task->tgid);
		say_growth(t, c);
		say(t, ")");
		break;
	case MB_OOM_CULPRIT_NOT_PROCESSES:
		say(t, "; processes have only ");
		say_bytes(t, c->used_pages);
		say(t, " of it, the rest is files, shared or kernel memory");
		break;
	case MB_OOM_CULPRIT_NO_GROWTH:
		say(t, "; it is not clear whose growth it was: no process grew much since memblame looks");
		break;
	case MB_OOM_CULPRIT_NOT_KNOWN:
		break;
	}
}

static void say_by_process(struct text *t, const struct mb_model *m, const struct mb_oom_kill *k)
{
	const struct mb_oom_event *e = &k->first;

	say(t, " killed by %s (pid %u) with SIGKILL while memory was short", e->trigger_comm, e->h.tgid);
	if (e->memcg) {
		const char *path = mb_oom_cgroup_path(m, k, e->memcg);

		say(t, " (cgroup %s used ", path ? path : "?");
		say_bytes(t, e->memcg_usage_pages);
		say(t, " of ");
		say_bytes(t, e->memcg_limit_pages);
		say(t, ")");
	}
	say(t, ", not by the kernel");
}

void mb_oom_sentence(const struct mb_model *m, const struct mb_oom_kill *k, const struct mb_oom_culprit *c,
		     char *buf, size_t size)
{
	struct text t = { buf, size, 0 };

	say_victim(&t, m, k);
	if (mb_oom_is_by_process(k)) {
		say_by_process(&t, m, k);
	} else if (mb_oom_fate(m->oom, k) == MB_OOM_WAS_ENDING) {
		say(&t, " ending already when memory ran out; the kernel gave it the reserves and killed "
			"nothing");
	} else {
		say(&t, " killed");
		say_cause(&t, m, k);
		say_culprit(&t, k, c);
	}
	say(&t, ".");
}

/* ---- flags of an allocation ---- */

/* enum of include/linux/gfp_types.h; the same from 5.10 to 7.x, but for those that came and went at the end */
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

/* In the kernel's order: the first name whose bits are all there takes them. */
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
