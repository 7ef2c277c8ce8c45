/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Shared code of the programs that leak: start and end on request, a steady pace, and the truth about
 * which bytes were never freed and which line allocated them. Include workload.h first.
 *
 * Environment variables: WORKLOAD_WAIT: allocates nothing before SIGUSR2, which may be sent after
 * "NAME: ready" on stderr. WORKLOAD_STAY: after the end ("NAME: idle") holds the memory until SIGTERM.
 */
#ifndef WORKLOAD_LEAK_H
#define WORKLOAD_LEAK_H

#ifdef __clang__
#define LK_DEEP __attribute__((noinline))
#else
#define LK_DEEP __attribute__((noipa)) /* its own frame and name, whatever the optimiser does */
#endif

/* A line that allocates memory which is never freed. */
struct lk_site {
	const char *function, *file;
	int line;
	long bytes, count; /* outstanding */
};

/* The value of `call`; records its location. The call and the first touch must be on one line. */
#define LK_AT(site, call)                                                                            \
	((site)->function = __func__, (site)->file = __FILE__, (site)->line = __LINE__, (call))

/* Waits if WORKLOAD_WAIT is set; then the seconds begin. */
void lk_begin(const char *name, unsigned long seconds);
/* Sleeps until the next multiple of ms since the begin; false if the time is over, or SIGTERM came. */
bool lk_tick(unsigned int ms);
bool lk_over(void);
uint64_t lk_elapsed_ns(void);
/* How many bytes are due by now at this rate; no more after SIGTERM, which may come after a stop. */
uint64_t lk_due(unsigned long bytes_per_s);
unsigned int lk_random(unsigned int below);

/* Counts one more block of this size (negative: one less); any thread may call it. */
void lk_count(struct lk_site *site, long bytes);
/*
 * Adds to the JSON line: "bytes", "count", "function", "file" (without folders) and "line" of each site; for
 * the second site "bytes_2" and so on. Then stays if WORKLOAD_STAY is set.
 */
void lk_finish(const struct lk_site *sites, unsigned int n);

#endif
