// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Uprobes on allocators: the files that have been examined, the uprobes of each process, and the
 * blocks that the BPF programs follow.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/live_thread.h"
#include "base/log.h"
#include "kern/internal.h"
#include "symbols/allocators.h"

/* Keys deleted by one system call. */
#define FORGET_AT_ONCE 1024

#define ENDING_THREADS 64u

struct file_key {
	uint64_t dev, ino, mtime_ns;
};

/* A file that was mapped as code. Most files define no allocator. */
struct heap_file {
	struct file_key key;
	struct mb_allocator *allocator; /* NULL: the file defines none */
	UT_hash_handle hh;
};

struct target_key {
	struct file_key file;
	uint64_t pid; /* 0: all processes */
};

/* One uprobe (link), or several uprobes of one kind (fd, if it is not -1). */
struct heap_link {
	struct bpf_link *link;
	int fd;
};

/* A file that is probed in one process or in all processes. */
struct heap_target {
	struct target_key key;
	struct heap_link *links;
	size_t n;
	uint64_t since_ns; /* time from which all its uprobes are attached */
	UT_hash_handle hh;
};

struct mb_uprobes {
	struct heap_file *files;
	struct heap_target *targets;
};

/* State of one call of mb_kern_attach_heap(). */
struct attaching {
	struct mb_kern *k;
	uint32_t pid; /* the process to probe; 0: all processes */
	uint32_t tid; /* a living thread of that process: mb_live_thread() */
	mb_kern_allocator_fn *found;
	void *arg;
	int functions, err;
	char failed[160];
};

bool mb_uprobes_on(const struct mb_kern *k)
{
	for (size_t i = 0; i < k->n_selected; i++) {
		if (k->selected[i].family->id == MB_FAM_heap && k->selected[i].hook)
			return true;
	}
	return false;
}

/* ---- files ---- */

/* Finds or adds a file, and reads its allocator when it is added. Returns NULL without memory. */
static struct heap_file *file_of(struct mb_uprobes *u, int fd, const struct file_key *key, const char *path)
{
	struct mb_allocator *a;
	struct heap_file *f;

	HASH_FIND(hh, u->files, key, sizeof(*key), f);
	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	a = malloc(sizeof(*a));
	if (!f || !a) {
		free(f);
		free(a);
		return NULL;
	}
	f->key = *key;
	if (!mb_allocator_read(a, fd) || !a->n) {
		if (a->nameless)
			mb_verbose("%s: linked statically and stripped: no allocator can be found in it", path);
		free(a);
		a = NULL;
	}
	f->allocator = a;
	HASH_ADD(hh, u->files, key, sizeof(f->key), f);
	return f;
}

/* ---- probes ---- */

static struct bpf_program *program_of(const struct mb_kern *k, uint32_t op)
{
	static const char *const names[MB_HEAP_OPS] = {
		[MB_HEAP_MALLOC] = "heap_malloc",
		[MB_HEAP_CALLOC] = "heap_calloc",
		[MB_HEAP_REALLOC] = "heap_realloc",
		[MB_HEAP_REALLOCARRAY] = "heap_reallocarray",
		[MB_HEAP_POSIX_MEMALIGN] = "heap_posix_memalign",
		[MB_HEAP_MEMALIGN] = "heap_memalign",
		[MB_HEAP_FREE] = "heap_free",
	};

	return names[op] ? bpf_object__find_program_by_name(k->bpf->obj, names[op]) : NULL;
}

/* Attaches one uprobe per function, for kernels before 6.6. */
static int attach_singly(struct attaching *at, struct heap_target *t, struct bpf_program *p, const char *path,
			 const uint64_t *offsets, size_t n)
{
	DECLARE_LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = p == at->k->bpf->progs.heap_return);

	for (size_t i = 0; i < n; i++) {
		struct bpf_link *link = bpf_program__attach_uprobe_opts(p, at->tid ? (pid_t)at->tid : -1, path,
									offsets[i], &opts);

		if (!link)
			return -errno;
		t->links[t->n++] = (struct heap_link){ .link = link, .fd = -1 };
	}
	return 0;
}

/*
 * Arguments of BPF_LINK_CREATE for BPF_TRACE_UPROBE_MULTI (include/uapi/linux/bpf.h), which libbpf
 * before 1.3 does not support.
 */
struct multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid, pad;
};

