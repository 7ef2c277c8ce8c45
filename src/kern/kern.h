/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The kernel as memblame uses it, and the only place that calls libbpf: which hooks work here,
 * loading and attaching the families' programs, draining rings, reading the ledgers.
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
	uint32_t families; /* bit per family id to trace; task is always on */
	uint32_t stream; /* bit per family id whose single events are wanted */
	uint32_t requests; /* bit per family whose questions are asked that cost too much to be asked always */
	bool leaks; /* send changes of address spaces, touched pages and allocations, with stacks */
	enum mb_stack_kind stacks; /* of these events */
	uint64_t heap_sample_bytes; /* blocks that are sent: one in so many bytes, on average; 1: every one */
	uint32_t page_sample_1_in; /* pages of which faults are sent: 1 in this many, a power of two */
	uint32_t kmem_sample_1_in; /* the same of objects of the kernel; 0: as usual (abi/kmem.h) */
	enum mb_select select;
	uint32_t pids[MB_MAX_PIDS];
	uint32_t n_pids;
	uint64_t cgroups[MB_MAX_CGROUPS]; /* inode numbers of their directories */
	uint32_t n_cgroups;
	const char *force_hooks; /* "family.question=hook,..." as in MEMBLAME_HOOKS; or NULL */
	uint32_t hash_entries; /* ledgers in the hash by thread id; 0: as many as it should have */
	bool governed; /* the level may be changed */
};

/* How a question was answered here. */
struct mb_tried {
	const char *hook;
	char error[160];
};

#define MB_TRIED 6

struct mb_selected_hook {
	const struct mb_family *family;
	const struct mb_probe_point *probe_point;
	const struct mb_hook *hook; /* in use; NULL: none works */
	struct mb_tried tried[MB_TRIED];
	size_t n_tried;
};

/*
 * Check that this process may trace and that this kernel has what it takes. Returns 0, or
 * -errno with *e saying what is missing (MB_EXIT_UNSUPPORTED).
 */
int mb_kern_check(struct mb_err *e);

/*
 * Choose hooks, load, attach. A hook that does not work is noted in its answer and the next one
 * is tried; only a kernel on which the task family cannot work is an error. *out is owned by the
 * caller (mb_kern_close). Returns 0 or -errno with *e set.
 */
int mb_kern_open(struct mb_kern **out, const struct mb_kern_config *cfg, struct mb_err *e);
void mb_kern_close(struct mb_kern *k);

/* Stop all hooks; what is in the rings stays, and ledgers can still be read. */
void mb_kern_detach(struct mb_kern *k);

/* Is this family traced? task always is. */
bool mb_kern_traces(const struct mb_kern *k, const struct mb_family *f);

/* Every question of the families that are on, with its answer. */
const struct mb_selected_hook *mb_kern_selected_hooks(const struct mb_kern *k, size_t *n);

/* A callback that takes one event or record; the memory is valid during the call only. */
typedef void (*mb_kern_sink)(void *arg, const void *data, size_t len);

/* An epoll descriptor that is readable when a ring has been filled enough to be drained. */
int mb_kern_epoll_fd(const struct mb_kern *k);

/*
 * Take what is in all rings, the urgent one first; of each at most a budget, so that a flood
 * cannot keep the caller. Returns the number of events (0: all are empty), or -errno.
 */
int mb_kern_drain(struct mb_kern *k, mb_kern_sink take, void *arg);

/*
 * Remember how far the rings are filled; has all of that been taken since? Not where there was more than a drain's
 * budget, nor behind an event whose thread lost its CPU before the event was whole.
 */
void mb_kern_mark(struct mb_kern *k);
bool mb_kern_rings_drained(const struct mb_kern *k);

/*
 * Run the iterator over all threads and hand over the record of each traced one. The first two
 * runs make the ledgers of threads that are there already (two, because a thread without one can
 * make another while the first run is on its way). Returns the number of records, or -errno.
 */
int mb_kern_harvest(struct mb_kern *k, mb_kern_sink take, void *arg);

/*
 * Read all tables of the families, and hand over an event for each entry that has changed. Returns the
 * number of events, or -errno.
 */
int mb_kern_tables(struct mb_kern *k, mb_kern_sink take, void *arg);

