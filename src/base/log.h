/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Messages for the user: always on stderr, never mixed with results. */
#ifndef MB_BASE_LOG_H
#define MB_BASE_LOG_H

enum mb_log_level { MB_LOG_QUIET = 0, MB_LOG_NORMAL = 1, MB_LOG_VERBOSE = 2 };

/* Set the level. Called once, when the options have been parsed. */
void mb_log_set_level(enum mb_log_level level);
enum mb_log_level mb_log_level(void);

/* mb_warn() prints a warning (not with --quiet), mb_verbose() prints detail (only with --verbose). One line each. */
void mb_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mb_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
