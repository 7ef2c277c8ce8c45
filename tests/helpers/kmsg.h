/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the kernel's log says of an OOM kill: the truth that reports are held against. */
#ifndef KMSG_H
#define KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct kmsg_task {
	pid_t pid;
	long long uid, total_vm, rss, pgtables, swap, adj; /* pages, but for pgtables: bytes */
	char comm[32];
};

struct kmsg_kill {
	pid_t pid;
	char comm[32], trigger_comm[32], gfp[256], constraint[32], memcg[128];
	long long total_vm, anon, file, shmem, pgtables, uid, adj; /* bytes */
	long long gfp_mask, order, usage, limit;
	long long swap; /* of the cgroup: usage; v1: with memory. -1: not told */
	long long free_swap, total_swap; /* of the machine; -1: not told */
	bool whole; /* the log has more than the victim's line: the kernel limits how often it says all */
	struct kmsg_task tasks[256];
	size_t n_tasks;
	char *text; /* all lines up to the victim's */
};

/* Reads on until the kernel tells of the kill of that process (0: of any); fails the test when it does not. */
struct kmsg_kill kmsg_kill(int fd, pid_t pid);
void kmsg_free(struct kmsg_kill *k);

/* The row of this process; fails the test when there is none. */
const struct kmsg_task *kmsg_task(const struct kmsg_kill *k, long long pid);
bool kmsg_has_line(const struct kmsg_kill *k, const char *line);

/* "A|B" and "B|A" are the same. */
void kmsg_assert_same_flags(const char *got, const char *want);

/* How far a BPF program's sum of a process's pages may be off, in bytes: what CPUs hold back. */
long long kmsg_slack(void);

#endif
