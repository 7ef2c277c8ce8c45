// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Kernel objects. The table of the kmem family becomes groups by process, stack and cache, scaled
 * up from the sample. What /proc reports about slab caches and vmalloc becomes groups without a
 * stack.
 */
#include "leaks/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/kmemfs.h"
#include "symbols/kallsyms.h"

#define NAMES 4096u
#define NAME_LEN (MB_KMEMFS_NAME + 16)

/* Minimum time between reads of /proc/slabinfo and /proc/vmallocinfo, since a read takes some ms. */
#define READ_NS 900000000ull

#define FIRST_ROOM (64u << 10) /* buffer for the text of these files */
#define MOST_ROOM (16u << 20)

/* Maximum number of stack ids: see size_kmem_maps() in kern/load.c. */
#define STACKS 16384u
#define IRQ_STACKS 4096u

/* The name of what a group contains; mb_leak_key.kind is its index in by_id plus one. */
struct name {
	uint32_t id;
	struct mb_kmemfs_line last, now; /* caches and vmalloc only: values of the last two reads */
	UT_hash_handle hh;
	char text[NAME_LEN];
};

struct cache {
	uint64_t address; /* mb_kmem_key.cache */
	uint32_t name;
	UT_hash_handle hh;
};

struct stack {
	bool known;
	bool interrupt; /* it is not known which process caused it */
	bool for_slabs; /* allocates pages for slabs; not counted, since the objects in them are */
	uint32_t id; /* mb_leaks_stack() */
};

struct text {
	int fd;
	const char *path;
	const char *prefix; /* prefix of the group names */
	bool read; /* the file has been read at least once */
	bool (*next)(const char **text, struct mb_kmemfs_line *out);
};

enum { TEXT_SLAB, TEXT_VMALLOC, TEXTS };

struct mb_leak_kernel {
	struct name *names;
	struct name *by_id[NAMES];
	struct cache *caches;
	struct stack stacks[STACKS], irq_stacks[IRQ_STACKS];
	struct text texts[TEXTS];
	uint64_t read_ns; /* time of the last read */
	char *room;
	size_t room_size;
};

static struct mb_leak_kernel *kernel_of(struct mb_leaks_session *l)
{
	static const struct text texts[TEXTS] = {
		[TEXT_SLAB] = { -1, "/proc/slabinfo", "slab: ", false, mb_kmemfs_slabinfo },
		[TEXT_VMALLOC] = { -1, "/proc/vmallocinfo", "vmalloc: ", false, mb_kmemfs_vmallocinfo },
	};

	if (l->kernel)
		return l->kernel;
	l->kernel = calloc(1, sizeof(*l->kernel));
	if (!l->kernel)
		return NULL;
	memcpy(l->kernel->texts, texts, sizeof(texts));
	/* only root can read them; open them while there are still privileges */
	for (int i = 0; i < TEXTS && !l->source.replays; i++)
		l->kernel->texts[i].fd = open(texts[i].path, O_RDONLY | O_CLOEXEC);
	return l->kernel;
}

void mb_leak_kernel_close(struct mb_leaks_session *l)
{
	struct mb_leak_kernel *k = l->kernel;
	struct cache *c, *tmp;

	if (!k)
		return;
	HASH_ITER(hh, k->caches, c, tmp)
	{
		HASH_DEL(k->caches, c);
		free(c);
	}
	for (uint32_t i = HASH_COUNT(k->names); i > 0; i--) {
		HASH_DEL(k->names, k->by_id[i - 1]);
		free(k->by_id[i - 1]);
	}
	for (int i = 0; i < TEXTS; i++) {
		if (k->texts[i].fd >= 0)
			close(k->texts[i].fd);
	}
	free(k->room);
	free(k);
	l->kernel = NULL;
}

/* ---- names ---- */

/* Returns NULL if there is no room for more names. */
static struct name *name_get(struct mb_leak_kernel *k, const char *prefix, const char *name)
{
	char text[NAME_LEN];
	struct name *n;

	snprintf(text, sizeof(text), "%s%s", prefix, name);
	HASH_FIND_STR(k->names, text, n);
	if (n)
		return n;
	n = HASH_COUNT(k->names) < NAMES ? calloc(1, sizeof(*n)) : NULL;
	if (!n)
		return NULL;
	memcpy(n->text, text, sizeof(n->text));
	k->by_id[HASH_COUNT(k->names)] = n;
	n->id = HASH_COUNT(k->names) + 1;
	HASH_ADD_STR(k->names, text, n);
	return n;
}

