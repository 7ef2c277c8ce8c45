/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Resources that a test needs from the machine and must give back: a small ext4 on a loop device, a memory
 * cgroup with a limit, a private ftrace instance. The test removes all of them at exit and on the signals
 * that end it. If a run is killed, the next run that opens a resource removes what the killed run left
 * behind.
 *
 * Each open function returns NULL on success, or the reason why the machine cannot provide the resource,
 * which the test can pass on as the reason for a skip.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sandbox_fs {
	char dir[64];	/* mount point, in the test's own mount namespace */
	char bdi[16];	/* MAJ:MIN */
	char loop[32];	/* /dev/loopN */
};

/* dirty_limit: bytes of dirty pages that the device may have before its writers are throttled; 0: no limit. */
const char *sandbox_fs_open(struct sandbox_fs *fs, unsigned int mib, unsigned long dirty_limit);
/* A file system without a device: only dir is set. */
const char *sandbox_tmpfs_open(struct sandbox_fs *fs);
void sandbox_fs_close(struct sandbox_fs *fs);
/* Writes back the dirty pages of this file system only. */
void sandbox_fs_sync(const struct sandbox_fs *fs);

struct sandbox_cgroup {
	char dir[128];	/* absolute path of its directory */
	char path[64];	/* relative to the hierarchy's root, as memblame prints it */
	bool v2;
};

const char *sandbox_cgroup_open(struct sandbox_cgroup *cg, unsigned long limit_bytes);
/* Kills all processes that are still in the cgroup. */
void sandbox_cgroup_close(struct sandbox_cgroup *cg);
bool sandbox_cgroup_add(const struct sandbox_cgroup *cg, pid_t pid);
/* A line of memory.stat, by its v2 name or else its v1 name; -1 if there is neither. */
long long sandbox_cgroup_stat(const struct sandbox_cgroup *cg, const char *name);
/* OOM kills in the cgroup, and how often it hit its limit. */
long long sandbox_cgroup_oom_kills(const struct sandbox_cgroup *cg);
long long sandbox_cgroup_limit_hits(const struct sandbox_cgroup *cg);

struct sandbox_trace {
	char dir[96];
};

/* events: "subsystem/event", terminated by NULL. */
const char *sandbox_trace_open(struct sandbox_trace *t, const char *const *events);
/*
 * Records only those events that match the filter, in the kernel's filter syntax. Call it after
 * sandbox_trace_open().
 */
bool sandbox_trace_filter(struct sandbox_trace *t, const char *event, const char *filter);
/* Stops recording and returns the recorded text, which the caller frees. */
char *sandbox_trace_read(struct sandbox_trace *t);
void sandbox_trace_close(struct sandbox_trace *t);

/* Returns a descriptor that reads the kernel's log from now on. */
int sandbox_kmsg_open(void);

#endif
