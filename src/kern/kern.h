/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The interface to the kernel, and the only code that calls libbpf: finds out which hooks work
 * here, loads and attaches the families' programs, drains rings and reads ledgers.
 */
#ifndef MB_KERN_H
#define MB_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "memblame/family.h"

struct mb_kern;

struct mb_kern_config {
	uint32_t families; /* bit per ID of a family to trace; task is always traced */
	uint32_t stream; /* bit per ID of a family whose single events are wanted */
	/*
	 * bit per ID of a family whose expensive probe points are wanted, which are off by default
	 */
	uint32_t requests;
	bool leaks; /* send changes of address spaces, touched pages and allocations, with stacks */
	enum mb_stack_kind stacks; /* kind of stacks in these events */
	uint64_t heap_sample_bytes; /* mean number of allocated bytes per sampled block; 1: every block is sent */
	uint32_t page_sample_1_in; /* faults are sent for 1 in this many pages; a power of two */
	uint32_t kmem_sample_1_in; /* the same for kernel objects; 0: the default (abi/kmem.h) */
	enum mb_select select;
	uint32_t pids[MB_MAX_PIDS];
	uint32_t n_pids;
	uint64_t cgroups[MB_MAX_CGROUPS]; /* inode numbers of their directories */
	uint32_t n_cgroups;
	const char *force_hooks; /* "family.question=hook,..." as in MEMBLAME_HOOKS; or NULL */
	uint32_t hash_entries; /* ledgers in the hash by thread ID; 0: default */
	bool governed; /* mb_kern_set_level() may be used */
};

/* A hook that was tried and does not work here. */
struct mb_tried {
	const char *hook;
	char error[160];
};

#define MB_TRIED 6

struct mb_selected_hook {
	const struct mb_family *family;
	const struct mb_probe_point *probe_point;
	const struct mb_hook *hook; /* the hook in use; NULL: none works */
	struct mb_tried tried[MB_TRIED];
	size_t n_tried;
};

/*
 * Checks that this process may trace and that the kernel has the required features. Returns 0, or
 * -errno with *e naming what is missing (MB_EXIT_UNSUPPORTED).
 */
int mb_kern_check(struct mb_err *e);

/*
 * Selects hooks, loads and attaches programs. A hook that does not work is recorded in
 * mb_selected_hook.tried and the next one is tried. Only a kernel on which the task family does not
 * work is an error. *out is owned by the caller (mb_kern_close(), which accepts NULL). Returns 0,
 * or -errno with *e set.
 */
int mb_kern_open(struct mb_kern **out, const struct mb_kern_config *cfg, struct mb_err *e);
void mb_kern_close(struct mb_kern *k);

/* Detaches all hooks. The rings retain their events, and ledgers can still be read. */
void mb_kern_detach(struct mb_kern *k);

/* Is this family traced? task always is. */
bool mb_kern_traces(const struct mb_kern *k, const struct mb_family *f);

/*
 * All probe points of the traced families with their selected hooks; *n: their number. Owned by k.
 */
const struct mb_selected_hook *mb_kern_selected_hooks(const struct mb_kern *k, size_t *n);

/* A callback that receives one event or record; the memory is valid only during the call. */
typedef void (*mb_kern_sink)(void *arg, const void *data, size_t len);

/* An epoll descriptor that is readable when a ring is full enough to be drained. */
int mb_kern_epoll_fd(const struct mb_kern *k);

/*
 * Drains all rings, the urgent one first. Reads at most a fixed number of events from each ring, so
 * that a flood of events cannot block the caller. Returns the number of events (0: all rings are
 * empty), or -errno.
 */
int mb_kern_drain(struct mb_kern *k, mb_kern_sink take, void *arg);

/*
 * mb_kern_mark() remembers how far the rings are filled. mb_kern_rings_drained(): has everything up
 * to that mark been read? Not if a ring had more events than the limit of one drain, nor behind an
 * event whose thread was preempted before it submitted the event.
 */
void mb_kern_mark(struct mb_kern *k);
bool mb_kern_rings_drained(const struct mb_kern *k);

/*
 * Runs the iterator over all threads and passes on the record of each traced thread. take may be
 * NULL. The first two runs create the ledgers of threads that exist already. Two runs are needed
 * because a thread without a ledger can create another thread while the first run is in progress.
 * Returns the number of records, or -errno.
 */
int mb_kern_harvest(struct mb_kern *k, mb_kern_sink take, void *arg);

/*
 * Reads all tables of the families and passes on an event for each entry that has changed. Returns
 * the number of events, or -errno.
 */
int mb_kern_tables(struct mb_kern *k, mb_kern_sink take, void *arg);

