/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Telling the service manager how we are: the protocol of sd_notify(3), datagrams to the socket in $NOTIFY_SOCKET.
 * Its own page suggests to write these few lines rather than to link libsystemd for them.
 */
#ifndef MB_SERVE_NOTIFY_H
#define MB_SERVE_NOTIFY_H

#include <stdint.h>

/*
 * Send one state, lines as "READY=1\nSTATUS=...". Returns 0, also where nobody wants to know; or -errno. Never
 * blocks: a manager that does not read loses it.
 */
int mb_notify(const char *state);

/*
 * How often the manager wants to hear WATCHDOG=1, in ns, from $WATCHDOG_USEC (sd_watchdog_enabled(3)); 0: it
 * does not, or that is meant for another process.
 */
uint64_t mb_notify_watchdog_ns(void);

#endif
