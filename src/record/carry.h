/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Accounts are written where something has changed. What a process that does nothing has at a later tick is carried
 * from its last account: levels as they were, and nothing of what comes in a tick.
 */
#ifndef MB_RECORD_CARRY_H
#define MB_RECORD_CARRY_H

#include <sqlite3.h>
#include <stdint.h>

/*
 * SQL: does process p (a row of the table) live on at tick ?1? Builds before the last tick was written of who has exited
 * have the tick of that, and nothing more.
 */
#define MB_LIVES_ON "(p.gone_tick >= ?1 OR (p.gone_tick IS NULL AND NOT (p.exited AND p.last_tick < ?1)))"

/* SQL: the last account of each process before tick ?1. With max() of a group, SQLite takes all columns of that row. */
#define MB_LAST_ACCOUNTS "(SELECT max(tick) AS last, * FROM account WHERE tick < ?1 GROUP BY process)"

/*
 * Append ", NAME" to names (NULL: not asked for) and ", EXPRESSION" to values for each column of account but its keys, in
 * order: what a process that did nothing since has of it, out of MB_LAST_ACCOUNTS.
 */
void mb_carried_columns(sqlite3 *sqlite, sqlite3_str *names, sqlite3_str *values);

/*
 * Give each process that lives on at a tick, and has no account at it, one that is carried from before it: all that is
 * before can go then. Returns a SQLite code.
 */
int mb_carry_to(sqlite3 *sqlite, int64_t tick);

#endif
