// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Metrics as text: the Prometheus exposition format, and OpenMetrics. */
#include "sinks/prom.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "model/container.h"

/* Make room for len more bytes; the size doubles. */
static bool room(struct mb_prom *w, size_t len)
{
	size_t size = w->size ? w->size : 64 * 1024;
	char *text;

	if (w->failed)
		return false;
	if (w->len + len <= w->size)
		return true;
	while (size < w->len + len)
		size *= 2;
	text = realloc(w->text, size);
	if (!text) {
		w->failed = true;
		return false;
	}
	w->text = text;
	w->size = size;
	return true;
}

static void put(struct mb_prom *w, const char *s, size_t len)
{
	if (!len || !room(w, len))
		return;
	memcpy(w->text + w->len, s, len);
	w->len += len;
}

static void put_text(struct mb_prom *w, const char *s)
{
	put(w, s, strlen(s));
}

void mb_prom_begin(struct mb_prom *w, bool openmetrics)
{
	w->len = 0;
	w->failed = false;
	w->openmetrics = openmetrics;
	w->name[0] = '\0';
}

int mb_prom_end(struct mb_prom *w)
{
	if (w->openmetrics)
		put_text(w, "# EOF\n");
	return w->failed ? -ENOMEM : 0;
}

void mb_prom_free(struct mb_prom *w)
{
	free(w->text);
	memset(w, 0, sizeof(*w));
}

/* A HELP line escapes '\' and newline; OpenMetrics also '"'. Newlines become spaces here: help texts have none. */
static void put_help(struct mb_prom *w, const char *help)
{
	for (; *help; help++) {
		if (*help == '\\' || (*help == '"' && w->openmetrics))
			put(w, "\\", 1);
		put(w, *help == '\n' ? " " : help, 1);
	}
}

static void put_meta(struct mb_prom *w, const char *what, const char *suffix)
{
	put_text(w, "# ");
	put_text(w, what);
	put(w, " ", 1);
	put_text(w, w->name);
	put_text(w, suffix);
	put(w, " ", 1);
}

/* The suffix of sample names, in both formats. */
static const char *sample_suffix(enum mb_prom_type type)
{
	return type == MB_PROM_COUNTER ? "_total" : type == MB_PROM_INFO ? "_info" : "";
}

static void put_unit(struct mb_prom *w)
{
	static const char *const units[] = { "seconds", "bytes", "ratio" };
	size_t n = strlen(w->name);

	for (size_t i = 0; i < MB_ARRAY_SIZE(units); i++) {
		size_t len = strlen(units[i]);

		if (n <= len || w->name[n - len - 1] != '_' || strcmp(w->name + n - len, units[i]) != 0)
			continue;
		put_meta(w, "UNIT", "");
		put_text(w, units[i]);
		put(w, "\n", 1);
	}
}

void mb_prom_family(struct mb_prom *w, enum mb_prom_type type, const char *name, const char *help)
{
	static const char *const types[] = { "counter", "gauge", "histogram", "info" };
	/* OpenMetrics names a family without the suffix of its samples; the older format has no families */
	const char *suffix = w->openmetrics ? "" : sample_suffix(type);

	w->type = type;
	snprintf(w->name, sizeof(w->name), "%s", name);
	put_meta(w, "HELP", suffix);
	put_help(w, help);
	put(w, "\n", 1);
	put_meta(w, "TYPE", suffix);
	put_text(w, type == MB_PROM_INFO && !w->openmetrics ? "gauge" : types[type]);
	put(w, "\n", 1);
	if (w->openmetrics)
		put_unit(w);
}

/* Produce the digits from the right, with the decimal point, and without trailing zeros. */
static void put_number(struct mb_prom *w, uint64_t v, unsigned int decimals)
{
	char digits[48];
	size_t i = sizeof(digits);
	bool shown = false;

	for (unsigned int d = 0; d < decimals; d++) {
		char c = (char)('0' + v % 10);

		v /= 10;
		shown |= c != '0';
		if (shown)
			digits[--i] = c;
	}
	if (shown)
		digits[--i] = '.';
	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	put(w, digits + i, sizeof(digits) - i);
}

static void put_series(struct mb_prom *w, const char *suffix, const char *labels, const char *more)
{
	bool has_labels = labels && labels[0], has_more = more && more[0];

	put_text(w, w->name);
	put_text(w, suffix ? suffix : sample_suffix(w->type));
	if (has_labels || has_more) {
		put(w, "{", 1);
		put_text(w, has_labels ? labels : "");
		put_text(w, has_labels && has_more ? "," : "");
		put_text(w, has_more ? more : "");
		put(w, "}", 1);
	}
	put(w, " ", 1);
}

void mb_prom_sample(struct mb_prom *w, const char *suffix, const char *labels, const char *more, uint64_t v,
		    unsigned int decimals)
{
	put_series(w, suffix, labels, more);
	put_number(w, v, decimals);
	put(w, "\n", 1);
}

void mb_prom_signed(struct mb_prom *w, const char *labels, const char *more, int64_t v)
{
	put_series(w, NULL, labels, more);
	if (v < 0)
		put(w, "-", 1);
	put_number(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 0);
	put(w, "\n", 1);
}

/* Escape one character of a label value. Returns its length in out; *n is set to its length in s. */
static size_t clean(const char *s, char out[4], size_t *n)
{
	unsigned char c = (unsigned char)*s;

	*n = mb_utf8_len(s);
	if (*n == 0) {
		*n = 1;
		memcpy(out, "\xef\xbf\xbd", 3);
		return 3;
	}
	/* U+0080 to U+009F are control characters, too */
	if ((*n == 1 && (c < 0x20 || c == 0x7f)) || (c == 0xc2 && (unsigned char)s[1] < 0xa0)) {
		out[0] = '?';
		return 1;
	}
	if (c == '\\' || c == '"') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	memcpy(out, s, *n);
	return *n;
}

size_t mb_prom_label_room(const char *name, const char *value)
{
	size_t len = strlen(name) + sizeof(",=\"\""), n;
	char out[4];

	for (const char *s = value; *s; s += n)
		len += clean(s, out, &n);
	return len;
}

void mb_prom_label(char *buf, size_t size, size_t *len, const char *name, const char *value)
{
	char out[4];
	size_t n;

	if (*len + mb_prom_label_room(name, value) > size)
		return;
	*len += (size_t)sprintf(buf + *len, "%s%s=\"", *len ? "," : "", name);
	for (const char *s = value; *s; s += n) {
		size_t more = clean(s, out, &n);

		memcpy(buf + *len, out, more);
		*len += more;
	}
	buf[(*len)++] = '"';
	buf[*len] = '\0';
}

/* Join those of n pairs that have a value; the first is always included. */
static char *join(const char *const pairs[][2], size_t n)
{
	size_t size = 0, len = 0;
	char *labels;

	for (size_t i = 0; i < n; i++)
		size += mb_prom_label_room(pairs[i][0], pairs[i][1]);
	labels = malloc(size);
	for (size_t i = 0; labels && i < n; i++) {
		if (!i || pairs[i][1][0])
			mb_prom_label(labels, size, &len, pairs[i][0], pairs[i][1]);
	}
	return labels;
}

char *mb_prom_cgroup_labels(const char *path)
{
	struct mb_container c;

	mb_container_of(path, &c);
	return join((const char *const[][2]){ { "cgroup", path },
					      { "container", c.id },
					      { "pod_uid", c.pod_uid },
					      { "runtime", c.runtime ? c.runtime : "" } },
		    4);
}
