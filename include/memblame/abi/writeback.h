/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the writeback family: dirtied pages by file, pauses, waits, fsync. */
#ifndef MEMBLAME_ABI_WRITEBACK_H
#define MEMBLAME_ABI_WRITEBACK_H

#define MB_BDI_NAME_LEN 32
#define MB_FILE_NAMES_LEN 256
#define MB_DEVICE_LEN 64

/*
 * A run of at least this many pages of one file is counted per file; shorter runs are counted
 * without the file.
 */
#define MB_DIRTY_RUN_FILE 16u
/*
 * Maximum length of a run. It is then added to its table; until then, pages of a live thread are
 * not visible.
 */
#define MB_DIRTY_RUN_MAX 64u

enum mb_writeback_event_type {
	MB_WRITEBACK_EVENT_PAUSE = 0, /* one sleep in balance_dirty_pages */
	MB_WRITEBACK_EVENT_FSYNC = 1,
	MB_WRITEBACK_EVENT_WAIT = 2,
	MB_WRITEBACK_EVENT_FILE = 3, /* the name of a file that is being dirtied */
	MB_WRITEBACK_EVENT_DIRTIED = 4, /* from table dirtied; not in a ring */
	/* the first three as user space shows them: struct mb_blamed_event */
	MB_WRITEBACK_EVENT_SHOWN = 5,
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* Dirty pages of a device when a stall for it began. 0: not reported by the kernel. */
struct mb_bdi_state {
	__u64 bdi; /* the kernel's bdi id: unique until reboot */
	__u64 bdi_dirty_pages; /* dirty or under writeback on the device, as the kernel uses it for throttling */
	__u64 bdi_limit_pages; /* the device's share of the limit, or its own limit */
	__u64 dirty_pages; /* same for the whole machine, or cgroup */
	__u64 limit_pages;
	__u64 background_pages;
	__u64 written_pages_per_s; /* the kernel's own estimate of the device's write bandwidth */
	char name[MB_BDI_NAME_LEN]; /* as in /sys/class/bdi */
};

/* Consecutive pages of one file that a thread has dirtied. */
struct mb_dirty_run {
	__u64 mapping; /* the file's address_space; with ino, identifies the file */
	__u64 ino;
	__u64 bdi;
	__u32 dev;
	__u16 pages; /* not in the table yet */
	__u16 with_file; /* the run has reached MB_DIRTY_RUN_FILE pages */
	/* of the open-ended stall, at its start: core/stall.bpf.h, cpu_time_lag() and cpu_wait() */
	__u32 open_lag;
	__u32 open_wait;
};

struct mb_writeback_ledger {
	struct mb_stall dirty_throttle;
	struct mb_stall writeback_wait;
	struct mb_stall fsync;
	__u64 dirtied_pages;
	/* by kernel threads that use the process's memory; these threads update it atomically */
	__u64 dirtied_by_kernel;
	struct mb_dirty_run run;
	struct mb_bdi_state open; /* of the open pause or wait */
	struct mb_bdi_state synced; /* of the fsync */
};

/* A completed stall. */
struct mb_writeback_event {
	struct mb_event h; /* t_ns: start of the stall */
	__u64 ns; /* exclusive of nested stalls */
	__u64 total_ns;
	struct mb_bdi_state on;
};

/* The same, with the main culprit, its share, and the device name. Type: SHOWN + type of the stall. */
struct mb_blamed_event {
	struct mb_writeback_event stall;
	__u32 culprit; /* tgid; 0: unknown */
	__u32 share_permille;
	char culprit_comm[MB_COMM_LEN];
	char culprit_file[MB_PATH_LEN];
	char device[MB_DEVICE_LEN]; /* human-readable name; "": unknown */
	char mount[MB_PATH_LEN]; /* mount point; "": unknown */
};

/* Names of a file and its parent directories, each NUL-terminated, starting with the file. */
struct mb_file_event {
	struct mb_event h;
	__u64 bdi;
	__u64 ino;
	__u32 dev;
	__u32 names_len; /* 0: unknown */
	char bdi_name[MB_BDI_NAME_LEN];
	char names[MB_FILE_NAMES_LEN];
};

/* Key of table dirtied. Changed entries become events. */
struct mb_dirtied_key {
	__u64 start_ns; /* of the process; 0: not traced (a flusher) */
	__u64 bdi;
	__u64 ino; /* 0: files of which the process dirtied fewer than MB_DIRTY_RUN_FILE pages in a row */
	__u32 dev;
	__u32 tgid;
};

struct mb_dirtied_event {
	struct mb_event h;
	struct mb_dirtied_key key;
	__u64 dirtied_pages;
	__u64 written_pages; /* by a flusher or sync(2); writes by fsync are not reported */
};

#pragma GCC diagnostic pop
#endif
