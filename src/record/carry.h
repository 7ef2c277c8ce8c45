/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Accounts are written only when something has changed. For a process that did nothing, a later tick is carried
 * forward from its last account: levels are copied, and per-tick amounts are zero.
 */
#ifndef MB_RECORD_CARRY_H
#define MB_RECORD_CARRY_H

#include <sqlite3.h>
#include <stdint.h>

#include "record/coverage.h"

/*
 * SQL: whether process p (a row of the table) is still alive at tick ?1. Older builds do not set gone_tick of a
 * process that has exited; there, last_tick is the tick of the exit.
 */
#define MB_LIVES_ON "(p.gone_tick >= ?1 OR (p.gone_tick IS NULL AND NOT (p.exited AND p.last_tick < ?1)))"

/*
 * SQL: the last account of each process before tick ?1. With max() and GROUP BY, SQLite takes all columns from the
 * row of the maximum.
 */
#define MB_LAST_ACCOUNTS "(SELECT max(tick) AS last, * FROM account WHERE tick < ?1 GROUP BY process)"

/*
 * For each column of account except its keys, in order, append ", NAME" to names (may be NULL) and ", EXPRESSION" to
 * values. The expression is the value carried forward for an idle process, computed from MB_LAST_ACCOUNTS. cover: what
 * was counted in the tick, if it has a budget; NULL: not known, then the last account decides.
 */
void mb_carried_columns(sqlite3 *sqlite, const struct mb_coverage *cover, sqlite3_str *names, sqlite3_str *values);

/*
 * Insert a carried account for each process that is alive at the tick and has no account at it, so that everything
 * before the tick can be deleted. Returns a SQLite code.
 */
int mb_carry_to(sqlite3 *sqlite, int64_t tick);

#endif
