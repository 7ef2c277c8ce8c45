/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a test needs of the machine and must give back: a small ext4 on a loop device, a memory
 * cgroup with a limit, a private ftrace instance. All of it is taken down at exit and on the
 * signals that end a test; what a killed run left behind goes when the next one opens something.
 *
 * An open function returns NULL, or why the machine cannot do it (a reason to skip for).
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sandbox_fs {
	char dir[64];	/* where it is mounted, in the test's own mount namespace */
	char bdi[16];	/* MAJ:MIN */
	char loop[32];	/* /dev/loopN */
};

/* dirty_limit: bytes of dirty pages the device may have before its writers pause; 0: unlimited. */
const char *sandbox_fs_open(struct sandbox_fs *fs, unsigned int mib, unsigned long dirty_limit);
/* No device behind it: only dir is set. */
const char *sandbox_tmpfs_open(struct sandbox_fs *fs);
void sandbox_fs_close(struct sandbox_fs *fs);
/* Write back what is dirty there; what the machine has elsewhere stays as it is. */
void sandbox_fs_sync(const struct sandbox_fs *fs);

struct sandbox_cgroup {
	char dir[128];	/* in the file system */
	char path[64];	/* below the hierarchy's root, as memblame prints it */
	bool v2;
};

const char *sandbox_cgroup_open(struct sandbox_cgroup *cg, unsigned long limit_bytes);
/* Kills whatever is still in it. */
void sandbox_cgroup_close(struct sandbox_cgroup *cg);
bool sandbox_cgroup_add(const struct sandbox_cgroup *cg, pid_t pid);
/* A line of memory.stat, by its v2 name or else its v1 name; -1 where it has none. */
long long sandbox_cgroup_stat(const struct sandbox_cgroup *cg, const char *name);
/* OOM kills in it, and how often its limit was hit. */
long long sandbox_cgroup_oom_kills(const struct sandbox_cgroup *cg);
long long sandbox_cgroup_limit_hits(const struct sandbox_cgroup *cg);

struct sandbox_trace {
	char dir[96];
};

/* events: "subsystem/event", ended by NULL. */
const char *sandbox_trace_open(struct sandbox_trace *t, const char *const *events);
/* Record only events of this kind that match, in the kernel's words for it; after opening. */
bool sandbox_trace_filter(struct sandbox_trace *t, const char *event, const char *filter);
/* What was recorded, as text to be freed; recording is over then. */
char *sandbox_trace_read(struct sandbox_trace *t);
void sandbox_trace_close(struct sandbox_trace *t);

/* Records of the kernel's log from now on. */
int sandbox_kmsg_open(void);

#endif
