/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Repeats the steps of a recorded leak detection. */
#ifndef MB_LEAKS_REPLAY_H
#define MB_LEAKS_REPLAY_H

#include "leaks/leaks.h"

/* A record for the observers of a model; arg: its leak detection. In a session, which ingests these records, nothing is done. */
void mb_leaks_replay(void *arg, unsigned int type, const void *data, size_t len);

#endif
