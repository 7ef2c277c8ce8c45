// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Since when the blocks of each process are traced, and how much memory it had by then. */
#include "leaks/seen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/live_thread.h"
#include "base/log.h"
#include "symbols/mapping.h"
#include "symbols/open.h"

struct mb_leak_seen_process {
	uint32_t tgid;
	uint64_t started; /* in clock ticks; distinguishes the process from a later one with the same pid */
	uint64_t began_ns; /* start of its program: the last exec, else the fork or the start of the process */
	bool forked; /* forked without an exec since: it has the heap of its parent */
	bool probed; /* probed at least once */
	uint64_t before_bytes; /* its own memory when first probed, or at the fork; or MB_UNKNOWN */
	struct mb_leak_allocator files[MB_LEAK_ALLOCATORS];
	size_t n_files;
	uint64_t left_out;
	UT_hash_handle hh;
};

/* Anonymous memory, including swap. */
static uint64_t own_bytes(uint32_t tgid)
{
	unsigned long long kb, sum = 0;
	char line[256];
	bool known = false;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%u/status", mb_live_thread(tgid));
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "RssAnon: %llu", &kb) != 1 &&
		    sscanf(line, "VmSwap: %llu", &kb) != 1)
			continue;
		sum += kb * 1024;
		known = true;
	}
	if (f)
		fclose(f);
	return known ? sum : MB_UNKNOWN;
}

static struct mb_leak_seen_process *process_of(struct mb_leaks_session *l, uint32_t tgid)
{
	uint64_t started = mb_start_time(tgid);
	struct mb_leak_seen_process *p;

	HASH_FIND(hh, l->seen, &tgid, sizeof(tgid), p);
	if (p && (p->started == started || !started))
		return p;
	if (p) {
		HASH_DEL(l->seen, p);
		free(p);
	}
	p = started ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return NULL;
	p->tgid = tgid;
	p->started = started;
	p->began_ns = started * (MB_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	p->before_bytes = MB_UNKNOWN;
	HASH_ADD(hh, l->seen, tgid, sizeof(p->tgid), p);
	return p;
}

/* State of one call of mb_kern_attach_heap(). */
struct probing {
	struct mb_leaks_session *l;
	struct mb_leak_seen_process *p;
	bool held, first;
	uint64_t mapped_ns; /* 0: not known */
};

static void on_allocator(void *arg, const char *path, const struct stat *st, uint64_t since_ns)
{
	struct probing *now = arg;
	struct mb_leak_seen_process *p = now->p;
	struct mb_leak_allocator *a;

	for (size_t i = 0; i < p->n_files; i++) {
		a = &p->files[i];
		if (a->dev != st->st_dev || a->ino != st->st_ino)
			continue;
		if (!a->mapped_ns &&
		    now->mapped_ns < a->found_ns) /* a tick found it before its event arrived */
			a->mapped_ns = now->mapped_ns;
		return;
	}
	if (p->n_files == MB_LEAK_ALLOCATORS) {
		p->left_out++;
		return;
	}
	a = &p->files[p->n_files++];
	*a = (struct mb_leak_allocator){ .file = mb_strings_keep(
						 mb_modules_strings(now->l->modules), path),
					 .dev = st->st_dev,
					 .ino = st->st_ino,
					 .since_ns = since_ns,
					 .found_ns = mb_now_ns(),
					 .mapped_ns = now->mapped_ns,
					 .held = now->held,
					 .first = now->first };
}

static void probe(struct mb_leaks_session *l, struct mb_leak_seen_process *p, bool held,
		  uint64_t mapped_ns)
{
	struct probing now = { l, p, held, !p->n_files, mapped_ns };
	struct mb_err e = { 0 };

	if (mb_kern_attach_heap(l->kern, p->tgid, on_allocator, &now, &e) < 0)
		mb_verbose("%s", e.text);
	if (now.first && p->n_files && !p->forked && !held)
		p->before_bytes = own_bytes(p->tgid);
	p->probed = true;
}

void mb_leak_seen_probe(struct mb_leaks_session *l, uint32_t tgid, bool held)
{
	struct mb_leak_seen_process *p = process_of(l, tgid);

	if (p)
		probe(l, p, held, 0);
}

/* Drop allocators that were found in the previous program. Those found after the exec belong to the new one. */
static void begin_program(struct mb_leak_seen_process *p, uint64_t t_ns)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_files; i++) {
		if (p->files[i].found_ns > t_ns)
			p->files[n++] = p->files[i];
	}
	if (!n)
		p->before_bytes = MB_UNKNOWN;
	for (size_t i = 0; i < n; i++)
		p->files[i].first |= p->files[i].found_ns == p->files[0].found_ns;
	p->n_files = n;
	p->left_out = 0;
	p->forked = false;
	p->began_ns = t_ns;
}

