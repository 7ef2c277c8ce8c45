/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reading a recording, which may come from anywhere: every byte of it is checked before use. */
#ifndef MB_RECORD_READER_H
#define MB_RECORD_READER_H

#include <sqlite3.h>

#include "model/ingest.h"
#include "record/db.h"

struct mb_reader;

/*
 * Open a recording. Returns 0, or -errno with *e saying what is wrong with it (not there, no database,
 * no recording, damaged, of a newer memblame). Close it in either case.
 */
int mb_reader_open(struct mb_reader **out, const char *path, struct mb_err *e);
void mb_reader_close(struct mb_reader *r);

/* The database, for queries. */
sqlite3 *mb_reader_sqlite(struct mb_reader *r);

/* Set *e to say that the file cannot be used, with SQLite's last error. Returns -EINVAL. */
int mb_reader_damaged(struct mb_reader *r, struct mb_err *e);

/* Something known once (table info); NULL where it is not there. Valid until closed or asked again. */
const char *mb_reader_info(struct mb_reader *r, const char *key);

/* Is it a recording that is kept: of several sessions, without its oldest ticks? */
bool mb_reader_is_retained(struct mb_reader *r);

/* Has a table that column? Those of older builds lack some. */
bool mb_reader_has(struct mb_reader *r, const char *table, const char *column);

/* As mb_reader_info(), of the session that had a tick. Valid until asked again. */
const char *mb_reader_session(struct mb_reader *r, sqlite3_int64 tick, const char *key);

/* Time traced from the first of these ticks to the last, without gaps between sessions. */
int mb_reader_duration(struct mb_reader *r, sqlite3_int64 first, sqlite3_int64 last, uint64_t *ns,
		       struct mb_err *e);

/* Chunks of raw records that the recorder could not keep, the disk being too slow; -1: cannot be told. */
long long mb_reader_missing(struct mb_reader *r);

/* Called for each record; a value other than 0 ends the reading. */
typedef int (*mb_ingest_sink)(void *arg, enum mb_ingest_type type, const void *data, size_t len);

/*
 * All raw records in order. Returns 0 at their end, what take returned, or -errno with *e set: recorded
 * without --raw, by a build whose events look different, or damaged.
 */
int mb_reader_records(struct mb_reader *r, mb_ingest_sink take, void *arg, struct mb_err *e);

/* The same for one chunk of records as it is stored, unpacked: for mb_reader_records, and the fuzzer. */
int mb_reader_chunk(const void *data, size_t size, mb_ingest_sink take, void *arg);

#endif
