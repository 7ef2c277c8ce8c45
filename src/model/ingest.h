/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * All external input of a model, as a sequence of records: kernel events, data from /proc, ticks. A
 * live session ingests records and may store each of them. Another model that ingests the same
 * records in the same order reaches the same state (replay).
 */
#ifndef MB_INGEST_H
#define MB_INGEST_H

#include "model/model.h"

enum mb_ingest_type {
	MB_INGEST_SETUP = 1, /* struct mb_setup; the first record */
	MB_INGEST_EVENT = 2, /* one ring event or task record, as the kernel side sent it */
	MB_INGEST_IDENTITY = 3, /* struct mb_identity */
	MB_INGEST_MEMORY = 4, /* struct mb_memory */
	MB_INGEST_DROPS = 5, /* struct mb_drop_row, any number; rows that are absent are 0 */
	MB_INGEST_TICK = 6, /* struct mb_tick */
	MB_INGEST_SUMMARY = 7, /* struct mb_summary; the last record */
	MB_INGEST_SYSTEM = 8, /* struct mb_system, before each tick */
	MB_INGEST_MOUNT = 9, /* struct mb_mount: mount point of a file system */
	MB_INGEST_LOG = 10, /* struct mb_log_line, then the text: one record of the kernel log */
	MB_INGEST_SYMBOL = 11, /* struct mb_oom_name: symbol of an address in a stack of an OOM kill */
	MB_INGEST_OOM_PATH = 12, /* struct mb_oom_name, then the path if it is longer: of a cgroup in an OOM kill */
	MB_INGEST_OOM_STAT = 13, /* struct mb_oom_name, then memory.stat of the cgroup at its limit */
	MB_INGEST_OOM_REPORT = 14, /* struct mb_oom_report: report a kill now */
	/* struct mb_memcg_record: charges of a memory cgroup by kind; or struct mb_memcg_same_record */
	MB_INGEST_MEMCG = 15,
	MB_INGEST_LIMITS = 16, /* struct mb_cgroup_limits, then the path: of a cgroup whose limit causes stalls */
	MB_INGEST_DEVICE = 17, /* struct mb_device_name: human-readable name and mount points of a device */
	MB_INGEST_LEAKS = 18, /* struct mb_leaks_record, then its data: what leak detection has read (leaks/source.h) */
};

/* /proc/sys/vm/dirty_*; MB_UNKNOWN if missing. */
struct mb_dirty_sysctls {
	uint64_t ratio, background_ratio; /* percent of free plus page cache memory */
	uint64_t bytes, background_bytes; /* 0: the ratio applies */
	uint64_t expire_centisecs, writeback_centisecs;
};

/* How to interpret the values: properties of the traced kernel and the hooks in use. */
struct mb_setup {
	uint64_t unknown_slots[4]; /* as in struct mb_model */
	uint32_t sample_1_in;
	uint32_t stream;
	uint32_t off;
	uint32_t has_swap;
	uint32_t slots; /* mb_slots() of the build that traced */
	uint32_t pss; /* PSS is also read */
	struct mb_dirty_sysctls dirty;
	char kernel[72];
	char arch[72];
};

/* Identity of a process, as far as it is only known from /proc and the cgroup file system. */
struct mb_identity {
	uint64_t start_ns;
	uint32_t tgid;
	uint16_t exe_len; /* 0: unknown; the bytes follow, without a NUL */
	uint16_t cgroup_len; /* same; these bytes follow those of exe */
};

struct mb_memory {
	uint64_t start_ns;
	uint64_t total_vm_pages;
	uint64_t peak_pages;
	uint64_t rss_pages[4];
	uint32_t tgid;
	uint32_t pad;
	/*
	 * MB_UNKNOWN: not read, or not readable; records in older recordings do not have these
	 * fields
	 */
	uint64_t pss_bytes;
	uint64_t uss_bytes;
};

struct mb_log_line {
	uint32_t caller; /* tid of the writer; 0: unknown */
	uint32_t pad;
};

/* Data about a kill that only the running system can provide. */
struct mb_oom_name {
	uint64_t kill_t_ns;
	uint64_t cgroup;
	uint32_t stack; /* enum mb_oom_stack_of */
	uint32_t frame;
	char name[MB_PATH_LEN];
};

struct mb_drop_row {
	struct mb_drop drop;
	uint32_t family;
	uint32_t reason;
};

/* Metadata of a sample. */
struct mb_sample_meta {
	uint64_t t_ns; /* CLOCK_BOOTTIME */
	uint64_t since_start_ns;
	uint64_t bpf_ns;
	uint64_t self_cpu_ns;
	uint64_t self_rss_bytes; /* MB_UNKNOWN: unknown */
	uint32_t bpf_ns_known;
	uint32_t pad;
	char time[32]; /* RFC 3339 UTC */
};

struct mb_tick {
	struct mb_sample_meta at;
	uint32_t complete; /* as in mb_model_tick() */
	uint32_t pad;
};

struct mb_summary {
	struct mb_sample_meta at;
	int32_t command_status;
	uint32_t has_command;
	char command[200];
};

/* Limits and usage of a memory cgroup; MB_UNKNOWN: unknown, or (limits) none set. */
struct mb_cgroup_limits {
	uint64_t max_bytes, high_bytes;
	uint64_t usage_bytes;
};

/* Something that leak detection has read, or a step of its work. */
struct mb_leaks_record {
	uint16_t kind; /* enum mb_leak_fact */
	uint16_t continues; /* its data continues in the next record of this type */
	uint32_t pad;
	uint64_t key;
};

struct mb_oom_report {
	uint64_t kill_t_ns;
	struct mb_sample_meta at;
};

struct mb_ingest {
	struct mb_model *model;
	/* Called with each record before it is applied; NULL: records are not stored. */
	void (*keep)(void *arg, enum mb_ingest_type type, const void *data, size_t len);
	void *keep_arg;
};

/*
 * Apply a record to the model. Returns 0, or -EINVAL for an invalid record (its size does not match
 * its type); then the model is unchanged.
 */
int mb_ingest_apply(struct mb_model *m, enum mb_ingest_type type, const void *data, size_t len);

/* Pass a record to the keep callback, if set, and apply it. */
void mb_ingest(struct mb_ingest *f, enum mb_ingest_type type, const void *data, size_t len);

/* Build and ingest an identity record or a drops record. exe, cgroup: NULL if unknown. */
void mb_ingest_identity(struct mb_ingest *f, const struct mb_process *p, const char *exe,
			const char *cgroup);
void mb_ingest_drops(struct mb_ingest *f,
		     const struct mb_drop drops[MB_FAM_MAX][MB_DROP_REASONS]);

#endif
