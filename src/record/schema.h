/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The tables of a recording, and how rows get into them. */
#ifndef MB_RECORD_SCHEMA_H
#define MB_RECORD_SCHEMA_H

#include <sqlite3.h>

#include "record/db.h"

/*
 * Make the tables that are not there, in one transaction, and in a kept recording the columns that a newer
 * memblame has come to know. Returns a SQLite code.
 */
int mb_schema_make(sqlite3 *sqlite, bool retained);

/* Prepare the statement of each kind of row; columns go by name. Returns a SQLite code. */
int mb_schema_prepare(sqlite3 *sqlite, sqlite3_stmt *insert[MB_TABLES]);

#endif
