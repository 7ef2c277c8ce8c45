// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The split of memory by kind at the time of an OOM kill, and the process that each address space
 * counts for.
 */
#include <string.h>

#include "model/model.h"
#include "oom/oom.h"

/* ---- each address space once ---- */

static uint32_t mm_of(const struct mb_model *m, const struct mb_oom_task_event *t)
{
	const struct mb_process *p;

	if (t->mm_id)
		return t->mm_id;
	p = mb_model_find_exactly(m, t->tgid, t->start_ns);
	return p ? (uint32_t)(p->mm >> 6) : 0;
}

void mb_oom_find_owners(const struct mb_model *m, const struct mb_oom_kill *k)
{
	struct mb_oom_scratch *s = &mb_oom_of(m)->scratch;

	memset(s->mms, 0, sizeof(s->mms));
	memset(s->shares, 0, sizeof(s->shares));
	for (uint32_t i = 0; i < k->n_tasks && i < MB_OOM_TASKS; i++) {
		const struct mb_oom_task_event *t = mb_oom_task(mb_oom_of(m), k, i), *other = NULL;
		uint32_t mm = t ? mm_of(m, t) : 0, at = mm * 2654435761u % MB_OOM_MMS;

		if (!mm)
			continue;
		/* there are fewer tasks than slots, so the search ends */
		for (; s->mms[at]; at = (at + 1) % MB_OOM_MMS) {
			other = mb_oom_task(mb_oom_of(m), k, s->mms[at] - 1);
			if (mm_of(m, other) == mm)
				break;
			other = NULL;
		}
		if (other && other->start_ns <= t->start_ns) {
			s->shares[i] = true;
			continue;
		}
		if (other)
			s->shares[s->mms[at] - 1] = true;
		s->mms[at] = i + 1;
	}
}

const struct mb_oom_task_event *mb_oom_owner(const struct mb_oom *o, const struct mb_oom_kill *k,
					     uint32_t i)
{
	return i < MB_OOM_TASKS && o->scratch.shares[i] ? NULL : mb_oom_task(o, k, i);
}

/* ---- from the kernel's log ---- */

static bool logged_pages(const struct mb_oom_kill *k, const char *words, uint64_t *pages)
{
	uint64_t kib;

	if (!mb_oom_number_after(k->log, k->log_len, words, &kib))
		return false;
	*pages = kib / (MB_PAGE_SIZE / 1024);
	return true;
}

/* "memory: usage 65536kB, limit ...", "kmem: usage ...", then the lines of memory.stat. */
static bool split_of_memcg(const struct mb_oom_kill *k, struct mb_memcg_split *s)
{
	uint64_t kernel = MB_UNKNOWN;

	s->usage_pages = k->first.memcg_usage_pages;
	logged_pages(k, "kmem: usage ", &kernel);
	/* v1 logs memory and swap as one number, and swap alone in its statistics */
	if (!k->first.memcg_v1 && !logged_pages(k, "swap: usage ", &s->swap_pages))
		s->swap_pages = k->first.memcg_swap_pages;
	return mb_memcg_parse(s, k->log, k->log_len, kernel);
}

/* Anonymous pages of all processes, each address space counted once. */
static uint64_t own_anon(const struct mb_model *m, const struct mb_oom_kill *k)
{
	uint64_t anon = 0;

	for (uint32_t i = 0; i < k->n_tasks; i++) {
		const struct mb_oom_task_event *t = mb_oom_owner(mb_oom_of(m), k, i);

		anon += t ? t->rss_pages[1] : 0;
	}
	return anon;
}

enum { A_ANON, I_ANON, A_FILE, I_FILE, SHMEM, TABLES, SLAB_RECLAIMABLE, SLAB_UNRECLAIMABLE, UNEVICTABLE, WORDS };

/*
 * Parses "active_anon:123 inactive_anon:45 ...", in pages. The numbers of single nodes come later
 * in the log. The kernel logs locked memory as one number; the anonymous part of it comes from the
 * processes.
 */
static bool split_of_machine(const struct mb_model *m, const struct mb_oom_kill *k,
			     struct mb_memcg_split *s)
{
	static const char *const words[WORDS] = {
		[A_ANON] = "active_anon:",
		[I_ANON] = " inactive_anon:",
		[A_FILE] = "active_file:",
		[I_FILE] = " inactive_file:",
		[SHMEM] = "shmem:",
		[TABLES] = "pagetables:",
		[SLAB_RECLAIMABLE] = "slab_reclaimable:",
		[SLAB_UNRECLAIMABLE] = "slab_unreclaimable:",
		[UNEVICTABLE] = "unevictable:",
	};
	uint64_t v[WORDS], anon, locked, own = own_anon(m, k), total, unused;

