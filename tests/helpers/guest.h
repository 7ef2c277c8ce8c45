/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the tests of tests/vm share: they change the whole machine, so they run in a guest only and
 * give everything back for the test after them, however they ended.
 */
#ifndef GUEST_H
#define GUEST_H

#include "live.h"
#include "pairs.h"
#include "sandbox.h"

/* What a running test holds; guest_teardown() gives back whatever was opened. */
extern struct pairs guest_pairs;
extern struct sandbox_cgroup guest_cgroup;

#define GUEST_TEST(name) cmocka_unit_test_teardown(name, guest_teardown)
int guest_teardown(void **state);

/* Ends the program, saying what it does to a machine, unless tests/vm/init started it. */
void guest_only(const char *what);

/* A counter of /proc/vmstat, -1 where this kernel has none of that name. */
long long guest_vmstat(const char *name);
void guest_write(const char *path, const char *text);
/* Remembers a setting, for guest_teardown() to write it back. The path stays the caller's. */
void guest_keep(const char *path);
/* Page cache and caches of the file systems; what is dirty is written back first. */
void guest_drop_caches(void);
/* A swap file of that size, the only one, until guest_teardown(). */
void guest_swap_on(unsigned int mib);

/* The disk under /tmp: MAJ:MIN, and for how long all its reads together took. */
const char *guest_disk(void);
long long guest_disk_read_ns(void);

#endif
