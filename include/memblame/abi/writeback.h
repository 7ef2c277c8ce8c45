/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the writeback family: dirtied pages by file, pauses, waits, fsync. */
#ifndef MEMBLAME_ABI_WRITEBACK_H
#define MEMBLAME_ABI_WRITEBACK_H

#define MB_BDI_NAME_LEN 32
#define MB_FILE_NAMES_LEN 256
#define MB_DEVICE_LEN 64

/* A run of that many pages of one file is counted with the file; what is shorter, without. */
#define MB_DIRTY_RUN_FILE 16u
/* A run is added to its table when it has this many pages: those of a live thread are unseen until then. */
#define MB_DIRTY_RUN_MAX 64u

enum mb_writeback_event_type {
	MB_WRITEBACK_EVENT_PAUSE = 0, /* one balance_dirty_pages sleep */
	MB_WRITEBACK_EVENT_FSYNC = 1,
	MB_WRITEBACK_EVENT_WAIT = 2,
	MB_WRITEBACK_EVENT_FILE = 3, /* the name of a file that is dirtied */
	MB_WRITEBACK_EVENT_DIRTIED = 4, /* from table dirtied: not in a ring */
	/* the first three as user space shows them: struct mb_blamed_event */
	MB_WRITEBACK_EVENT_SHOWN = 5,
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* A device's dirty pages when a stall for it began. What the kernel did not tell is 0. */
struct mb_bdi_state {
	__u64 bdi; /* the kernel's id of it: unique while the machine runs */
	__u64 bdi_dirty_pages; /* dirty or under writeback on the device, as the kernel throttles by it */
	__u64 bdi_limit_pages; /* the device's share of the limit, or its own */
	__u64 dirty_pages; /* the same of the whole machine, or cgroup */
	__u64 limit_pages;
	__u64 background_pages;
	__u64 written_pages_per_s; /* the kernel's own estimate of what the device writes */
	char name[MB_BDI_NAME_LEN]; /* as in /sys/class/bdi */
};

/* Pages of one file that a thread has dirtied since it dirtied another file's. */
struct mb_dirty_run {
	__u64 mapping; /* the file's address_space: with ino, which file */
	__u64 ino;
	__u64 bdi;
	__u32 dev;
	__u16 pages; /* not in the table yet */
	__u16 with_file; /* the run has had MB_DIRTY_RUN_FILE pages */
	/* of the open-ended stall, at its start: core/stall.bpf.h, cpu_time_lag() and cpu_wait() */
	__u32 open_lag;
	__u32 open_wait;
};

struct mb_writeback_ledger {
	struct mb_stall dirty_throttle;
	struct mb_stall writeback_wait;
	struct mb_stall fsync;
	__u64 dirtied_pages;
	__u64 dirtied_by_kernel; /* by kernel threads that have its process's memory; written by them, atomically */
	struct mb_dirty_run run;
	struct mb_bdi_state open; /* of the pause or wait that is open now */
	struct mb_bdi_state synced; /* of the fsync */
};

/* A stall that ended. */
struct mb_writeback_event {
	struct mb_event h; /* t_ns: its start */
	__u64 ns; /* exclusive */
	__u64 total_ns;
	struct mb_bdi_state on;
};

/* The same with who is to blame most, and for how much of it, and the device by its name. Type: SHOWN + that of the stall. */
struct mb_blamed_event {
	struct mb_writeback_event stall;
	__u32 culprit; /* tgid; 0: not known */
	__u32 share_permille;
	char culprit_comm[MB_COMM_LEN];
	char culprit_file[MB_PATH_LEN];
	char device[MB_DEVICE_LEN]; /* its name for people; "": not known */
	char mount[MB_PATH_LEN]; /* where it is mounted; "": not known */
};

/* Names of a file and the directories above it, NUL-terminated one after the other, the file first. */
struct mb_file_event {
	struct mb_event h;
	__u64 bdi;
	__u64 ino;
	__u32 dev;
	__u32 names_len; /* 0: not known */
	char bdi_name[MB_BDI_NAME_LEN];
	char names[MB_FILE_NAMES_LEN];
};

/* Key of table dirtied, and what has changed in an entry. */
struct mb_dirtied_key {
	__u64 start_ns; /* of the process; 0: not traced (a flusher) */
	__u64 bdi;
	__u64 ino; /* 0: files of which it dirtied less than MB_DIRTY_RUN_FILE pages in a row */
	__u32 dev;
	__u32 tgid;
};

struct mb_dirtied_event {
	struct mb_event h;
	struct mb_dirtied_key key;
	__u64 dirtied_pages;
	__u64 written_pages; /* by a flusher or sync(2); fsync writes without telling */
};

#pragma GCC diagnostic pop
#endif