/* Lost events so far, by family and reason, summed over CPUs. */
void mb_kern_drops(struct mb_kern *k, struct mb_drop drops[MB_FAM_MAX][MB_DROP_REASONS]);

/*
 * Threads that have ended but whose last word is still to come, when their tasks are freed (struct
 * mb_late_event, or an exit record). Runs the iterator. Negative: not known.
 */
long long mb_kern_pending_exits(struct mb_kern *k);

/*
 * Trace at this level from now on (enum mb_level): hooks are taken off or put back, what threads were about to be
 * told by those that go is closed. Only where the configuration says governed. Returns 0, or -errno: the level is
 * as it was.
 */
int mb_kern_set_level(struct mb_kern *k, enum mb_level level);
enum mb_level mb_kern_level(const struct mb_kern *k);

/*
 * How long and how often our programs have run, those of the iterator left out, while the kernel kept statistics;
 * for who has them kept (cost.h).
 */
void mb_kern_runs(const struct mb_kern *k, uint64_t *ns, uint64_t *runs);

/* Time spent in our programs in ns; false where the kernel does not keep it. */
bool mb_kern_bpf_ns(const struct mb_kern *k, uint64_t *ns);

/* Is any swap device in use now? */
bool mb_kern_has_swap(void);

/* Minor faults timed: 1 in this many, by the hooks chosen. */
uint32_t mb_kern_sample_1_in(const struct mb_kern *k);

/* Objects of the kernel that are followed: 1 in this many. */
uint32_t mb_kern_kmem_sample_1_in(const struct mb_kern *k);

/*
 * Return addresses of a kernel stack by its id (mb_kmem_key.stack), innermost first, the frames of tracing itself
 * among them. ips: room for MB_KMEM_FRAMES. Returns their number; 0: there is no such stack.
 */
uint32_t mb_kern_kmem_stack(const struct mb_kern *k, uint32_t stack, uint64_t *ips);

/* The name of a slab cache by its address (mb_kmem_key.cache). False: it is not known. */
bool mb_kern_kmem_cache(const struct mb_kern *k, uint64_t cache, char name[MB_KMEM_CACHE_NAME]);

/* Does the code of this process keep frame pointers? Stacks of its events are walked by them from now on, or copied. */
void mb_kern_trust_frame_pointers(struct mb_kern *k, uint32_t tgid, bool trust);

/* A file with an allocator that the process has mapped, probed at since_ns. */
typedef void mb_kern_allocator_fn(void *arg, const char *path, const struct stat *st, uint64_t since_ns);

/*
 * Put probes on the allocators that a process has mapped now, as far as they are not there yet: at the start,
 * after an exec, and when it maps code. Where all or a cgroup is traced the probes are for all processes, else for
 * this one only. Nothing to do where the heap is not traced. Returns the number of functions newly probed, or
 * -errno with *e set.
 * found (NULL: nobody) is called for each file that is probed there, also since an earlier call.
 */
int mb_kern_attach_heap(struct mb_kern *k, uint32_t pid, mb_kern_allocator_fn *found, void *arg, struct mb_err *e);

/* The process has ended: take its own probes away. */
void mb_kern_detach_heap(struct mb_kern *k, uint32_t pid);

/* These blocks (n of one address space) are not followed any more: their process has ended, or begun anew. */
void mb_kern_forget_blocks(struct mb_kern *k, uint64_t mm, const uint64_t *addrs, size_t n);

/* Is this block followed still? False also where the heap is not traced. */
bool mb_kern_has_block(struct mb_kern *k, uint64_t mm, uint64_t addr);

/* What this address space has allocated and freed since it was probed. False: nothing, or it is not known. */
bool mb_kern_heap_net(struct mb_kern *k, uint64_t mm, uint32_t tgid, struct mb_heap_net *out);

/* The address space is gone: its account goes. */
void mb_kern_forget_heap_net(struct mb_kern *k, uint64_t mm, uint32_t tgid);

/* Free what choosing hooks needed: the kernel's types, 8 MB; who asks again reads them again. */
void mb_kern_forget_types(void);

/* Give up every privilege that is not needed once all is attached. */
int mb_kern_drop_privileges(const struct mb_kern *k, struct mb_err *e);

#endif
