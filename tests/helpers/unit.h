/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What every unit test includes: cmocka needs these four before its own header. */
#ifndef MB_TESTS_UNIT_H
#define MB_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