#define TRACE_UPROBE_MULTI 48u
#define UPROBE_MULTI_RETURN 1u

/*
 * Attaches all functions of one kind with one link. Detaching the link makes the kernel wait once,
 * instead of 0.1 s for each function.
 */
static int attach_together(struct attaching *at, struct heap_target *t, struct bpf_program *p, const char *path,
			   const uint64_t *offsets, size_t n)
{
	struct multi_attr attr = {
		.prog_fd = (uint32_t)bpf_program__fd(p),
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)offsets,
		.cnt = (uint32_t)n,
		.multi_flags = p == at->k->bpf->progs.heap_return ? UPROBE_MULTI_RETURN : 0,
		.pid = at->pid,
	};
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	if (fd < 0)
		return -errno;
	t->links[t->n++] = (struct heap_link){ .fd = fd };
	return 0;
}

/*
 * Returns the number in a file of the uprobe PMU, with or without the prefix "config:"; -1: there
 * is none.
 */
static int pmu_number(const char *name)
{
	char path[96];
	int n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/uprobe/%s", name);
	f = fopen(path, "re");
	if (f && (fscanf(f, "config:") || fscanf(f, "%d", &n) != 1))
		n = -1;
	if (f)
		fclose(f);
	return n;
}

/*
 * Attaches by perf events, for a process whose thread group leader has exited. A multi link applies
 * to the leader only, which has no address space any more, whereas a perf event accepts any thread.
 * It uses system calls because libbpf cannot attach programs to perf events that were loaded for
 * multi links.
 */
static int attach_events(struct attaching *at, struct heap_target *t, struct bpf_program *p, const char *path,
			 const uint64_t *offsets, size_t n)
{
	int type = pmu_number("type"), retprobe = pmu_number("format/retprobe");
	struct perf_event_attr attr = { .type = (uint32_t)type, .size = sizeof(attr) };

	if (type < 0 || retprobe < 0)
		return -EOPNOTSUPP;
	if (p == at->k->bpf->progs.heap_return)
		attr.config = 1ull << retprobe;
	attr.uprobe_path = (uintptr_t)path;
	for (size_t i = 0; i < n; i++) {
		int fd;

		attr.probe_offset = offsets[i];
		fd = (int)syscall(SYS_perf_event_open, &attr, (pid_t)at->tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
		if (fd < 0)
			return -errno;
		t->links[t->n++] = (struct heap_link){ .fd = fd };
		if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, bpf_program__fd(p)) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
			return -errno;
	}
	return 0;
}

static bool has_multi(void)
{
	return mb_probe_struct("bpf_uprobe_multi_link");
}

void mb_uprobes_prepare(struct mb_kern *k)
{
	struct bpf_program *p;

	if (!mb_uprobes_on(k) || !has_multi())
		return;
	bpf_object__for_each_program(p, k->bpf->obj)
	{
		if (bpf_program__type(p) == BPF_PROG_TYPE_KPROBE)
			bpf_program__set_expected_attach_type(p, (enum bpf_attach_type)TRACE_UPROBE_MULTI);
	}
}

/*
 * Attaches program p to the functions of one kind. op MB_HEAP_OPS: to the returns of all functions
 * except those that free.
 */
static int attach_kind(struct attaching *at, struct heap_target *t, int fd, const struct mb_allocator *a,
		       struct bpf_program *p, uint32_t op)
{
	uint64_t offsets[MB_ALLOCATOR_CALLS];
	char path[64];
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		if (a->calls[i].op == op || (op == MB_HEAP_OPS && a->calls[i].op != MB_HEAP_FREE))
			offsets[n++] = a->calls[i].offset;
	}
	if (!n)
		return 0;
	/* this path works for any file name and mount namespace, and for deleted files */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!has_multi())
		return attach_singly(at, t, p, path, offsets, n);
	return at->tid == at->pid ? attach_together(at, t, p, path, offsets, n) :
				    attach_events(at, t, p, path, offsets, n);
}

/*
 * Attaches functions that free first, because the free of every followed block must be seen. Then
 * attaches the returns, then the entries of calls.
 */
