/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A process that waits for one letter at a time and performs the memory work that the letter stands for.
 * Between two letters the process does nothing at all, so a test can read its counters at leisure.
 */
#ifndef MB_TESTS_SCRIPTED_WORKLOAD_H
#define MB_TESTS_SCRIPTED_WORKLOAD_H

#include <sys/types.h>

#define SCRIPTED_STORM_PAGES  4096
#define SCRIPTED_STORM_ROUNDS 40
#define SCRIPTED_HELD_PAGES   12800

struct scripted {
	pid_t pid;
	int to, from;
	char text[16]; /* its pid */
};

struct scripted *scripted_new(void);
/*
 * Letters: a touches 8,000 pages of anonymous memory, s 4,000 shared pages, m SCRIPTED_HELD_PAGES pages that
 * the process holds until u frees them, t 1,000 pages in a thread that ends. w starts 5 threads that stay, x
 * is a storm with pauses, z a storm without pauses, f forks a child that touches 500 pages and exits with
 * status 7. n does nothing. Returns when all letters are done; the result is the child's pid if the last
 * letter was f, else 0.
 */
pid_t scripted_do(struct scripted *p, const char *letters);
/* Minor and major faults of the process, over all threads, from /proc/PID/stat. */
long long scripted_faults(const struct scripted *p);
void scripted_free(struct scripted *p);

#endif
