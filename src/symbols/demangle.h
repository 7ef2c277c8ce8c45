/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Demangles names of C++ and Rust functions. */
#ifndef MB_SYMBOLS_DEMANGLE_H
#define MB_SYMBOLS_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Demangle C++ names (Itanium ABI) with parameters, and Rust names (v0 and legacy) without hashes.
 * Returns false if the name is neither, or if the result does not fit into size; the contents of
 * buf are then undefined.
 */
bool mb_demangle(const char *name, char *buf, size_t size);

#endif