static int attach_calls(struct attaching *at, struct heap_target *t, int fd, const struct mb_allocator *a)
{
	int err = attach_kind(at, t, fd, a, program_of(at->k, MB_HEAP_FREE), MB_HEAP_FREE);

	if (!err)
		err = attach_kind(at, t, fd, a, at->k->bpf->progs.heap_return, MB_HEAP_OPS);
	for (uint32_t op = 0; op < MB_HEAP_OPS && !err; op++) {
		if (op != MB_HEAP_FREE && program_of(at->k, op))
			err = attach_kind(at, t, fd, a, program_of(at->k, op), op);
	}
	return err;
}

/*
 * Links that several threads destroy in parallel. For each link the kernel waits until no CPU can
 * be executing the probe.
 */
struct ending {
	struct heap_link *links;
	size_t n, step;
};

static void end_link(struct heap_link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	bpf_link__destroy(l->link);
}

static void *end_some(void *arg)
{
	const struct ending *e = arg;

	for (size_t i = 0; i < e->n; i += e->step)
		end_link(&e->links[i]);
	return NULL;
}

static void end_links(struct heap_link *links, size_t n)
{
	struct ending parts[ENDING_THREADS];
	pthread_t threads[ENDING_THREADS];
	size_t step = n < ENDING_THREADS ? n : ENDING_THREADS, started = 0;

	for (size_t i = 0; i < step; i++) {
		parts[i] = (struct ending){ links + i, n - i, step };
		if (started < i || pthread_create(&threads[i], NULL, end_some, &parts[i]))
			end_some(&parts[i]);
		else
			started++;
	}
	while (started)
		pthread_join(threads[--started], NULL);
}

/* Removes one target, or all of them (only is NULL); their links are destroyed in parallel. */
static void targets_free(struct mb_uprobes *u, struct heap_target *only)
{
	struct heap_target *t, *tmp;
	struct heap_link *all;
	size_t n = 0;

	HASH_ITER(hh, u->targets, t, tmp)
		n += !only || t == only ? t->n : 0;
	all = calloc(n + 1, sizeof(*all));
	n = 0;
	HASH_ITER(hh, u->targets, t, tmp)
	{
		if (only && t != only)
			continue;
		HASH_DEL(u->targets, t);
		if (all) {
			memcpy(all + n, t->links, t->n * sizeof(*all));
			n += t->n;
		} else {
			end_links(t->links, t->n);
		}
		free(t->links);
		free(t);
	}
	if (all)
		end_links(all, n);
	free(all);
}

/* Attaches to one file unless it is probed already. *since_ns: time at which it was attached. */
static int attach_file(struct attaching *at, int fd, const struct heap_file *f, uint64_t *since_ns)
{
	struct target_key key = { .file = f->key, .pid = at->pid };
	struct mb_uprobes *u = at->k->uprobes;
	struct heap_target *t;
	int err;

	HASH_FIND(hh, u->targets, &key, sizeof(key), t);
	if (t) {
		*since_ns = t->since_ns;
		return 0;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->key = key;
	t->links = calloc(2 * f->allocator->n, sizeof(*t->links));
	HASH_ADD(hh, u->targets, key, sizeof(t->key), t);
	err = t->links ? attach_calls(at, t, fd, f->allocator) : -ENOMEM;
	t->since_ns = *since_ns = mb_now_ns();
	if (err)
		targets_free(u, t);
	else
		at->functions += (int)f->allocator->n;
	return err;
}

static void log_calls(const struct mb_allocator *a, const char *path)
{
	for (size_t i = 0; i < a->n; i++)
		mb_verbose("%s: %s at 0x%llx+%llu%s", path, a->calls[i].name, (unsigned long long)a->calls[i].function,
			   (unsigned long long)(a->calls[i].offset - a->calls[i].function),
			   a->calls[i].slow ? ", single-stepped: slow" : "");
}

/*
 * An uretprobe replaces the return address on the stack, and an exception cannot unwind past that.
 * glibc's malloc does not throw. The operator new of libstdc++, which does, is not probed.
 */
static void warn_of_throwing(const struct mb_allocator *a, const char *path)
{
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->calls[i].name, "_Znwm") != 0)
			continue;
		mb_warn("%s: while it is traced, an operator new that throws std::bad_alloc ends the program", path);
		return;
	}
}

