/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * All that a model is told from outside, as a sequence of records: events of the kernel, what /proc
 * knew, ticks. A live session feeds its model with records and may keep each of them; fed to another
 * model in the same order, they make the same model again (replay).
 */
#ifndef MB_INGEST_H
#define MB_INGEST_H

#include "model/model.h"

enum mb_ingest_type {
	MB_INGEST_SETUP = 1, /* struct mb_setup; the first record */
	MB_INGEST_EVENT = 2, /* one ring event or task record, as the kernel side sent it */
	MB_INGEST_IDENTITY = 3, /* struct mb_identity */
	MB_INGEST_MEMORY = 4, /* struct mb_memory */
	MB_INGEST_DROPS = 5, /* struct mb_drop_row, any number; those not named are 0 */
	MB_INGEST_TICK = 6, /* struct mb_tick */
	MB_INGEST_SUMMARY = 7, /* struct mb_summary; the last record */
	MB_INGEST_SYSTEM = 8, /* struct mb_system, before each tick */
	MB_INGEST_MOUNT = 9, /* struct mb_mount: where a file system is mounted */
	MB_INGEST_LOG = 10, /* struct mb_log_line, then the text: one record of the kernel's log */
	MB_INGEST_SYMBOL = 11, /* struct mb_oom_name: of an address in a stack of an OOM kill */
	MB_INGEST_OOM_PATH = 12, /* struct mb_oom_name, then the path where it is longer: of a cgroup in an OOM kill */
	MB_INGEST_OOM_STAT = 13, /* struct mb_oom_name, then memory.stat of the cgroup at its limit */
	MB_INGEST_OOM_REPORT = 14, /* struct mb_oom_report: a kill is reported now */
	MB_INGEST_MEMCG = 15, /* struct mb_memcg_record: what a memory cgroup is charged, by kind; or struct mb_memcg_same_record */
	MB_INGEST_LIMITS = 16, /* struct mb_cgroup_limits, then the path: of a cgroup at whose limit somebody stalls */
	MB_INGEST_DEVICE = 17, /* struct mb_device_name: what people call a device, and where it is mounted */
};

/* /proc/sys/vm/dirty_*; MB_UNKNOWN where there is none. */
struct mb_dirty_sysctls {
	uint64_t ratio, background_ratio; /* percent of what is free or cached */
	uint64_t bytes, background_bytes; /* 0: the ratio is in force */
	uint64_t expire_centisecs, writeback_centisecs;
};

/* What numbers mean on that kernel, with those hooks. */
struct mb_setup {
	uint64_t unknown_slots[4]; /* as in struct mb_model */
	uint32_t sample_1_in;
	uint32_t stream;
	uint32_t off;
	uint32_t has_swap;
	uint32_t slots; /* mb_slots() of the build */
	uint32_t pss; /* shares of memory are read, too */
	struct mb_dirty_sysctls dirty;
	char kernel[72];
	char arch[72];
};

/* Who a process is, as far as only /proc and the cgroup file system know. */
struct mb_identity {
	uint64_t start_ns;
	uint32_t tgid;
	uint16_t exe_len; /* 0: not known; the bytes follow, without a NUL */
	uint16_t cgroup_len; /* the same, after those */
};

struct mb_memory {
	uint64_t start_ns;
	uint64_t total_vm_pages;
	uint64_t peak_pages;
	uint64_t rss_pages[4];
	uint32_t tgid;
	uint32_t pad;
	/* MB_UNKNOWN: not read, or it could not be; records of older recordings end before them */
	uint64_t pss_bytes;
	uint64_t uss_bytes;
};

struct mb_log_line {
	uint32_t caller; /* who wrote it; 0: not known */
	uint32_t pad;
};

/* Something that only the running system knows, of a kill. */
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

/* What goes with the numbers of one moment. */
struct mb_sample_meta {
	uint64_t t_ns; /* CLOCK_BOOTTIME */
	uint64_t since_start_ns;
	uint64_t bpf_ns;
	uint64_t self_cpu_ns;
	uint64_t self_rss_bytes; /* MB_UNKNOWN: not known */
	uint32_t bpf_ns_known;
	uint32_t pad;
	char time[32]; /* RFC 3339 UTC */
};

struct mb_tick {
	struct mb_sample_meta at;
	uint32_t complete; /* as mb_model_tick() */
	uint32_t pad;
};

struct mb_summary {
	struct mb_sample_meta at;
	int32_t command_status;
	uint32_t has_command;
	char command[200];
};

/* What a memory cgroup may have and has; MB_UNKNOWN: not known, or (of the limits) there is none. */
struct mb_cgroup_limits {
	uint64_t max_bytes, high_bytes;
	uint64_t usage_bytes;
};

struct mb_oom_report {
	uint64_t kill_t_ns;
	struct mb_sample_meta at;
};

struct mb_ingest {
	struct mb_model *model;
	/* Called with each record before it is applied; NULL: nobody keeps them. */
	void (*keep)(void *arg, enum mb_ingest_type type, const void *data, size_t len);
	void *keep_arg;
};

/*
 * Change the model as the record says. Returns 0, or -EINVAL for a record that no memblame wrote (its
 * size does not fit its type); the model is as before then.
 */
int mb_ingest_apply(struct mb_model *m, enum mb_ingest_type type, const void *data, size_t len);

/* Keep a record, if somebody does, and apply it. */
void mb_ingest(struct mb_ingest *f, enum mb_ingest_type type, const void *data, size_t len);

/* Feed an identity or the drops, packed from these. exe, cgroup: NULL where not known. */
void mb_ingest_identity(struct mb_ingest *f, const struct mb_process *p, const char *exe,
			const char *cgroup);
void mb_ingest_drops(struct mb_ingest *f,
		     const struct mb_drop drops[MB_FAM_MAX][MB_DROP_REASONS]);

#endif
