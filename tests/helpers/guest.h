/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Shared code for the tests of tests/vm. These tests change settings of the whole machine, so they run only
 * in a guest. Each test restores everything for the next one, even if it fails.
 */
#ifndef GUEST_H
#define GUEST_H

#include "live.h"
#include "pairs.h"
#include "sandbox.h"

/* Resources of the running test; guest_teardown() releases whatever is open. */
extern struct pairs guest_pairs;
extern struct sandbox_cgroup guest_cgroup;

#define GUEST_TEST(name) cmocka_unit_test_teardown(name, guest_teardown)
int guest_teardown(void **state);

/* Unless tests/vm/init started the program: prints what the test does to a machine, and exits. */
void guest_only(const char *what);

/* A counter of /proc/vmstat; -1 if this kernel has no counter of that name. */
long long guest_vmstat(const char *name);
void guest_write(const char *path, const char *text);
/* Saves a setting, so that guest_teardown() can restore it. The caller retains ownership of the path. */
void guest_keep(const char *path);
/* Drops the page cache and the file systems' caches. Dirty data is written back first. */
void guest_drop_caches(void);
/* Turns on a swap file of that size, and no other swap, until guest_teardown(). */
void guest_swap_on(unsigned int mib);

/* The disk under /tmp as MAJ:MIN, and the total time of all its reads. */
const char *guest_disk(void);
long long guest_disk_read_ns(void);

#endif
