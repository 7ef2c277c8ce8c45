/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* One error: what failed, on what, what to do about it, and the exit status. */
#ifndef MB_BASE_ERR_H
#define MB_BASE_ERR_H

/* Exit statuses of memblame, as documented in docs/man. */
enum mb_exit {
	MB_EXIT_OK = 0,
	MB_EXIT_FAILED = 1,
	MB_EXIT_USAGE = 2,
	MB_EXIT_UNSUPPORTED = 3,
	MB_EXIT_NOT_EXECUTABLE = 126,
	MB_EXIT_NOT_FOUND = 127,
	MB_EXIT_PIPE = 141, /* nobody reads the output any more: ends by SIGPIPE, without a message */
};

/* Owned by the code that runs the command. The first error is retained: later ones are only its consequences. */
struct mb_err {
	enum mb_exit exit;
	char text[512];
};

/*
 * Record an error. err is a positive or negative errno, whose text is appended, or 0 if none applies. Returns -errno
 * (-EINVAL for 0), so that callers can "return mb_err_set(...)".
 */
int mb_err_set(struct mb_err *e, enum mb_exit exit, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
