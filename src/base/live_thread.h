/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Processes whose first thread has ended (pthread_exit in main) while others go on. /proc/PID then has neither maps nor
 * memory, nor the links to files; the folder of any thread that goes on, /proc/TID, has all of them.
 */
#ifndef MB_BASE_LIVE_THREAD_H
#define MB_BASE_LIVE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* pid itself, as a rule; else a thread of it that goes on. Also pid where there is none, or no such process. */
uint32_t mb_live_thread(uint32_t pid);

/* The process that a thread is of: its own number for a process. 0: there is no such thread. */
uint32_t mb_process_of(uint32_t tid);

#endif
