/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* One error: what failed, on what, what to do about it, and the exit status it means. */
#ifndef MB_BASE_ERR_H
#define MB_BASE_ERR_H

/* Exit statuses of memblame, as docs/man says. */
enum mb_exit {
	MB_EXIT_OK = 0,
	MB_EXIT_FAILED = 1,
	MB_EXIT_USAGE = 2,
	MB_EXIT_UNSUPPORTED = 3,
	MB_EXIT_NOT_EXECUTABLE = 126,
	MB_EXIT_NOT_FOUND = 127,
};

/* Owned by whoever runs the command; the first error set is kept, later ones are its echo. */
struct mb_err {
	enum mb_exit exit;
	char text[512];
};

/*
 * Record an error. err: a positive or negative errno, or 0 where none applies; its text is
 * appended. Returns -errno (-EINVAL for 0), so that callers can "return mb_err_set(...)".
 */
int mb_err_set(struct mb_err *e, enum mb_exit exit, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