const char *mb_leak_kernel_name(const struct mb_leaks_session *l, uint32_t kind)
{
	const struct mb_leak_kernel *k = l->kernel;

	return k && kind && kind <= HASH_COUNT(k->names) ? k->by_id[kind - 1]->text : NULL;
}

/* Format a name such as "kmalloc-cg-1k" as the kernel does (mm/slab_common.c, kmalloc_info). */
static void kmalloc_name(const char *kind, unsigned int bytes, char *name, size_t size)
{
	if (bytes > 8192) /* allocated as whole pages, without a cache */
		snprintf(name, size, "kmalloc-%slarge", kind);
	else if (bytes >= 1024)
		snprintf(name, size, "kmalloc-%s%uk", kind, bytes / 1024);
	else
		snprintf(name, size, "kmalloc-%s%u", kind, bytes);
}

static void named_cache(struct mb_leaks_session *l, uint64_t cache, char name[MB_KMEM_CACHE_NAME])
{
	memset(name, 0, MB_KMEM_CACHE_NAME);
	if (!l->source.replays)
		mb_kern_kmem_cache(l->kern, cache, name);
	mb_leak_source_value(&l->source, MB_LEAK_FACT_CACHE, cache, name, MB_KMEM_CACHE_NAME);
	name[MB_KMEM_CACHE_NAME - 1] = '\0';
	if (!*name)
		snprintf(name, MB_KMEM_CACHE_NAME, "(unknown cache)");
}

static void cache_name(struct mb_leaks_session *l, uint64_t cache, char name[MB_KMEM_CACHE_NAME])
{
	unsigned int bytes = (unsigned int)cache;

	switch (MB_KMEM_KIND(cache)) {
	case MB_KMEM_KMALLOC:
		kmalloc_name("", bytes, name, MB_KMEM_CACHE_NAME);
		break;
	case MB_KMEM_KMALLOC_CG:
		kmalloc_name("cg-", bytes, name, MB_KMEM_CACHE_NAME);
		break;
	case MB_KMEM_KMALLOC_RCL:
		kmalloc_name("rcl-", bytes, name, MB_KMEM_CACHE_NAME);
		break;
	case MB_KMEM_OBJECTS:
		snprintf(name, MB_KMEM_CACHE_NAME, "objects of %u bytes", bytes);
		break;
	case MB_KMEM_PAGES:
		snprintf(name, MB_KMEM_CACHE_NAME, "pages");
		break;
	default:
		named_cache(l, cache, name);
	}
}

static uint32_t kind_of(struct mb_leaks_session *l, struct mb_leak_kernel *k, uint64_t cache)
{
	char name[MB_KMEM_CACHE_NAME];
	struct name *n;
	struct cache *c;

	HASH_FIND(hh, k->caches, &cache, sizeof(cache), c);
	if (c)
		return c->name;
	cache_name(l, cache, name);
	n = name_get(k, "", name);
	c = n ? calloc(1, sizeof(*c)) : NULL;
	if (!c)
		return 0;
	c->address = cache;
	c->name = n->id;
	HASH_ADD(hh, k->caches, address, sizeof(c->address), c);
	return c->name;
}

/* ---- stacks ---- */

static bool begins_with_one_of(const char *name, const char *const *list)
{
	for (; *list; list++) {
		if (strncmp(name, *list, strlen(*list)) == 0)
			return true;
	}
	return false;
}

/* Frames of tracing itself. BPF programs have no name in a symbol list that was read before they were loaded. */
static bool is_tracing(const char *name)
{
	static const char *const list[] = { "bpf_prog_", "bpf_trace_run", "__bpf_trace_", "__traceiter_", NULL };

	return !*name || begins_with_one_of(name, list);
}

/*
 * Entry points of interrupts. The frames outside belong to the process that was interrupted, which
 * is not the cause.
 */
static bool is_interrupt(const char *name)
{
	static const char *const list[] = { "handle_softirqs+", "__do_softirq+",  "asm_sysvec_",
					    "sysvec_",		"common_interrupt+", "asm_common_interrupt+",
					    "do_softirq+",	"irq_exit_rcu+", "__irq_exit_rcu+", NULL };

	return begins_with_one_of(name, list);
}

