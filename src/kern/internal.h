/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the files of src/kern share. */
#ifndef MB_KERN_INTERNAL_H
#define MB_KERN_INTERNAL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kern/kern.h"
#include "memblame.skel.h" /* generated; after abi.h, for struct mb_knobs */

#define MB_MAX_PROBE_POINTS 64
#define MB_HASH_LEDGERS 16384 /* of 2 KiB: threads at once where all ledgers are in the hash */
#define MB_SPARE_LEDGERS 2048 /* the same where most are in task storage */
#define MB_BLOCKS (2u << 20) /* of allocators, followed at once: 16 bytes each, and 100 more where there is one */
#define MB_BLOCKS_PREALLOCATED (256u << 10) /* 80 bytes each */
#define MB_HEAP_NETS 1024u /* processes of which all blocks are counted: 1.1 KiB each */

/* How far a ring has been filled and read, in bytes since it was made: pages that are shared with the kernel. */
struct mb_ring_place {
	const unsigned long *consumer, *producer;
	unsigned long mark; /* the producer's at mb_kern_mark() */
};

/* One attached program, or one that is taken off for now. */
struct mb_link {
	struct bpf_link *link; /* NULL: taken off */
	struct bpf_program *program;
	int perf_fd; /* of a perf event, which the link owns; -1: none */
	enum mb_level off_from; /* the level from which on it is taken off; MB_LEVELS: none */
};

struct mb_kern {
	struct mb_kern_config cfg;
	struct memblame_bpf *bpf; /* the programs, from the generated skeleton */
	struct mb_link *links;
	size_t n_links, links_size;
	struct bpf_link *iter;
	struct mb_selected_hook selected[MB_MAX_PROBE_POINTS];
	size_t n_selected;

	int *ring_fds; /* one ring per possible CPU */
	int n_cpus;
	bool hash_ledgers; /* the hash is in use, not task storage */
	char given_up[8][64]; /* optional programs that the kernel has refused */
	size_t n_given_up;
	__u8 args[MB_ARGS_MAX]; /* positions of tracepoint arguments, by enum mb_arg */
	struct ring_buffer **readers; /* the urgent ring's, then one per CPU */
	struct mb_ring_place *places; /* of the same rings; NULL: not known */
	int epoll_fd;
	struct mb_drop missed[MB_FAM_MAX][MB_DROP_REASONS]; /* as count_missed last saw them */
	struct mb_tables *tables; /* tables.c */
	struct mb_uprobes *uprobes; /* uprobes.c; NULL: none yet */
	size_t n_tables;
	enum mb_level level;
	uint64_t readings; /* of all tables */
	int budget; /* events left in this drain of one ring */
	mb_kern_sink take;
	void *take_arg;

	unsigned int harvests;
	char *record_buf;
};

/* probe.c: does the running kernel have this tracepoint (in vmlinux or a module's BTF)? */
bool mb_probe_tracepoint(const char *name);

/*
 * probe.c: can programs be attached to the entry and exit of this kernel function? 0, or -errno
 * with the reason in error.
 */
int mb_probe_function(const char *name, char *error, size_t size);

#define MB_BTF_PATH "/sys/kernel/btf/vmlinux" /* the kernel's own types; modules have files beside it */

/* probe.c: may this process read the types of modules? */
bool mb_probe_modules_readable(void);

/*
 * probe.c: can a program on a kernel function be attached again when it was taken off? Not before 5.13
 * (f3a95075549e).
 */
bool mb_probe_reattach(const char *function);

/*
 * probe.c: does the kernel have a function of this name, for programs to call, whose last argument, the program itself, is of
 * type void *? From 7.0 on it has a type of its own, and libbpf refuses an object that declares it otherwise.
 */
bool mb_probe_kfunc(const char *name);

/* probe.c: does the kernel have a struct of this name? */
bool mb_probe_struct(const char *name);

/* probe.c: does a struct of the kernel have this field? */
bool mb_probe_field(const char *type, const char *field);

/* probe.c: can tracing programs keep data with a task? */
bool mb_probe_task_storage(void);

/* probe.c: position of a tracepoint's argument by its name, or MB_ARG_MISSING. */
unsigned char mb_probe_argument(const char *tracepoint, const char *argument);

/* load.c: open, load and attach all that is asked for, choosing hooks. */
int mb_load(struct mb_kern *k, struct mb_err *e);

/* attach.c: detach all but the first n. */
void mb_detach_from(struct mb_kern *k, size_t n);

/* load.c: is every entry of "family.question=hook,..." one that there is? list: may be NULL. */
int mb_load_check_forced(const char *list, struct mb_err *e);

/* uprobes.c: are blocks of allocators followed? */
bool mb_uprobes_on(const struct mb_kern *k);

/* uprobes.c: before loading: programs are to be attached as this kernel does it best. */
void mb_uprobes_prepare(struct mb_kern *k);

/* uprobes.c: detach them; free what is known of them, too. */
void mb_uprobes_detach(struct mb_kern *k);
void mb_uprobes_close(struct mb_kern *k);

/* tables.c */
int mb_tables_open(struct mb_kern *k, struct mb_err *e);
void mb_tables_close(struct mb_kern *k);

/* rings.c */
int mb_rings_create(struct mb_kern *k, struct mb_err *e);
int mb_rings_open(struct mb_kern *k, struct mb_err *e);
void mb_rings_close(struct mb_kern *k);

/* attach.c: attach one loaded program as its section says. */
int mb_attach_program(struct mb_kern *k, struct bpf_program *p);

/* attach.c: take off what is off at this level. */
void mb_attach_take_off(struct mb_kern *k, enum mb_level level);

/* attach.c: put back what is on at this level. Returns 0, or -errno: some of it is not there. */
int mb_attach_put_back(struct mb_kern *k, enum mb_level level);

/* levels.c: how things are at the start, before loading. */
void mb_levels_prepare(struct mb_kern *k);

#endif