	for (int i = 0; i < WORDS; i++) {
		if (!mb_oom_number_after(k->log, k->log_len, words[i], &v[i]) || v[i] > 1ull << 40)
			return false;
	}
	anon = v[A_ANON] + v[I_ANON] > v[SHMEM] ? v[A_ANON] + v[I_ANON] - v[SHMEM] : 0;
	locked = own > anon ? own - anon : 0;
	locked = locked < v[UNEVICTABLE] ? locked : v[UNEVICTABLE];
	s->pages[MB_MEMCG_ANON] = anon + locked;
	s->pages[MB_MEMCG_FILE] = v[A_FILE] + v[I_FILE] + v[UNEVICTABLE] - locked;
	s->pages[MB_MEMCG_SHMEM] = v[SHMEM];
	s->pages[MB_MEMCG_PAGE_TABLES] = v[TABLES];
	s->pages[MB_MEMCG_SLAB] = v[SLAB_RECLAIMABLE] + v[SLAB_UNRECLAIMABLE];
	if (logged_pages(k, "Total swap = ", &total) && logged_pages(k, "Free swap  = ", &unused))
		s->swap_pages = total > unused ? total - unused : 0;
	return true;
}

/* ---- from the last tick ---- */

/*
 * If memory was freed since the last tick, its kind is not known. Only losses of up to this part of
 * the usage are accepted.
 */
#define GONE_PART 32

/*
 * Subtracts pages, first from the kinds that change most easily. Returns false if these kinds do
 * not have so many pages.
 */
static bool take_away(struct mb_memcg_split *s, uint64_t pages)
{
	static const enum mb_memcg_kind from[] = { MB_MEMCG_UNACCOUNTED, MB_MEMCG_FILE, MB_MEMCG_ANON };

	s->usage_pages -= pages;
	for (size_t i = 0; i < MB_ARRAY_SIZE(from); i++) {
		uint64_t *have = &s->pages[from[i]], some = *have == MB_UNKNOWN ? 0 : *have < pages ? *have : pages;

		*have -= some;
		pages -= some;
	}
	return !pages;
}

/*
 * Adds what was charged since the last tick. The growth of the processes' anonymous memory counts
 * as anonymous, the rest as unaccounted. Returns false if too much was freed since then.
 */
static bool add_since(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t usage_pages,
		      struct mb_memcg_split *s)
{
	uint64_t rest = usage_pages > s->usage_pages ? usage_pages - s->usage_pages : 0, more;
	uint64_t gone = usage_pages < s->usage_pages ? s->usage_pages - usage_pages : 0;
	uint64_t anon = own_anon(m, k);

	if (gone)
		return gone <= s->usage_pages / GONE_PART && take_away(s, gone);
	if (s->pages[MB_MEMCG_ANON] != MB_UNKNOWN && anon > s->pages[MB_MEMCG_ANON]) {
		more = anon - s->pages[MB_MEMCG_ANON];
		s->pages[MB_MEMCG_ANON] += more < rest ? more : rest;
	}
	s->usage_pages += rest;
	mb_memcg_add_up(s);
	return true;
}

static uint64_t machine_usage(const struct mb_model *m, const struct mb_oom_kill *k,
			      uint64_t otherwise)
{
	uint64_t total = m->system.known ? m->system.now.values[MB_SYS_memory_total_bytes] :
					   MB_UNKNOWN;
	uint64_t free_pages = mb_oom_free_pages(k);

	if (!k->n_zones || total == MB_UNKNOWN || total / MB_PAGE_SIZE < free_pages)
		return otherwise;
	return total / MB_PAGE_SIZE - free_pages;
}

enum mb_oom_split_from mb_oom_split(const struct mb_model *m, const struct mb_oom_kill *k,
				    struct mb_memcg_split *s)
{
	uint64_t memcg = k->first.memcg, usage = k->first.memcg_usage_pages;
	const struct mb_memcg_series *series = mb_memcg_find(&m->memcgs, memcg);

	mb_memcg_init(s);
	s->t_ns = k->first.h.t_ns;
	if (memcg && split_of_memcg(k, s))
		return MB_OOM_SPLIT_LOG;
	if (!mb_memcg_at(series, k->first.h.t_ns, s))
		return MB_OOM_SPLIT_UNKNOWN;
	if (!memcg) {
		usage = machine_usage(m, k, s->usage_pages);
		if (split_of_machine(m, k, s)) {
			s->usage_pages = usage;
			mb_memcg_add_up(s);
			s->t_ns = k->first.h.t_ns;
			return MB_OOM_SPLIT_LOG;
		}
	}
	if (add_since(m, k, usage, s))
		return MB_OOM_SPLIT_HISTORY;
	mb_memcg_init(s);
	return MB_OOM_SPLIT_UNKNOWN;
}
