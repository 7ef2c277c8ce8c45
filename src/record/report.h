/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reports on a period of time in a recording. They use only its tables, so raw records are not needed. */
#ifndef MB_RECORD_REPORT_H
#define MB_RECORD_REPORT_H

#include "memblame/sink.h"
#include "record/reader.h"

struct mb_window {
	sqlite3_int64 first, last; /* ticks */
	bool whole; /* all ticks of the recording */
};

/*
 * Find the ticks from one point in time to another (window.c): those that end after from and not after to. At both
 * ends, a tick that ends late by at most a twentieth of its length still belongs to the time before. Adjacent windows
 * have no tick in common. from and to may be NULL (the start and the end of the recording); UTC or with a zone, as
 * "10:00", "10:00:05+02:00", "2026-01-02T10:00:00Z"; or "+90" (seconds of tracing since its start). A time without a
 * day means the one that is in the recording. In a retained recording it means the last such day; for to, the first
 * one after the start. Returns 0, or -errno with *e set (no such time, an ambiguous time, no tick in the window).
 */
int mb_report_window(struct mb_reader *r, const char *from, const char *to, struct mb_window *w,
		     struct mb_err *e);

/* Write the summary of the window. Returns 0 or -errno with *e set. */
int mb_report_summary(struct mb_reader *r, const struct mb_window *w, const struct mb_sink *sink,
		      struct mb_out *out, struct mb_err *e);

/*
 * Write the window as at most 20 steps with the faults and the stalled time of each: a table, or one line of JSON.
 * Returns 0 or -errno with *e set.
 */
int mb_report_timeline(struct mb_reader *r, const struct mb_window *w, bool json,
		       struct mb_out *out, struct mb_err *e);

/*
 * Write the differences between two recordings, per program and per second. The largest changes come first, as a
 * share of the total of the quantity. The output is a table, or one document of kind "diff". Returns 0 or -errno with
 * *e set.
 */
int mb_report_diff(struct mb_reader *before, struct mb_reader *after, bool json,
		   struct mb_out *out, struct mb_err *e);

/*
 * Write the accounts of the window as CSV (csv.c): a header line, then one line per tick and process that did
 * something in it. The first tick has one line for each live process. Returns 0 or -errno with *e set.
 */
int mb_report_csv(struct mb_reader *r, const struct mb_window *w, struct mb_out *out,
		  struct mb_err *e);

#endif
