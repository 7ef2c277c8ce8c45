// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Numbers with units for output that people read: 1.2 GiB, 3.4 ms. */
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *scaled(char *buf, double v, double base, const char *const *names, int n)
{
	int i = 0;

	/* 999.5 would be printed as 1000, so use the next prefix */
	while (i < n - 1 && v >= base - 0.5) {
		v /= base;
		i++;
	}
	if (i == 0 || v >= 99.95)
		snprintf(buf, MB_UNITS_LEN, "%.0f %s", v, names[i]);
	else
		snprintf(buf, MB_UNITS_LEN, "%.1f %s", v, names[i]);
	return buf;
}

const char *mb_format(char *buf, enum mb_unit unit, uint64_t value)
{
	static const char *const bytes[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	static const char *const ns[] = { "ns", "us", "ms", "s" };

	switch (unit) {
	case MB_UNIT_BYTES:
		return scaled(buf, (double)value, 1024, bytes, 6);
	case MB_UNIT_NS:
		return scaled(buf, (double)value, 1000, ns, 4);
	case MB_UNIT_COUNT:
	case MB_UNIT_PAGES:
		break;
	}
	snprintf(buf, MB_UNITS_LEN, "%" PRIu64, value);
	return buf;
}

const char *mb_format_number(char *buf, enum mb_unit unit, uint64_t value)
{
	char size[MB_UNITS_LEN];

	if (value == MB_NO_VALUE)
		return strcpy(buf, "?");
	if ((int64_t)value >= 0)
		return mb_format(buf, unit, value);
	snprintf(buf, MB_UNITS_LEN, "-%s", mb_format(size, unit, 0 - value));
	return buf;
}