/* Fills in the lost events so far, by family and reason, summed over CPUs. */
void mb_kern_drops(struct mb_kern *k, struct mb_drop drops[MB_FAM_MAX][MB_DROP_REASONS]);

/*
 * Returns the number of pending exits: threads that have ended, but whose last event arrives only
 * when their tasks are freed (struct mb_late_event, or an exit record). *alive becomes the number of
 * traced threads that have not ended. Runs the iterator. Negative: not known, and *alive is 0.
 */
long long mb_kern_pending_exits(struct mb_kern *k, long long *alive);

/*
 * Changes the level of tracing (enum mb_level): detaches hooks or attaches them again, and closes
 * what detached hooks had begun in the ledgers. Only allowed if mb_kern_config.governed is set.
 * Returns 0, or -errno with the level unchanged. mb_kern_level() returns the current level.
 */
int mb_kern_set_level(struct mb_kern *k, enum mb_level level);
enum mb_level mb_kern_level(const struct mb_kern *k);

/*
 * Sums run time (ns) and runs of memblame's programs, except iterators, from the kernel's
 * statistics. For cost.c, which enables the statistics.
 */
void mb_kern_runs(const struct mb_kern *k, uint64_t *ns, uint64_t *runs);

/*
 * Sums the time spent in memblame's programs, in ns. Returns false if the kernel's statistics are
 * disabled.
 */
bool mb_kern_bpf_ns(const struct mb_kern *k, uint64_t *ns);

/* Is any swap device in use now? */
bool mb_kern_has_swap(void);

/* 1 in this many minor faults is timed; depends on the selected hooks. */
uint32_t mb_kern_sample_1_in(const struct mb_kern *k);

/* 1 in this many kernel objects is followed. */
uint32_t mb_kern_kmem_sample_1_in(const struct mb_kern *k);

/*
 * Copies the return addresses of the kernel stack with this ID (mb_kmem_key.stack) to ips,
 * innermost first, including the frames of tracing itself. ips: room for MB_KMEM_FRAMES entries.
 * Returns the number of addresses; 0: there is no such stack.
 */
uint32_t mb_kern_kmem_stack(const struct mb_kern *k, uint32_t stack, uint64_t *ips);

/*
 * Copies the name of the slab cache at this address (mb_kmem_key.cache). Returns false if it is not
 * known.
 */
bool mb_kern_kmem_cache(const struct mb_kern *k, uint64_t cache, char name[MB_KMEM_CACHE_NAME]);

/*
 * trust: the code of this process has frame pointers, so the stacks of its events are walked by
 * frame pointers from now on; otherwise they are copied.
 */
void mb_kern_trust_frame_pointers(struct mb_kern *k, uint32_t tgid, bool trust);

/*
 * Called with a file that defines an allocator and that the process has mapped; the file has been
 * probed since since_ns.
 */
typedef void mb_kern_allocator_fn(void *arg, const char *path, const struct stat *st, uint64_t since_ns);

/*
 * Attaches uprobes to the allocators that a process has mapped now and that are not probed yet.
 * Call it at the start, after an exec, and when the process maps code. If all processes or cgroups
 * are traced, the uprobes apply to all processes, otherwise only to this process. Does nothing if
 * the heap is not traced. Returns the number of newly probed functions, or -errno with *e set.
 * found (may be NULL) is called for each probed file, also for files probed by an earlier call.
 */
int mb_kern_attach_heap(struct mb_kern *k, uint32_t pid, mb_kern_allocator_fn *found, void *arg, struct mb_err *e);

/* The process has ended: removes the uprobes that apply to it alone. */
void mb_kern_detach_heap(struct mb_kern *k, uint32_t pid);

/* Stops following n blocks of one address space, because its process has ended or called exec. */
void mb_kern_forget_blocks(struct mb_kern *k, uint64_t mm, const uint64_t *addrs, size_t n);

/* Is this block still followed? False also if the heap is not traced. */
bool mb_kern_has_block(struct mb_kern *k, uint64_t mm, uint64_t addr);

/*
 * Copies how much this address space has allocated and freed since it was probed. Returns false if
 * nothing, or if it is not known.
 */
bool mb_kern_heap_net(struct mb_kern *k, uint64_t mm, uint32_t tgid, struct mb_heap_net *out);

/* The address space is gone: deletes its counters. */
void mb_kern_forget_heap_net(struct mb_kern *k, uint64_t mm, uint32_t tgid);

/*
 * Frees the kernel's types (8 MB), which hook selection needs. Later probes of types read them
 * again.
 */
void mb_kern_forget_types(void);

/*
 * Drops every privilege that is not needed once everything is attached. Returns 0, or -errno with
 * *e set.
 */
int mb_kern_drop_privileges(const struct mb_kern *k, struct mb_err *e);

#endif
