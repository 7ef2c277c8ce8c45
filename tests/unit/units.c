// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Numbers for people. */
#include <string.h>

#include "base/units.h"
#include "unit.h"

static void said(enum mb_unit unit, uint64_t value, const char *want)
{
	char buf[MB_UNITS_LEN];

	assert_string_equal(mb_format(buf, unit, value), want);
}

static void bytes(void **state)
{
	(void)state;
	said(MB_UNIT_BYTES, 0, "0 B");
	said(MB_UNIT_BYTES, 1023, "1023 B");
	said(MB_UNIT_BYTES, 1024, "1.0 KiB");
	said(MB_UNIT_BYTES, 1288490189, "1.2 GiB");
	said(MB_UNIT_BYTES, 400u << 20, "400 MiB");
	said(MB_UNIT_BYTES, 1024 * 1024 - 1, "1.0 MiB"); /* not "1024 KiB" */
	said(MB_UNIT_BYTES, UINT64_MAX, "16384 PiB");
}

static void times(void **state)
{
	(void)state;
	said(MB_UNIT_NS, 999, "999 ns");
	said(MB_UNIT_NS, 3400000, "3.4 ms");
	said(MB_UNIT_NS, 999999999, "1.0 s");
	said(MB_UNIT_NS, 100000000000ull, "100 s");
}

static void counts_are_never_rounded(void **state)
{
	(void)state;
	said(MB_UNIT_COUNT, 1234567, "1234567");
	said(MB_UNIT_PAGES, 42, "42");
}

static void numbers_of_accounts(void **state)
{
	char buf[MB_UNITS_LEN];

	(void)state;
	assert_string_equal(mb_format_number(buf, MB_UNIT_BYTES, (uint64_t)-(100ll << 20)), "-100 MiB");
	assert_string_equal(mb_format_number(buf, MB_UNIT_COUNT, UINT64_MAX), "-1");
	assert_string_equal(mb_format_number(buf, MB_UNIT_NS, 3400000), "3.4 ms");
	assert_string_equal(mb_format_number(buf, MB_UNIT_COUNT, 0), "0");
	assert_string_equal(mb_format_number(buf, MB_UNIT_COUNT, MB_NO_VALUE), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(times),
		cmocka_unit_test(counts_are_never_rounded),
		cmocka_unit_test(numbers_of_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