static void on_file(void *arg, int fd, const char *path)
{
	struct attaching *at = arg;
	struct heap_file *f = NULL;
	uint64_t since_ns;
	struct stat st;
	int err, before = at->functions;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		struct file_key key = { st.st_dev, st.st_ino,
					(uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec };

		f = file_of(at->k->uprobes, fd, &key, path);
	}
	if (f && f->allocator) {
		err = attach_file(at, fd, f, &since_ns);
		if (!err && at->found)
			at->found(at->arg, path, &st, since_ns);
		if (err && !at->err) {
			at->err = err;
			snprintf(at->failed, sizeof(at->failed), "%s", path);
		}
		if (at->functions != before) {
			log_calls(f->allocator, path);
			warn_of_throwing(f->allocator, path);
		}
	}
	close(fd);
}

int mb_kern_attach_heap(struct mb_kern *k, uint32_t pid, mb_kern_allocator_fn *found, void *arg, struct mb_err *e)
{
	bool all = k->cfg.select == MB_SELECT_ALL || k->cfg.select == MB_SELECT_CGROUPS;
	struct attaching at = { .k = k, .pid = all ? 0 : pid, .tid = all ? 0 : mb_live_thread(pid) };

	at.found = found;
	at.arg = arg;

	if (!mb_uprobes_on(k))
		return 0;
	if (!k->uprobes)
		k->uprobes = calloc(1, sizeof(*k->uprobes));
	if (!k->uprobes)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	if (!mb_mapped_files(pid, on_file, &at))
		return mb_err_set(e, MB_EXIT_FAILED, ESRCH, "process %u is gone", pid);
	if (at.err)
		return mb_err_set(e, MB_EXIT_UNSUPPORTED, at.err, "cannot probe the allocator in %s", at.failed);
	return at.functions;
}

void mb_kern_detach_heap(struct mb_kern *k, uint32_t pid)
{
	struct heap_target *t, *tmp;

	if (!k->uprobes || !pid)
		return;
	HASH_ITER(hh, k->uprobes->targets, t, tmp)
	{
		if (t->key.pid == pid)
			targets_free(k->uprobes, t);
	}
}

void mb_uprobes_detach(struct mb_kern *k)
{
	if (!k->uprobes)
		return;
	targets_free(k->uprobes, NULL);
}

void mb_uprobes_close(struct mb_kern *k)
{
	struct heap_file *f, *tmp;

	if (!k->uprobes)
		return;
	mb_uprobes_detach(k);
	HASH_ITER(hh, k->uprobes->files, f, tmp)
	{
		HASH_DEL(k->uprobes->files, f);
		free(f->allocator);
		free(f);
	}
	free(k->uprobes);
	k->uprobes = NULL;
}

/* ---- blocks ---- */

void mb_kern_forget_blocks(struct mb_kern *k, uint64_t mm, const uint64_t *addrs, size_t n)
{
	struct mb_heap_key keys[FORGET_AT_ONCE];
	int map = bpf_map__fd(k->bpf->maps.heap_blocks);

	for (size_t i = 0; map >= 0 && i < n;) {
		__u32 count = 0, left;

		for (; i < n && count < FORGET_AT_ONCE; i++, count++)
			keys[count] = (struct mb_heap_key){ .mm = mm, .addr = addrs[i] };
		/* the batch stops at the first key that does not exist any more */
		for (__u32 done = 0; done < count; done += left + 1) {
			left = count - done;
			if (!bpf_map_delete_batch(map, keys + done, &left, NULL))
				break;
		}
	}
}

bool mb_kern_has_block(struct mb_kern *k, uint64_t mm, uint64_t addr)
{
	struct mb_heap_key key = { .mm = mm, .addr = addr };
	int map = bpf_map__fd(k->bpf->maps.heap_blocks);
	__u64 born;

	return map >= 0 && !bpf_map_lookup_elem(map, &key, &born);
}

bool mb_kern_heap_net(struct mb_kern *k, uint64_t mm, uint32_t tgid, struct mb_heap_net *out)
{
	int map = bpf_map__fd(k->bpf->maps.heap_nets);
	uint64_t key = MB_HEAP_NET_KEY(mm, tgid);

	return map >= 0 && !bpf_map_lookup_elem(map, &key, out);
}

void mb_kern_forget_heap_net(struct mb_kern *k, uint64_t mm, uint32_t tgid)
{
	int map = bpf_map__fd(k->bpf->maps.heap_nets);
	uint64_t key = MB_HEAP_NET_KEY(mm, tgid);

	if (map >= 0)
		bpf_map_delete_elem(map, &key);
}
