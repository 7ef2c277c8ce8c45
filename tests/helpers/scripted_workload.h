/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A process that waits for one letter at a time and does that much memory work: between two
 * letters it does nothing at all, so its counts can be read at leisure.
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
 * Letters: a 8,000 pages of anonymous memory, s 4,000 shared ones, m SCRIPTED_HELD_PAGES that are kept and u gives back, t 1,000 by a thread that ends,
 * w starts 5 threads that stay, x a storm with pauses, z one without, f a child that touches 500 and exits with 7. Comes back
 * when all is done; the answer to the last letter is the child's pid, or 0.
 */
pid_t scripted_do(struct scripted *p, const char *letters);
/* Minor and major faults of the process, all threads, as /proc/PID/stat has them. */
long long scripted_faults(const struct scripted *p);
void scripted_free(struct scripted *p);

#endif
