/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Notifies the service manager: the protocol of sd_notify(3), datagrams to the socket in $NOTIFY_SOCKET. The manual
 * page itself suggests writing these few lines instead of linking libsystemd for them.
 */
#ifndef MB_SERVE_NOTIFY_H
#define MB_SERVE_NOTIFY_H

#include <stdint.h>

/*
 * Send a state, lines such as "READY=1\nSTATUS=...". Returns 0, also if there is no service manager, or -errno. Never
 * blocks: if the manager does not read, the message is lost.
 */
int mb_notify(const char *state);

/*
 * How often the manager expects WATCHDOG=1, in ns, from $WATCHDOG_USEC (sd_watchdog_enabled(3)). 0 means never, or
 * that the variable is for another process.
 */
uint64_t mb_notify_watchdog_ns(void);

#endif
