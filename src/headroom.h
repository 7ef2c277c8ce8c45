/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* How much a process may still take, before a limit stops it or kills it. */
#ifndef MB_HEADROOM_H
#define MB_HEADROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "model/model.h"

/*
 * The nearest limit of memory: of its cgroup or one above it, or what is free of the machine. address_space: what is
 * mapped counts, too (RLIMIT_AS). root: where the cgroup hierarchy is mounted, or NULL. *which names the
 * limit. False: none can be read.
 */
bool mb_headroom(const struct mb_model *m, const struct mb_process *p, const char *root, bool address_space,
		 uint64_t *bytes, const char **which);

#endif
