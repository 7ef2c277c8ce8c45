/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Names of C++ and Rust functions as people write them. */
#ifndef MB_SYMBOLS_DEMANGLE_H
#define MB_SYMBOLS_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * C++ (Itanium) with parameters, Rust (v0 and legacy) without hashes. False: the name is none of these, or what
 * it stands for does not fit into size; buf is then not to be used.
 */
bool mb_demangle(const char *name, char *buf, size_t size);

#endif
