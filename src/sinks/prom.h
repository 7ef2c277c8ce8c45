/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Metrics as text: the Prometheus exposition format (0.0.4) and OpenMetrics 1.0.0, written into a growing buffer.
 * Also maps the fields of families to metrics, using only their descriptions (family.h).
 */
#ifndef MB_SINK_PROM_H
#define MB_SINK_PROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/family.h"

/* Content-Type of both formats, and the string in a client's Accept header that requests OpenMetrics. */
#define MB_PROM_CONTENT_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define MB_PROM_CONTENT_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define MB_PROM_ACCEPT_OPENMETRICS "application/openmetrics-text"

enum mb_prom_type { MB_PROM_COUNTER, MB_PROM_GAUGE, MB_PROM_HISTOGRAM, MB_PROM_INFO };

/*
 * A text under construction. A zeroed struct is empty. It can be reused: the buffer is allocated once and grows. text
 * is not NUL-terminated; len bytes are valid.
 */
struct mb_prom {
	char *text;
	size_t len, size;
	bool openmetrics;
	bool failed; /* no memory: text is incomplete and must not be sent */
	enum mb_prom_type type; /* of the current metric family */
	char name[128];
};

/* Start a new text; the buffer is reused. */
void mb_prom_begin(struct mb_prom *w, bool openmetrics);

/* Complete the text. Returns 0, or -ENOMEM: then the text must not be sent. */
int mb_prom_end(struct mb_prom *w);
void mb_prom_free(struct mb_prom *w);

/*
 * Start a metric family: HELP, TYPE, and for OpenMetrics UNIT, which is derived from the end of name. name has no
 * _total or _info; this function adds them where the format requires it.
 */
void mb_prom_family(struct mb_prom *w, enum mb_prom_type type, const char *name, const char *help);

/*
 * Write a sample of the current family: v divided by 10^decimals, exactly. labels come from mb_prom_label(); "" or
 * NULL means none. suffix is "_bucket" etc. for a histogram, else NULL. more is further labels, or NULL.
 */
void mb_prom_sample(struct mb_prom *w, const char *suffix, const char *labels, const char *more, uint64_t v,
		    unsigned int decimals);

/* As mb_prom_sample(), for a value that may be negative. */
void mb_prom_signed(struct mb_prom *w, const char *labels, const char *more, int64_t v);

/*
 * Append name="value" to buf, which already has *len bytes and room for size, with a comma if needed. value is
 * escaped: bytes that are not UTF-8 become U+FFFD and control characters '?'. A label that does not fit is omitted
 * completely; use mb_prom_label_room() to prevent that.
 */
void mb_prom_label(char *buf, size_t size, size_t *len, const char *name, const char *value);
size_t mb_prom_label_room(const char *name, const char *value);

/*
 * The labels of a cgroup: its path, and what the path says about a container. Only this function defines these
 * labels. The caller frees the result; NULL means no memory.
 */
char *mb_prom_cgroup_labels(const char *path);

/* ---- which metric a field is ---- */

/* A column: one label value of one metric, fed by one number of a field. */
struct mb_prom_column {
	const struct mb_family *family;
	const struct mb_field *field;
	unsigned int slot; /* index into the values of a process */
	enum mb_prom_type type;
	char metric[64]; /* without _total; columns of one metric are adjacent */
	char labels[64]; /* label="value", or "" */
	char help[192];
	uint32_t scale; /* multiply by this: pages to bytes */
	uint32_t decimals; /* then divide by 10 to the power of this: ns to seconds */
};

/*
 * All columns of all families; *n is set to their number. Counters become counters, signed fields gauges, a stall
 * becomes a time and a number. Histograms and lists by name are not columns. The caller frees the result; NULL means
 * no memory.
 */
struct mb_prom_column *mb_prom_columns(size_t *n);

#endif
