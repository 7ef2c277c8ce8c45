/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the kernel's log says about an OOM kill: the reference that reports are compared with. */
#ifndef KMSG_H
#define KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct kmsg_task {
	pid_t pid;
	long long uid, total_vm, rss, pgtables, swap, adj; /* pages; pgtables: bytes */
	char comm[32];
};

struct kmsg_kill {
	pid_t pid;
	char comm[32], trigger_comm[32], gfp[256], constraint[32], memcg[128];
	long long total_vm, anon, file, shmem, pgtables, uid, adj; /* bytes */
	long long gfp_mask, order, usage, limit;
	long long swap; /* usage of the cgroup; v1: including memory. -1: not reported */
	long long free_swap, total_swap; /* of the machine; -1: not reported */
	/* the log has more than the victim's line; the kernel rate-limits the full report */
	bool whole;
	struct kmsg_task tasks[256];
	size_t n_tasks;
	char *text; /* all lines up to the victim's */
};

/*
 * Reads until the kernel logs the kill of that process (0: of any process); fails the test if no such line
 * arrives.
 */
struct kmsg_kill kmsg_kill(int fd, pid_t pid);
void kmsg_free(struct kmsg_kill *k);

/* The table row of this process; fails the test if there is none. */
const struct kmsg_task *kmsg_task(const struct kmsg_kill *k, long long pid);
/* Is it the log line with the usage of the memory cgroup? Then stores the usage, in bytes. */
bool kmsg_memcg_usage(const char *line, long long *usage);
bool kmsg_has_line(const struct kmsg_kill *k, const char *line);

/* Compares flags regardless of order: "A|B" equals "B|A". */
void kmsg_assert_same_flags(const char *got, const char *want);

/* The possible error, in bytes, of a BPF program's sum of a process's pages: what per-CPU counters hold back. */
long long kmsg_slack(void);

#endif