/* Functions with which the slab allocator gets pages for its objects. These objects are counted themselves. */
static bool is_slab(const char *name)
{
	static const char *const list[] = { "allocate_slab+", "new_slab+", "___slab_alloc+", "__slab_alloc",
					    "cache_grow_begin+", "___kmalloc_large_node+", "__kmalloc_large_node",
					    "kmalloc_large", "kmalloc_order", NULL };

	return begins_with_one_of(name, list);
}

/* A call chain of the kernel, and what its symbols say. */
struct chain {
	uint64_t ips[MB_KMEM_FRAMES];
	uint32_t n; /* 0: the chain is not known */
	uint32_t interrupt, for_slabs, whole;
};

/* Drop the frames of tracing, and classify the chain by its symbols. */
static void look_at(const struct mb_leaks_session *l, struct chain *c)
{
	uint32_t from = 0, to = 0;
	bool begun = false, cut = c->n == MB_KMEM_FRAMES;
	char name[256];

	while (to < c->n && !c->interrupt) {
		mb_kallsyms_name(l->kallsyms, c->ips[to], name, sizeof(name));
		if (!begun && is_tracing(name) && l->kallsyms)
			from = to + 1;
		else
			begun = true;
		c->interrupt = is_interrupt(name);
		c->for_slabs |= is_slab(name);
		to++;
	}
	memmove(c->ips, c->ips + from, (to - from) * sizeof(c->ips[0]));
	c->n = to - from;
	c->whole = c->interrupt || !cut;
}

/* Read a chain from the kernel side. Done once for each stack. */
static void read_chain(struct mb_leaks_session *l, uint32_t id, struct chain *c)
{
	memset(c, 0, sizeof(*c));
	if (!l->source.replays) {
		c->n = mb_kern_kmem_stack(l->kern, id, c->ips);
		if (c->n)
			look_at(l, c);
	}
	mb_leak_source_value(&l->source, MB_LEAK_FACT_KERNEL_CHAIN, id, c, sizeof(*c));
	if (c->n > MB_KMEM_FRAMES)
		c->n = 0;
}

/* Returns NULL if the stack is not known. */
static const struct stack *stack_of(struct mb_leaks_session *l, struct mb_leak_kernel *k, uint32_t id)
{
	uint32_t at = (id & ~MB_KMEM_IRQ) - 1;
	struct chain c;
	struct stack *s;

	if (!id || at >= (id & MB_KMEM_IRQ ? IRQ_STACKS : STACKS))
		return NULL;
	s = id & MB_KMEM_IRQ ? &k->irq_stacks[at] : &k->stacks[at];
	if (s->known)
		return s;
	read_chain(l, id, &c);
	if (!c.n)
		return NULL;
	s->known = true;
	s->interrupt = c.interrupt;
	s->for_slabs = c.for_slabs;
	s->id = mb_leaks_stack(l->leaks, 0, c.ips, c.n, c.whole);
	return s;
}

/* ---- events ---- */

/*
 * Variance of count sampled objects with a total size of bytes, assumed to be of equal size; each
 * stands for scale objects.
 */
static double variance_of(int64_t scale, uint64_t bytes, int64_t count)
{
	return (double)bytes * (double)bytes / (double)count * (double)(scale * (scale - 1));
}

/*
 * Add allocations and frees separately, so that objects allocated and freed between two reads are
 * in the group's total.
 */
static void add(struct mb_leaks_session *l, const struct mb_leak_key *key, const char *comm,
		const struct mb_kmem_event *e)
{
	int64_t scale = l->kmem_sample_1_in, came = (int64_t)e->allocated, went = (int64_t)e->freed;

	if (came)
		mb_leaks_add(l->leaks, key, comm, (uint64_t)scale, scale * (int64_t)e->allocated_bytes, (double)(scale * came),
			     variance_of(scale, e->allocated_bytes, came));
	if (went)
		mb_leaks_add(l->leaks, key, comm, (uint64_t)scale, -scale * (int64_t)e->freed_bytes, -(double)(scale * went),
			     -variance_of(scale, e->freed_bytes, went));
}

