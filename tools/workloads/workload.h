/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Shared by all workloads: arguments, clocks, touched memory, and one exact JSON line at the end.
 * Include this header first: it makes libc declare the Linux interfaces.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* One way to run a program; each program has one table of these, ended by a NULL name. */
struct wl_mode {
	const char *name;
	const char *args; /* for the usage message */
	int min_args;
	void (*run)(int argc, char **argv); /* only the mode's own arguments */
};

/* The faults of the whole process so far. */
struct wl_faults {
	long minor, major;
};

/* Runs the mode that argv[1] names, then wl_end(). */
_Noreturn void wl_main(int argc, char **argv, const char *workload, const struct wl_mode *modes);
const struct wl_mode *wl_find_mode(const struct wl_mode *modes, const char *name);
_Noreturn void wl_usage(const char *workload, const struct wl_mode *modes);
/* Argument i as a number, or fallback if there are fewer arguments. */
unsigned long wl_arg(int argc, char **argv, int i, unsigned long fallback);
unsigned long wl_parse(const char *text);

/* Begins the JSON line; joins the cgroup that WORKLOAD_CGROUP names. Every program calls it first. */
void wl_begin(const char *workload, const char *mode);
void wl_num(const char *key, long long value);
void wl_str(const char *key, const char *value);
/* value / 100 with two decimals */
void wl_hundredths(const char *key, unsigned long long value);
/* Ends the line with the final fault counts, prints it, exits: no fault comes after the counts. */
_Noreturn void wl_end(int status);
/* Adds the kernel's delay accounting of this thread to the line; wl_end() calls it if WORKLOAD_DELAYS is set. */
void wl_delays(void);
/* Like wl_end(), for a child: writes its raw struct rusage to fd, then exits. */
_Noreturn void wl_report(int fd, int status);
/* The parent's side of wl_report(). */
void wl_read_report(int fd, struct rusage *usage);

struct wl_faults wl_faults(void);
uint64_t wl_now_ns(void);
uint64_t wl_thread_cpu_ns(void);
/* How long this thread was ready to run without a CPU; 0 if the kernel has no such count. */
uint64_t wl_thread_cpu_wait_ns(void);
size_t wl_page(void);

/* Private anonymous memory that is untouched and gets no huge pages. */
char *wl_anon(size_t pages);
void wl_read_pages(const char *area, size_t pages);
void wl_write_pages(char *area, size_t pages);
/* Opens the file, with at least this many pages written and on disk, none of them through a fault. */
int wl_file(const char *path, size_t pages);
/* Reads the file into the page cache by read(), so also without a fault on its pages. */
void wl_cache_file(int fd, size_t pages);
char *wl_map_file(int fd, size_t pages, int prot, int flags);
/* How many pages of the mapping are in the page cache. */
size_t wl_resident(char *area, size_t pages);
/* The first number after `label` in a /proc file (label "": the first number), -1 if absent. */
long wl_proc_number(const char *path, const char *label);

#endif
