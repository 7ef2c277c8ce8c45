/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Metrics as text: the exposition format of Prometheus (0.0.4) and OpenMetrics 1.0.0, into memory that
 * grows; and which metric a field of a family is, by its description (family.h) only.
 */
#ifndef MB_SINK_PROM_H
#define MB_SINK_PROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memblame/family.h"

/* Content-Type of the two, and what a client's Accept header contains that wants the second. */
#define MB_PROM_CONTENT_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define MB_PROM_CONTENT_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define MB_PROM_ACCEPT_OPENMETRICS "application/openmetrics-text"

enum mb_prom_type { MB_PROM_COUNTER, MB_PROM_GAUGE, MB_PROM_HISTOGRAM, MB_PROM_INFO };

/*
 * One text. All 0 is an empty one; it can be written again and again, its memory is used again. text is not
 * terminated by a NUL: len bytes of it count.
 */
struct mb_prom {
	char *text;
	size_t len, size;
	bool openmetrics;
	bool failed; /* no memory: what is there is not whole and must not be sent */
	enum mb_prom_type type; /* of the family begun last */
	char name[128];
};

/* Begin a text anew. */
void mb_prom_begin(struct mb_prom *w, bool openmetrics);

/* It is complete. Returns 0, or -ENOMEM: what is there must not be sent. */
int mb_prom_end(struct mb_prom *w);
void mb_prom_free(struct mb_prom *w);

/*
 * Begin a metric family: HELP, TYPE, and for OpenMetrics UNIT, which is told by the end of its name. name is
 * without _total and _info; which of these a format wants, and where, is known here.
 */
void mb_prom_family(struct mb_prom *w, enum mb_prom_type type, const char *name, const char *help);

/*
 * One series of that family: v divided by 10^decimals, exactly. labels: as made by mb_prom_label(), "" or NULL:
 * none. suffix: "_bucket" and so on of a histogram, else NULL. more: labels that follow; or NULL.
 */
void mb_prom_sample(struct mb_prom *w, const char *suffix, const char *labels, const char *more, uint64_t v,
		    unsigned int decimals);

/* The same of a number that may be negative. */
void mb_prom_signed(struct mb_prom *w, const char *labels, const char *more, int64_t v);

/*
 * Append name="value" to buf, which has *len bytes already and room for size, behind a comma if there is
 * something before it. The value may be anything: it is escaped, bytes that are not UTF-8 become U+FFFD and
 * control characters '?'. What there is no room for is left out whole, which mb_prom_label_room() avoids.
 */
void mb_prom_label(char *buf, size_t size, size_t *len, const char *name, const char *value);
size_t mb_prom_label_room(const char *name, const char *value);

/*
 * The labels of a cgroup: its path, and what the path tells of a container. This is the one place that
 * decides on them. The caller frees them; NULL: no memory.
 */
char *mb_prom_cgroup_labels(const char *path);

/* ---- which metric a field is ---- */

/* One label value of one metric that a number of a field goes to. */
struct mb_prom_column {
	const struct mb_family *family;
	const struct mb_field *field;
	unsigned int slot; /* in the values of a process */
	enum mb_prom_type type;
	char metric[64]; /* without _total; columns of one metric stand together */
	char labels[64]; /* label="value", or "" */
	char help[192];
	uint32_t scale; /* multiply by this: pages to bytes */
	uint32_t decimals; /* and divide by 10 to the power of this: ns to seconds */
};

/*
 * All columns of all families; *n is set to their number. Counters become counters, signed fields gauges, a
 * stall becomes time and number. Histograms and lists by name are no columns. The caller frees them; NULL: no
 * memory.
 */
struct mb_prom_column *mb_prom_columns(size_t *n);

#endif
