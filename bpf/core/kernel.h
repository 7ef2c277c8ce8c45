/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Every kernel type and field that memblame's programs read, and nothing else. The accesses are
 * CO-RE: the loader relocates each field to its offset in the running kernel's BTF, so this file is
 * the complete list of kernel dependencies. A "___suffix" marks the layout of another kernel
 * version.
 */
#ifndef MEMBLAME_KERNEL_H
#define MEMBLAME_KERNEL_H

#define MB_BPF 1

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };
#define NULL ((void *)0)

/*
 * From the BPF system call's UAPI (include/uapi/linux/bpf.h); stable, so independent of the build
 * host.
 */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_STACK_TRACE = 7,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
	BPF_F_NO_PREALLOC = 1,
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
	BPF_F_USER_STACK = 1 << 8,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic_long_t;

typedef struct {
	unsigned int val;
} kuid_t;

struct thread_info {
	__u32 status;
};

struct pt_regs {
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long cx;
	unsigned long bx;
	unsigned long r8;
	unsigned long r9;
	unsigned long r10;
	unsigned long orig_ax;
	unsigned long ip;
};

struct list_head {
	struct list_head *next;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct new_utsname {
	char nodename[65];
};

struct ns_common {
	unsigned int inum;
};

struct uts_namespace {
	struct new_utsname name;
	struct ns_common ns;
};

struct nsproxy {
	struct uts_namespace *uts_ns;
};

struct kernfs_node {
	__u64 id;
	const char *name;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root;

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

enum cgroup_subsys_id {
	memory_cgrp_id = 4, /* relocated from BTF; this value is not used */
};

struct percpu_counter {
	__s64 count;
};

struct maple_tree {
	void *ma_root;
};

struct maple_range_64 {
	unsigned long pivot[15];
	void *slot[16];
};

struct maple_arange_64 {
	unsigned long pivot[9];
	void *slot[10];
};

enum maple_type {
	maple_leaf_64 = 1, /* relocated from BTF; this value is not used */
	maple_range_64 = 2,
	maple_arange_64 = 3,
};

struct mm_struct {
	struct maple_tree mm_mt;
	int mm_lock_seq;
	atomic_t mm_users;
	atomic_long_t pgtables_bytes;
	unsigned long task_size;
	unsigned long hiwater_rss;
	unsigned long total_vm;
	unsigned long stack_vm;
	unsigned long brk;
	unsigned long start_stack;
	struct percpu_counter rss_stat[4];
	struct task_struct *owner;
};

/* Before 6.2 (commit f1a7941243c1): plain counters, with up to 64 changes cached per thread. */
struct mm_rss_stat___v61 {
	atomic_long_t count[4];
};

struct mm_struct___v61 {
	struct mm_rss_stat___v61 rss_stat;
};

/*
 * Since 6.13 (commit dba4761a3e40) a sequence count, odd while the address space is locked for
 * writing.
 */
typedef struct {
	unsigned int sequence;
} seqcount_t___v613;

struct mm_struct___v613 {
	seqcount_t___v613 mm_lock_seq;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	int group_exit_code;
	unsigned int flags;
	unsigned long maxrss;
	short oom_score_adj;
};

struct cred {
	kuid_t uid;
};

struct rq {
	__u64 clock;
	__u64 clock_task;
};

struct cfs_rq {
	struct rq *rq;
};

struct sched_entity {
	__u64 exec_start;
	__u64 sum_exec_runtime;
	struct cfs_rq *cfs_rq;
};

struct sched_info {
	unsigned long long run_delay;
};

struct thread_struct {
	unsigned long fsbase;
};

struct vm_unmapped_area_info {
	unsigned long length;
};

struct task_struct {
	void *stack;
	struct thread_struct thread;
	unsigned in_execve : 1;
	struct sched_entity se;
	struct thread_info thread_info;
	unsigned int flags;
	int exit_state;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct list_head tasks;
	struct list_head thread_node;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct files_struct *files;
	const struct cred *real_cred;
	struct css_set *cgroups;
	struct nsproxy *nsproxy;
	unsigned long sas_ss_sp;
	__u64 sas_ss_size; /* size_t */
	unsigned long nvcsw;
	unsigned long nivcsw;
	struct sched_info sched_info;
	unsigned int memcg_nr_pages_over_high;
	__u64 start_boottime;
	unsigned long min_flt;
	unsigned long maj_flt;
	unsigned long *numa_faults;
	unsigned long numa_faults_locality[3];
	char comm[16];
};

struct backing_dev_info;
struct bdi_writeback;

struct super_block {
	unsigned long s_magic;
	__u32 s_dev;
	struct backing_dev_info *s_bdi;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_generation;
	__s64 i_size;
	__s64 i_mtime_sec;
	__u32 i_mtime_nsec;
	struct hlist_head i_dentry;
	struct bdi_writeback *i_wb;
};

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

/* Before 6.10. */
struct inode___v610 {
	struct timespec64 __i_mtime;
};

/* Before 6.6. */
struct inode___v66 {
	struct timespec64 i_mtime;
};

struct address_space {
	struct inode *host;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct hlist_node d_alias;
};

/* Before 6.19 in a named union. */
struct dentry___v619 {
	union {
		struct hlist_node d_alias;
	} d_u;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct page;

struct vm_operations_struct;
struct userfaultfd_ctx;

struct vm_userfaultfd_ctx {
	struct userfaultfd_ctx *ctx;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	const struct vm_operations_struct *vm_ops;
	struct file *vm_file;
	struct vm_userfaultfd_ctx vm_userfaultfd_ctx;
};

struct vm_fault {
	unsigned long address;
	unsigned long real_address;
};

struct zone {
	unsigned long _watermark[4]; /* enum zone_watermarks: min, low, high */
	unsigned long watermark_boost;
	int node;
	atomic_long_t managed_pages;
	const char *name;
	atomic_long_t vm_stat[1]; /* enum zone_stat_item: NR_FREE_PAGES is 0 */
};

struct zoneref {
	struct zone *zone;
};

struct zonelist {
	struct zoneref _zonerefs[1];
};

enum oom_constraint {
	CONSTRAINT_NONE,
};

struct oom_control {
	struct zonelist *zonelist;
	struct mem_cgroup *memcg;
	unsigned int gfp_mask;
	int order;
	unsigned long totalpages;
	struct task_struct *chosen;
	long chosen_points;
	enum oom_constraint constraint;
};

struct linux_binprm {
	const char *filename;
};

struct kernel_siginfo {
	int si_code;
};

struct folio {
	unsigned long flags;
	unsigned long _flags_1;
	atomic_t _large_mapcount;
};

/* Since 6.18 (commit 53fbef56e07d) a folio's flags are wrapped in memdesc_flags_t. */
typedef struct {
	unsigned long f;
} memdesc_flags_t___v618;

struct folio___v618 {
	memdesc_flags_t___v618 flags;
};

enum pageflags {
	PG_head = 6, /* relocated from BTF; this value is not used */
};

struct bdi_writeback {
	struct backing_dev_info *bdi;
	struct percpu_counter stat[4];
	unsigned long avg_write_bandwidth;
};

struct backing_dev_info {
	__u64 id;
	struct bdi_writeback wb;
	char dev_name[64];
};

struct writeback_control {
	long nr_to_write;
};

/* Since 6.18 an argument of balance_dirty_pages; before, its fields were separate arguments. */
struct dirty_throttle_control {
	unsigned long dirty;
	unsigned long thresh;
	unsigned long bg_thresh;
	unsigned long wb_dirty;
	unsigned long wb_thresh;
};

struct page_counter {
	atomic_long_t usage;
	unsigned long high;
	unsigned long max;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	struct page_counter swap; /* v1: memory and swap (memsw, in a union with it) */
};

struct shrinker {
	void *scan_objects;
};

struct kmem_cache {
	unsigned int size;
	const char *name;
};

/*
 * Part of a map value: a callback that runs when a thread returns to user space (6.18,
 * 38aa7003e369).
 */
struct bpf_task_work {
	__u64 __opaque;
};

struct bpf_map {
	__u32 id; /* a type that is only declared would not match the kernel's type */
};

typedef int (*bpf_task_work_callback_t)(struct bpf_map *map, void *key, void *value);

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* Kernel constants that BTF does not contain, each with the header that defines it. */
#define PF_EXITING 0x00000004u /* include/linux/sched.h */
#define PF_MEMALLOC 0x00000800u /* include/linux/sched.h: in reclaim or compaction */
#define PF_KSWAPD 0x00020000u /* include/linux/sched.h */
#define PF_KTHREAD 0x00200000u /* include/linux/sched.h */
#define CLONE_VM 0x00000100u /* include/uapi/linux/sched.h */
#define CLONE_THREAD 0x00010000u /* include/uapi/linux/sched.h */
#define TS_COMPAT 0x0002u /* arch/x86/include/asm/thread_info.h: 32-bit system call */
#define VM_WRITE 0x00000002u /* include/linux/mm.h */
#define VM_SHARED 0x00000008u /* include/linux/mm.h */
#define VM_HUGETLB 0x00400000u
#define FAULT_FLAG_WRITE 0x01u /* include/linux/mm_types.h */
#define FAULT_FLAG_TRIED 0x20u
#define VM_FAULT_MAJOR 0x000004u
#define VM_FAULT_RETRY 0x000400u
#define VM_FAULT_ERROR 0x000873u /* OOM, SIGBUS, HWPOISON, HWPOISON_LARGE, SIGSEGV, FALLBACK */
#define CGROUP_MAGIC 0x27e0eb /* the same */
#define CGROUP2_MAGIC 0x63677270
#define TMPFS_MAGIC 0x01021994 /* include/uapi/linux/magic.h */
#define PROC_UTS_INIT_INO 0xeffffffeu /* include/linux/proc_ns.h: the initial UTS namespace */
#define SIGBUS 7
#define SIGKILL 9
#define SIGSEGV 11
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define SEGV_PKUERR 4 /* the last code that a fault raises */
#define BUS_ADRERR 2 /* include/uapi/asm-generic/siginfo.h */
#define BUS_MCEERR_AR 4
#define MAP_FIXED 0x10u /* include/uapi/asm-generic/mman-common.h */
#define MAP_ANONYMOUS 0x20u
#define SIGNAL_GROUP_EXIT 0x00000004u /* include/linux/sched/signal.h */
#define UFFDIO_REGISTER 0xc020aa00u /* include/uapi/linux/userfaultfd.h */
#define PAGE_SHIFT 12 /* x86-64 */

enum {
	MM_FILEPAGES = 0, /* include/linux/mm_types_task.h */
	MM_ANONPAGES = 1,
	MM_SWAPENTS = 2,
	MM_SHMEMPAGES = 3,
	NR_MM_COUNTERS = 4,
};

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "memblame/abi.h"

#define MB_INLINE static __always_inline

/*
 * index & mask (a constant), computed in inline assembly. Otherwise the compiler may optimize the
 * mask away, and the verifier no longer knows that the index is in bounds.
 */
#define MB_BOUNDED(index, mask)                                  \
	({                                                       \
		__u64 _i = (index);                              \
		asm volatile("%0 &= %1" : "+r"(_i) : "i"(mask)); \
		_i;                                              \
	})

#endif
