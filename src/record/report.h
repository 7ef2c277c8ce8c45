/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What a recording says of some time in it, out of its tables: no raw frames are needed. */
#ifndef MB_RECORD_REPORT_H
#define MB_RECORD_REPORT_H

#include "memblame/sink.h"
#include "record/reader.h"

struct mb_window {
	sqlite3_int64 first, last; /* ticks */
	bool whole; /* all there are */
};

/*
 * The ticks from one time to another (window.c): those that end after from, and not after to, a twentieth of a tick
 * late included. Two windows that meet have each tick once. from, to: NULL; UTC or with a zone as "10:00",
 * "10:00:05+02:00", "2026-01-02T10:00:00Z"; or "+90" (seconds of tracing since its start). A time without a day is
 * the one that lies in the recording; of a recording that is kept the last such, and of an end the first after the
 * start. Returns 0, or -errno with *e set (no such time, more than one such, nothing in it).
 */
int mb_report_window(struct mb_reader *r, const char *from, const char *to, struct mb_window *w,
		     struct mb_err *e);

/* Write the summary of the window. Returns 0 or -errno with *e set. */
int mb_report_summary(struct mb_reader *r, const struct mb_window *w, const struct mb_sink *sink,
		      struct mb_out *out, struct mb_err *e);

/* Write the window in at most 20 steps: faults and time lost in each. A table, or a line of JSON. */
int mb_report_timeline(struct mb_reader *r, const struct mb_window *w, bool json,
		       struct mb_out *out, struct mb_err *e);

/*
 * Write what differs between two recordings, per program and second; first what changed most, by its
 * share of all there is of that quantity. A table, or one document of kind "diff".
 */
int mb_report_diff(struct mb_reader *before, struct mb_reader *after, bool json,
		   struct mb_out *out, struct mb_err *e);

/*
 * Write the accounts of the window as CSV (csv.c): names, then a line per tick and process that did something in it; at
 * the first tick, one for each process that lives.
 */
int mb_report_csv(struct mb_reader *r, const struct mb_window *w, struct mb_out *out,
		  struct mb_err *e);

#endif
