/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Every unit test includes this header: cmocka needs these four headers before its own. */
#ifndef MB_TESTS_UNIT_H
#define MB_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
