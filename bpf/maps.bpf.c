// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Defines the maps that core/maps.bpf.h declares for every family. */
#define MB_SHARED
#include "core/maps.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