void mb_leak_kernel_event(struct mb_leaks_session *l, const struct mb_event *event)
{
	const struct mb_kmem_event *e = (const struct mb_kmem_event *)event;
	struct mb_leak_key key = { .level = MB_LEAK_KERNEL };
	struct mb_leak_kernel *k = kernel_of(l);
	const struct mb_process *p;
	const struct stack *s;

	if (!k || event->family != MB_FAM_kmem || event->size < sizeof(*e))
		return;
	s = stack_of(l, k, e->key.stack);
	if (s && s->for_slabs && MB_KMEM_KIND(e->key.cache) == MB_KMEM_PAGES)
		return;
	key.stack = s ? s->id : 0;
	key.kind = kind_of(l, k, e->key.cache);
	if (!s || !s->interrupt) {
		key.tgid = e->key.tgid;
		key.start_ns = e->key.start_ns;
	}
	p = key.tgid ? mb_model_find_exactly(l->model, key.tgid, key.start_ns) : NULL;
	add(l, &key, p ? p->comm : key.tgid ? "" : "kernel", e);
}

/* ---- what the kernel itself counts ---- */

static bool make_room(struct mb_leak_kernel *k)
{
	size_t size = k->room_size ? 2 * k->room_size : FIRST_ROOM;
	char *bigger = size <= MOST_ROOM ? realloc(k->room, size) : NULL;

	if (!bigger)
		return false;
	k->room = bigger;
	k->room_size = size;
	return true;
}

/* Read a whole file from its beginning. Returns NULL if it cannot be read, or is too long. */
static const char *slurp(struct mb_leak_kernel *k, int fd)
{
	size_t len = 0;
	ssize_t n;

	for (;;) {
		if (len + 1 >= k->room_size && !make_room(k))
			return NULL;
		n = pread(fd, k->room + len, k->room_size - len - 1, (off_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	k->room[len] = '\0';
	return n < 0 ? NULL : k->room;
}

/* first: this is the first read, so the memory existed before and did not just appear. */
static void reported(struct mb_leaks_session *l, struct name *n, bool first)
{
	struct mb_leak_key key = { .level = MB_LEAK_KERNEL, .kind = n->id };
	int64_t count = (int64_t)(n->now.objects - n->last.objects);
	int64_t bytes = (int64_t)(n->now.bytes - n->last.bytes);

	if (first && count)
		mb_leaks_found(l->leaks, &key, "kernel", bytes, count);
	else if (bytes || count)
		mb_leaks_add(l->leaks, &key, "kernel", 1, bytes, (double)count, 0);
	n->last = n->now;
	memset(&n->now, 0, sizeof(n->now));
}

/* The lines of a file. Returns false if it cannot be read. */
static bool read_lines(struct mb_leaks_session *l, struct mb_leak_kernel *k, int i, struct mb_kmemfs_line **lines, size_t *n)
{
	const struct text *t = &k->texts[i];
	const char *text = t->fd >= 0 ? slurp(k, t->fd) : NULL;
	void *list = NULL;
	size_t room = 0;

	*n = 0;
	for (struct mb_kmemfs_line line; text && t->next(&text, &line); (*n)++) {
		struct mb_kmemfs_line *bigger = list;

		if (*n == room) {
			room = room ? 2 * room : 256;
			bigger = realloc(list, room * sizeof(line));
		}
		if (!bigger)
			break;
		bigger[*n] = line;
		list = bigger;
	}
	mb_leak_source_list(&l->source, MB_LEAK_FACT_COUNTER_LINES, (uint64_t)i, &list, n, sizeof(**lines));
	*lines = list;
	return *n;
}

/* Several lines can have the same name (callers of vmalloc). What the file no longer lists is gone. */
static void read_text(struct mb_leaks_session *l, struct mb_leak_kernel *k, int i)
{
	struct mb_kmemfs_line *lines;
	struct text *t = &k->texts[i];
	size_t n;

	if (!read_lines(l, k, i, &lines, &n)) {
		free(lines);
		return;
	}
	for (size_t j = 0; j < n; j++) {
		struct name *name;

		lines[j].name[sizeof(lines[j].name) - 1] = '\0';
		name = name_get(k, t->prefix, lines[j].name);
		if (!name)
			continue;
		name->now.bytes += lines[j].bytes;
		name->now.objects += lines[j].objects;
	}
	free(lines);
	for (struct name *name = k->names; name; name = name->hh.next) {
		if (strncmp(name->text, t->prefix, strlen(t->prefix)) == 0)
			reported(l, name, !t->read);
	}
	t->read = true;
}

void mb_leak_kernel_tick(struct mb_leaks_session *l, uint64_t t_ns)
{
	struct mb_leak_kernel *k = kernel_of(l);

	if (!k || (k->read_ns && t_ns - k->read_ns < READ_NS))
		return;
	k->read_ns = t_ns;
	for (int i = 0; i < TEXTS; i++)
		read_text(l, k, i);
}
