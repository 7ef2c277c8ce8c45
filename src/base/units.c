// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Numbers with units, as people read and write them: 1.2 GiB, 3.4 ms; 64M, 1h30m. */
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

/* ---- exact ---- */

struct unit {
	const char *name;
	uint64_t value;
};

/* Largest first. If a unit has several names, the first one is used for output. */
static const struct unit times[] = {
	{ "d", 86400000000000ull }, { "h", 3600000000000ull }, { "m", 60000000000ull },
	{ "s", 1000000000ull },	    { "ms", 1000000ull },      { "us", 1000ull },
	{ "ns", 1 },		    { NULL, 0 },
};

static const struct unit sizes[] = {
	{ "TiB", 1ull << 40 }, { "T", 1ull << 40 }, { "GiB", 1ull << 30 }, { "G", 1ull << 30 }, { "MiB", 1ull << 20 },
	{ "M", 1ull << 20 },   { "KiB", 1ull << 10 }, { "K", 1ull << 10 }, { "B", 1 },		{ NULL, 0 },
};

bool mb_parse_number(const char *text, size_t len, uint64_t unit, uint64_t *out)
{
	uint64_t whole = 0, part = 0, scale = 1, rest;
	size_t i = 0;

	for (; i < len && text[i] != '.'; i++) {
		if (text[i] < '0' || text[i] > '9' || whole > (UINT64_MAX - 9) / 10)
			return false;
		whole = whole * 10 + (uint64_t)(text[i] - '0');
	}
	if (!i || i + 1 == len || (whole && unit > UINT64_MAX / whole))
		return false;
	for (i++; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || scale == 1000000000)
			return false;
		part = part * 10 + (uint64_t)(text[i] - '0');
		scale *= 10;
	}
	rest = (uint64_t)((unsigned __int128)unit * part / scale);
	if (whole * unit > UINT64_MAX - rest)
		return false;
	*out = whole * unit + rest;
	return true;
}

/* Parse "1h30m" (numbers with units, one after another), or a single number in the unit plain. */
static bool parse_units(const char *text, const struct unit *units, uint64_t plain, uint64_t *out)
{
	uint64_t sum = 0, v, unit;

	for (const char *p = text; *p || p == text;) {
		size_t digits = strspn(p, "0123456789."), letters;

		letters = strcspn(p + digits, "0123456789.");
		unit = !letters && p == text ? plain : 0;
		for (const struct unit *u = units; u->name && !unit; u++) {
			if (strlen(u->name) == letters && !strncmp(p + digits, u->name, letters))
				unit = u->value;
		}
		if (!unit || !mb_parse_number(p, digits, unit, &v) || sum > UINT64_MAX - v)
			return false;
		sum += v;
		p += digits + letters;
	}
	*out = sum;
	return true;
}

bool mb_parse_time(const char *text, uint64_t *ns)
{
	return parse_units(text, times, 1000000000, ns);
}

bool mb_parse_bytes(const char *text, uint64_t *bytes)
{
	return parse_units(text, sizes, 1, bytes);
}

/* whole: only in one unit. */
static void show_units(uint64_t v, const struct unit *units, bool whole, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (const struct unit *u = units; u->name && len < size; u++) {
		if (v < u->value || (whole && v % u->value))
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%" PRIu64 "%s", v / u->value, u->name);
		v %= u->value;
	}
	if (!len)
		snprintf(buf, size, "0");
}

void mb_show_time(uint64_t ns, char *buf, size_t size)
{
	show_units(ns, times, false, buf, size);
}

void mb_show_bytes(uint64_t bytes, char *buf, size_t size)
{
	show_units(bytes, sizes, true, buf, size);
}
