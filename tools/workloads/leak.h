/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What programs that leak share: start when they are told, a steady pace, an end when they are told,
 * and the truth about what was never given back and by which line. Include workload.h first.
 *
 * In the environment: WORKLOAD_WAIT: nothing is allocated before SIGUSR2 comes ("NAME: ready" on stderr
 * says that it may). WORKLOAD_STAY: when all is done ("NAME: idle") the memory is held until SIGTERM.
 */
#ifndef WORKLOAD_LEAK_H
#define WORKLOAD_LEAK_H

#ifdef __clang__
#define LK_DEEP __attribute__((noinline))
#else
#define LK_DEEP __attribute__((noipa)) /* a frame and a name of its own, whatever the optimiser thinks */
#endif

/* A line that allocates what nobody frees. */
struct lk_site {
	const char *function, *file;
	int line;
	long bytes, count; /* outstanding */
};

/* The value of `call`; remembers where it was. It must be on one line, and so must the first touch. */
#define LK_AT(site, call)                                                                            \
	((site)->function = __func__, (site)->file = __FILE__, (site)->line = __LINE__, (call))

/* Waits if that is wanted; the seconds begin now. */
void lk_begin(const char *name, unsigned long seconds);
/* Sleeps until the next multiple of ms since the begin; false when it is over, or SIGTERM came. */
bool lk_tick(unsigned int ms);
bool lk_over(void);
uint64_t lk_elapsed_ns(void);
/* How many bytes are due by now at this rate; none any more after SIGTERM, which may come after a stop. */
uint64_t lk_due(unsigned long bytes_per_s);
unsigned int lk_random(unsigned int below);

/* One more (or less: negative) of so many bytes; any thread may. */
void lk_count(struct lk_site *site, long bytes);
/*
 * Into the JSON line: "bytes", "count", "function", "file" (without folders) and "line" of each site; those
 * of the second are "bytes_2" and so on; then stays if that is wanted.
 */
void lk_finish(const struct lk_site *sites, unsigned int n);

#endif
