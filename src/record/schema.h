/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The tables of a recording, and the statements that insert rows. */
#ifndef MB_RECORD_SCHEMA_H
#define MB_RECORD_SCHEMA_H

#include <sqlite3.h>

#include "record/db.h"

/*
 * Create missing tables in one transaction; in a retained recording also add columns that are new in this build.
 * Returns a SQLite code.
 */
int mb_schema_make(sqlite3 *sqlite, bool retained);

/* Prepare the statement for each kind of row; columns are matched by name. Returns a SQLite code. */
int mb_schema_prepare(sqlite3 *sqlite, sqlite3_stmt *insert[MB_TABLES]);

#endif
