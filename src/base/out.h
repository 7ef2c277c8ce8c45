/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Output of results: a buffered file descriptor that remembers its first write error, and a JSON writer on top of it.
 * Neither stdio nor a JSON library is used, because a trace writes a million lines per second here.
 */
#ifndef MB_BASE_OUT_H
#define MB_BASE_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/units.h"

#define MB_OUT_BUFFER (256 * 1024)
#define MB_JSON_DEPTH 16

struct mb_out {
	const char *path; /* used in error messages */
	int fd;
	int error; /* first write error, a positive errno; nothing is written after it */
	bool is_file; /* mb_out_open() opened the descriptor, so mb_out_close() closes it */
	bool in_memory; /* nothing is written to a descriptor; the buffer grows instead */
	size_t len, size;
	char *buf;
	unsigned int depth;
	bool comma[MB_JSON_DEPTH];
};

/*
 * Open path for writing, created or truncated; NULL means stdout. A regular file gets mode 0600, even if it existed
 * with another mode. Anything else (a pipe, a device), or a file that is open as stdout or stderr, retains its mode.
 * Returns 0 or -errno with *e set.
 */
int mb_out_open(struct mb_out *o, const char *path, struct mb_err *e);

/*
 * Write to fd from now on. The caller keeps ownership of fd; path is used in messages. The buffer is allocated on the
 * first call and reused later; mb_out_close() frees it. Returns 0 or -ENOMEM.
 */
int mb_out_to(struct mb_out *o, int fd, const char *path);

/*
 * mb_out_to_memory() collects the output in memory, up to MB_OUT_MEMORY bytes (more is the error EFBIG). Returns 0 or
 * -ENOMEM. mb_out_take() ends that and returns the text, not NUL-terminated, which the caller frees; or NULL with *e
 * set after an error. Call either mb_out_take() or mb_out_close().
 */
#define MB_OUT_MEMORY (64u << 20)
int mb_out_to_memory(struct mb_out *o);
char *mb_out_take(struct mb_out *o, size_t *len, struct mb_err *e);

/* Write the buffered data. Returns 0, or the negative errno of the first failed write. */
int mb_out_flush(struct mb_out *o);

/* The first failed write as an error: 0 if there is none, else -errno with *e set (MB_EXIT_PIPE after EPIPE). */
int mb_out_failed(const struct mb_out *o, struct mb_err *e);

/* Flush and close. Returns as mb_out_flush(), with *e set. Closing twice is harmless. */
int mb_out_close(struct mb_out *o, struct mb_err *e);

/* Raw and formatted text. */
void mb_out_text(struct mb_out *o, const char *s, size_t len);
void mb_out_printf(struct mb_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * JSON writer. key is NULL inside arrays. Strings are escaped, and bytes that are not UTF-8 become U+FFFD, so that
 * the output is valid whatever name a process has. mb_json_end_line() ends the document.
 */
void mb_json_object(struct mb_out *o, const char *key);
void mb_json_object_end(struct mb_out *o);
void mb_json_array(struct mb_out *o, const char *key);
void mb_json_array_end(struct mb_out *o);
void mb_json_u64(struct mb_out *o, const char *key, uint64_t v);
void mb_json_s64(struct mb_out *o, const char *key, int64_t v);
/*
 * A number of an account (mb_process_value). It is signed, because a field computed as the rest of a total can
 * decrease. MB_NO_VALUE is written as null.
 */
void mb_json_number(struct mb_out *o, const char *key, uint64_t v);
void mb_json_u64_if(struct mb_out *o, const char *key, bool known, uint64_t v); /* null unless known */
void mb_json_bool(struct mb_out *o, const char *key, bool v);
void mb_json_null(struct mb_out *o, const char *key);
void mb_json_str(struct mb_out *o, const char *key, const char *s); /* s NULL: null */
/* v divided by 10^decimals: 1234 with 2 is 12.34. */
void mb_json_fixed(struct mb_out *o, const char *key, uint64_t v, unsigned int decimals);
void mb_json_hex(struct mb_out *o, const char *key, uint64_t v); /* "0x..." */
void mb_json_end_line(struct mb_out *o);

#endif
