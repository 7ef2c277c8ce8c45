// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Functions shared by the output formats of leak detection: names, and stacks for flame graphs. */
#include "leaks/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "leaks/levels.h"
#include "sinks/flame.h"

const char *mb_leak_level_name(enum mb_leak_level level)
{
	return mb_leak_level_info(level)->name;
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

const char *mb_leak_source_name(const struct mb_source_frame *p, char *buf, size_t size)
{
	const char *module = base_name(p->module), *file = base_name(p->file);

	if (p->symbol && file)
		snprintf(buf, size, "%s at %s:%u", p->symbol, file, p->line);
	else if (p->symbol)
		snprintf(buf, size, "%s%s%s", p->symbol, module ? " in " : "", module ? module : "");
	else if (module)
		snprintf(buf, size, "%s+0x%llx", module, (unsigned long long)p->module_offset);
	else
		snprintf(buf, size, "0x%llx", (unsigned long long)p->ip);
	return buf;
}

bool mb_leak_begins_with(const char *text, const char *const *list)
{
	for (; text && *list; list++) {
		if (!strncmp(text, *list, strlen(*list)))
			return true;
	}
	return false;
}

bool mb_leak_is_allocator(const struct mb_source_frame *p)
{
	static const char *const modules[] = { "libjemalloc", "libtcmalloc", "libmimalloc", "libstdc++", NULL };
	static const char *const kernel[] = { "__kmalloc",	"kmalloc",     "__kvmalloc", "kvmalloc",
					      "kmem_cache_alloc", "__alloc_",  "alloc_",     "get_free_pages",
					      "___kmalloc",	"__get_free_", "krealloc",   NULL };
	/*
	 * functions of the C library: parts of its allocator, and functions that touch memory on
	 * behalf of their caller
	 */
	static const char *const functions[] = {
		"malloc",	"calloc",	"realloc",	 "memalign",	  "valloc",	     "mmap",
		"mremap",	"brk",		"sbrk",		 "memset",	  "memcpy",	     "memmove",
		"posix_memalign", "aligned_alloc", "_int_malloc", "_int_realloc", "_int_memalign",   "_int_new_arena",
		"sysmalloc",	"tcache_init",	"arena_get2",	 "alloc_new_heap", "__memset_",	     "__memmove_",
		"__memcpy_",	"__libc_malloc", "__libc_calloc", "__GI_",	  "__mmap",	     "__brk",
		"__sbrk",	"__default_morecore", NULL,
	};
	const char *module = base_name(p->module);

	if (module && !strcmp(module, "[kernel]"))
		return mb_leak_begins_with(p->symbol, kernel);
	if (mb_leak_begins_with(module, modules))
		return true;
	return module && !strncmp(module, "libc", 4) && mb_leak_begins_with(p->symbol, functions);
}

unsigned int mb_leak_first_frame(const struct mb_leak_row *r)
{
	unsigned int i = 0;

	while (i < r->n_sources && mb_leak_is_allocator(&r->sources[i]))
		i++;
	return i < r->n_sources ? i : 0;
}

/* ---- call sites ---- */

/* The longest cycle of functions calling each other that is known as a recursion. */
#define CYCLE_MAX 8u

/* Is the frame known by its address only? JIT code without a name looks the same at every address. */
static bool is_nameless(const struct mb_source_frame *p)
{
	return !p->symbol && !(p->module && !strcmp(p->module, "[jit]"));
}

static uint64_t hash_of_frame(const struct mb_source_frame *p)
{
	uint64_t where[] = { p->line, is_nameless(p) ? p->ip : 0, p->code };
	uint64_t h = mb_hash_text(mb_hash_text(mb_hash_text(MB_HASH_BEGIN, p->module), p->symbol), p->file);

	return mb_hash(h, where, sizeof(where));
}

/* If the last frames repeat those before them, drop them. Returns how many of the n frames are left. */
static unsigned int without_repetition(const uint64_t *frames, unsigned int n)
{
	for (unsigned int cycle = 1; cycle <= CYCLE_MAX && 2 * cycle <= n; cycle++) {
		if (!memcmp(frames + n - cycle, frames + n - 2 * cycle, cycle * sizeof(*frames)))
			return n - cycle;
	}
	return n;
}

uint64_t mb_leak_call_site(const struct mb_leak_row *r)
{
	const struct mb_leak_key *key = &r->group->key;
	uint64_t whose[] = { key->start_ns, key->tgid, key->level, key->kind };
	uint64_t h = mb_hash(MB_HASH_BEGIN, whose, sizeof(whose)), frames[2 * CYCLE_MAX];
	unsigned int first = mb_leak_level_info(key->level)->from_caller ? mb_leak_first_frame(r) : 0, n = 0;

	for (unsigned int i = first; i < r->n_sources; i++) {
		if (n == 2 * CYCLE_MAX) { /* too old to be repeated */
			h = mb_hash(h, frames, sizeof(frames[0]));
			memmove(frames, frames + 1, --n * sizeof(frames[0]));
		}
		frames[n++] = hash_of_frame(&r->sources[i]);
		n = without_repetition(frames, n);
	}
	return mb_hash(h, frames, n * sizeof(frames[0]));
}

/* The frames of one row as strings, outermost first: process, level and kind, then the stack. */
static bool flame_frames(const struct mb_leak_row *r, struct mb_flame_stack *s)
{
	const struct mb_leak_group *g = r->group;
	char buf[512], **frames = calloc(r->n_sources + 3u, sizeof(*frames));
	size_t n = 0;

	if (!frames)
		return false;
	snprintf(buf, sizeof(buf), "%s (%u)", g->comm, g->key.tgid);
	frames[n++] = strdup(buf);
	snprintf(buf, sizeof(buf), "%s%s%s", mb_leak_level_name(g->key.level), r->what ? " " : "",
		 r->what ? r->what : "");
	frames[n++] = strdup(buf);
	if (!r->n_sources)
		frames[n++] = strdup(mb_leak_level_info(g->key.level)->of_process && !g->key.stack ? "(before tracing)" : "(no stack)");
	for (unsigned int i = r->n_sources; i-- > 0;)
		frames[n++] = strdup(r->sources[i].symbol ? r->sources[i].symbol :
							   mb_leak_source_name(&r->sources[i], buf, sizeof(buf)));
	s->frames = (const char *const *)frames;
	s->n_frames = n;
	for (size_t i = 0; i < n; i++) {
		if (!frames[i])
			return false;
	}
	return true;
}

static void free_frames(struct mb_flame_stack *s)
{
	for (size_t i = 0; i < s->n_frames; i++)
		free((void *)s->frames[i]);
	free((void *)s->frames);
}

int mb_leaks_flame(struct mb_out *o, const struct mb_leaks_view *v, bool svg)
{
	struct mb_flame_stack *list = calloc(v->n_rows + 1, sizeof(*list));
	size_t n = 0;
	int err = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < v->n_rows && !err; i++) {
		const struct mb_leak_row *r = &v->rows[i];
		int64_t bytes = v->compared ? r->growth_bytes : r->group->bytes;

		if (bytes <= 0)
			continue;
		list[n].bytes = (uint64_t)bytes;
		err = flame_frames(r, &list[n++]) ? 0 : -ENOMEM;
	}
	if (!err && svg)
		err = mb_flame_svg(o, v->compared ? "Memory grown, by stack" : "Memory outstanding, by stack", list, n);
	else if (!err)
		mb_flame_folded(o, list, n);
	for (size_t i = 0; i < n; i++)
		free_frames(&list[i]);
	free(list);
	return err;
}
