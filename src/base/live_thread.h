/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Processes whose main thread has ended (pthread_exit in main) while other threads run. /proc/PID then has no maps,
 * memory or links to files; the directory of any running thread, /proc/TID, has all of them.
 */
#ifndef MB_BASE_LIVE_THREAD_H
#define MB_BASE_LIVE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Returns pid itself if its main thread runs, else one of its running threads. Returns pid also if there is no such
 * thread or process.
 */
uint32_t mb_live_thread(uint32_t pid);

/* The process that a thread belongs to; for a process, its own pid. Returns 0 if there is no such thread. */
uint32_t mb_process_of(uint32_t tid);

#endif
