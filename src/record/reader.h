/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Reads a recording. The file may come from anywhere, so every byte is checked before use. */
#ifndef MB_RECORD_READER_H
#define MB_RECORD_READER_H

#include <sqlite3.h>

#include "model/ingest.h"
#include "record/db.h"

struct mb_reader;

/*
 * Open a recording. Returns 0, or -errno with *e describing the problem (missing, not a database, not a recording,
 * damaged, written by a newer memblame). Call mb_reader_close() in either case.
 */
int mb_reader_open(struct mb_reader **out, const char *path, struct mb_err *e);
void mb_reader_close(struct mb_reader *r);

/* The database handle, for queries. Owned by the reader. */
sqlite3 *mb_reader_sqlite(struct mb_reader *r);

/*
 * Prepare a query, with ?1 and ?2 bound to a range of ticks (for a query that has them). The caller finalizes it.
 * Returns NULL if it cannot be prepared: mb_reader_damaged() says why.
 */
sqlite3_stmt *mb_reader_query(struct mb_reader *r, const char *sql, sqlite3_int64 first, sqlite3_int64 last);

/* Set *e to say that the file cannot be used, including SQLite's last error. Returns -EINVAL. */
int mb_reader_damaged(struct mb_reader *r, struct mb_err *e);

/* The value of a key in table info, or NULL. Valid until the next call or until closed. */
const char *mb_reader_info(struct mb_reader *r, const char *key);

/* Whether the recording is a retained one: several sessions, oldest ticks deleted. */
bool mb_reader_is_retained(struct mb_reader *r);

/* Whether a table has the column. Recordings of older builds lack some columns. */
bool mb_reader_has(struct mb_reader *r, const char *table, const char *column);

/* As mb_reader_info(), for the session that contains the tick. Valid until the next call. */
const char *mb_reader_session(struct mb_reader *r, sqlite3_int64 tick, const char *key);

/*
 * Traced time in ns from the first to the last of these ticks, without gaps between sessions. Returns 0 or -errno
 * with *e set.
 */
int mb_reader_duration(struct mb_reader *r, sqlite3_int64 first, sqlite3_int64 last, uint64_t *ns,
		       struct mb_err *e);

/* Number of chunks of raw records that were dropped because the disk was too slow; -1 if that is not known. */
long long mb_reader_missing(struct mb_reader *r);

/* Called for each record. A return value other than 0 ends the reading. */
typedef int (*mb_ingest_sink)(void *arg, enum mb_ingest_type type, const void *data, size_t len);

/*
 * Read all raw records in order. Returns 0 at the end, the value that take returned, or -errno with *e set: the
 * recording has no raw records (made without --raw), its events have another layout, or it is damaged.
 */
int mb_reader_records(struct mb_reader *r, mb_ingest_sink take, void *arg, struct mb_err *e);

/* Read one chunk of records, already decompressed: for mb_reader_records() and the fuzzer. */
int mb_reader_chunk(const void *data, size_t size, mb_ingest_sink take, void *arg);

#endif
