/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Declarations that the files of src/kern share. */
#ifndef MB_KERN_INTERNAL_H
#define MB_KERN_INTERNAL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kern/kern.h"
#include "memblame.skel.h" /* generated; include after abi.h, which defines struct mb_knobs */

#define MB_MAX_PROBE_POINTS 64
#define MB_HASH_LEDGERS 16384 /* 2 KiB each; number of traced threads at a time where all ledgers are in the hash */
#define MB_SPARE_LEDGERS 2048 /* the same where most ledgers are in task storage */
#define MB_BLOCKS (2u << 20) /* allocator blocks followed at a time: 16 bytes each, and 100 more per existing block */
#define MB_BLOCKS_PREALLOCATED (256u << 10) /* the same for a preallocated hash: 80 bytes each */
#define MB_HEAP_NETS 1024u /* processes whose blocks are all counted: 1.1 KiB each */

/*
 * Consumer and producer positions of a ring, in bytes since its creation: pages shared with the
 * kernel.
 */
struct mb_ring_slot {
	const unsigned long *consumer, *producer;
	unsigned long mark; /* producer position at mb_kern_mark() */
};

/* A program that is attached, or temporarily detached. */
struct mb_link {
	struct bpf_link *link; /* NULL: detached */
	struct bpf_program *program;
	int perf_fd; /* of a perf event, owned by the link; -1: none */
	enum mb_level off_from; /* first level at which the program is detached; MB_LEVELS: never */
};

struct mb_kern {
	struct mb_kern_config cfg;
	struct memblame_bpf *bpf; /* the programs, in the generated skeleton */
	struct mb_link *links;
	size_t n_links, links_size;
	struct bpf_link *iter;
	struct mb_selected_hook selected[MB_MAX_PROBE_POINTS];
	size_t n_selected;

	int *ring_fds; /* one ring per possible CPU */
	int n_cpus;
	bool hash_ledgers; /* all ledgers are in the hash, none in task storage */
	char given_up[8][64]; /* optional programs that the kernel rejected */
	size_t n_given_up;
	__u8 args[MB_ARGS_MAX]; /* positions of tracepoint arguments, by enum mb_arg */
	struct ring_buffer **readers; /* of the urgent ring, then one per CPU */
	struct mb_ring_slot *slots; /* of the same rings, in the same order */
	int epoll_fd;
	struct mb_drop missed[MB_FAM_MAX][MB_DROP_REASONS]; /* as of the last call of count_missed() */
	struct mb_tables *tables; /* see tables.c */
	struct mb_uprobes *uprobes; /* see uprobes.c; NULL: none yet */
	size_t n_tables;
	enum mb_level level;
	uint64_t readings; /* number of times that all tables have been read */
	int budget; /* events left for the current ring in this drain */
	mb_kern_sink take;
	void *take_arg;

	unsigned int harvests;
	char *record_buf;
};

/* probe.c: does the running kernel have this tracepoint, in the BTF of vmlinux or a module? */
bool mb_probe_tracepoint(const char *name);

/*
 * probe.c: can programs be attached to entry and exit of this kernel function? Returns 0, or -errno
 * with the reason in error (size bytes).
 */
int mb_probe_function(const char *name, char *error, size_t size);

#define MB_BTF_PATH "/sys/kernel/btf/vmlinux" /* the kernel's types; the files beside it have those of modules */

/* probe.c: may this process read the types of modules? */
bool mb_probe_modules_readable(void);

/*
 * probe.c: can a program on this kernel function be attached again after it was detached? Not
 * before 5.13 (f3a95075549e).
 */
bool mb_probe_reattach(const char *function);

/*
 * probe.c: does the kernel have a kfunc of this name whose last argument, the calling program's
 * prog aux, is of type void *? Since 7.0 that argument has a type of its own, and libbpf rejects an
 * object that declares another type.
 */
bool mb_probe_kfunc(const char *name);

/* probe.c: does the kernel have a struct of this name? */
bool mb_probe_struct(const char *name);

/* probe.c: does this struct of the kernel have this field? */
bool mb_probe_field(const char *type, const char *field);

/* probe.c: can tracing programs use task storage? */
bool mb_probe_task_storage(void);

/* probe.c: position of a tracepoint's argument of this name, or MB_ARG_MISSING. */
unsigned char mb_probe_argument(const char *tracepoint, const char *argument);

/*
 * load.c: selects hooks, then opens, loads and attaches the programs. Returns 0, or -errno with *e
 * set.
 */
int mb_load(struct mb_kern *k, struct mb_err *e);

/* attach.c: detaches all links except the first n. */
void mb_detach_from(struct mb_kern *k, size_t n);

/*
 * load.c: does every entry of "family.question=hook,..." exist? list may be NULL. Returns 0, or
 * -errno with *e set.
 */
int mb_load_check_forced(const char *list, struct mb_err *e);

/* uprobes.c: are allocator blocks followed? (Has the heap family a hook?) */
bool mb_uprobes_on(const struct mb_kern *k);

/*
 * uprobes.c: call before loading. Sets the attach type of the uprobe programs to the best that this
 * kernel has.
 */
void mb_uprobes_prepare(struct mb_kern *k);

/*
 * uprobes.c: mb_uprobes_detach() removes all uprobes. mb_uprobes_close() also frees all data about
 * them.
 */
void mb_uprobes_detach(struct mb_kern *k);
void mb_uprobes_close(struct mb_kern *k);

/* tables.c: open and close the families' tables. Returns 0, or -errno with *e set. */
int mb_tables_open(struct mb_kern *k, struct mb_err *e);
void mb_tables_close(struct mb_kern *k);

/*
 * rings.c: mb_rings_create() creates the rings of the CPUs, mb_rings_open() maps all rings for
 * reading; mb_rings_close() undoes both. They return 0, or -errno with *e set.
 */
int mb_rings_create(struct mb_kern *k, struct mb_err *e);
int mb_rings_open(struct mb_kern *k, struct mb_err *e);
void mb_rings_close(struct mb_kern *k);

/* attach.c: attaches one loaded program according to its section. Returns 0 or -errno. */
int mb_attach_program(struct mb_kern *k, struct bpf_program *p);

/* attach.c: detaches the programs that are not used at this level. */
void mb_attach_take_off(struct mb_kern *k, enum mb_level level);

/*
 * attach.c: attaches the programs that are used at this level again. Returns 0, or -errno if some
 * could not be attached.
 */
int mb_attach_put_back(struct mb_kern *k, enum mb_level level);

/* levels.c: sets the level that the programs start with; call before loading. */
void mb_levels_prepare(struct mb_kern *k);

#endif