static void fork_from(struct mb_leaks_session *l, const struct mb_region_fork_event *e)
{
	struct mb_leak_seen_process *p = process_of(l, e->child_tgid);

	if (!p || p->n_files) /* the child has already called exec */
		return;
	p->began_ns = e->h.t_ns;
	p->forked = true;
	p->before_bytes = own_bytes(e->child_tgid);
}

void mb_leak_seen_event(struct mb_leaks_session *l, const struct mb_event *e)
{
	const struct mb_region_event *r = (const void *)e;
	struct mb_leak_seen_process *p;

	if (e->family != MB_FAM_vma)
		return;
	if (e->type == MB_VMA_FORK && e->size >= sizeof(struct mb_region_fork_event)) {
		fork_from(l, (const void *)e);
	} else if (e->type == MB_VMA_EXEC) {
		p = process_of(l, e->tgid);
		if (p)
			begin_program(p, e->t_ns);
	} else if (e->type == MB_VMA_REGION && e->size >= sizeof(*r) && r->op == MB_VMA_MMAP &&
		   (r->args[2] & 4)) {
		p = process_of(l, e->tgid);
		if (p) /* immediately: allocations until the next tick would be missed */
			probe(l, p, false, e->t_ns);
	}
}

void mb_leak_seen_tick(struct mb_leaks_session *l)
{
	struct mb_leak_seen_process *p, *tmp;

	HASH_ITER(hh, l->seen, p, tmp)
	{
		const struct mb_process *known = mb_model_find(l->model, p->tgid);
		struct mb_leak_space *sp = l->spaces;

		if (known ? !known->exited : mb_start_time(p->tgid) == p->started)
			continue;
		while (sp && sp->tgid != p->tgid)
			sp = sp->hh.next;
		if (sp) /* its last state is still shown */
			continue;
		HASH_DEL(l->seen, p);
		free(p);
	}
}

static uint64_t after(uint64_t t_ns, uint64_t from_ns)
{
	return t_ns > from_ns ? t_ns - from_ns : 0;
}

void mb_leak_seen_of(const struct mb_leaks_session *l, uint32_t tgid, struct mb_leak_heap_seen *out)
{
	struct mb_leak_seen_process *p;

	memset(out, 0, sizeof(*out));
	HASH_FIND(hh, l->seen, &tgid, sizeof(tgid), p);
	if (!l->cfg->heap || !p)
		return;
	out->how = p->n_files ? MB_HEAP_SEEN_FIRST :
		   p->probed  ? MB_HEAP_SEEN_NONE :
				MB_HEAP_SEEN_UNKNOWN;
	for (size_t i = 0; i < p->n_files; i++) {
		const struct mb_leak_allocator *a = &p->files[i];
		uint64_t late = a->held ? 0 : after(a->since_ns, p->began_ns);

		if (a->first && late > out->since_ns)
			out->since_ns = late;
		if (a->first)
			continue;
		out->later[out->n_later] = *a;
		out->later[out->n_later].unseen_known = a->held || a->mapped_ns;
		out->later[out->n_later++].unseen_ns = a->held ? 0 :
								 after(a->since_ns, a->mapped_ns);
	}
	out->left_out = p->left_out;
	out->before_known = p->n_files && p->before_bytes != MB_UNKNOWN;
	out->before_bytes = out->before_known ? p->before_bytes : 0;
	if (!p->n_files)
		return;
	if (p->forked) {
		out->how = MB_HEAP_SEEN_FORKED;
	} else if (out->since_ns) {
		out->how = MB_HEAP_SEEN_LATE;
	} else {
		out->before_known = true; /* there was no memory before */
		out->before_bytes = 0;
	}
}

void mb_leak_seen_free(struct mb_leaks_session *l)
{
	struct mb_leak_seen_process *p, *tmp;

	HASH_ITER(hh, l->seen, p, tmp)
	{
		HASH_DEL(l->seen, p);
		free(p);
	}
}
