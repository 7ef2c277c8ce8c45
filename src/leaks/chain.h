/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Call chains of events. */
#ifndef MB_LEAKS_CHAIN_H
#define MB_LEAKS_CHAIN_H

#include "leaks/leaks.h"

/*
 * Get the id of the stack (struct mb_user_stack) that follows the first size bytes of an event. Call once for each
 * event that can have one. Returns 0 if there is none.
 */
uint32_t mb_leak_stack_of(struct mb_leak_space *sp, const struct mb_event *e, size_t size);

/* Read which code the process has mapped, if that is not known yet or has changed. Does nothing in a replay. */
void mb_leak_look_at_code(struct mb_leak_space *sp);

#endif
