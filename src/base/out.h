/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Where results go: a buffered file descriptor that remembers its first write error, and a
 * JSON writer on top. Not stdio and not a JSON library, because a trace writes a million
 * lines a second here.
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
	const char *path; /* for messages */
	int fd;
	int error; /* first write error, positive errno; after it nothing is written */
	bool is_file; /* we opened it and close it */
	bool in_memory; /* it is not written anywhere; the buffer grows */
	size_t len, size;
	char *buf;
	unsigned int depth;
	bool comma[MB_JSON_DEPTH];
};

/*
 * Open path for writing, created or emptied; NULL means stdout. A file has mode 0600 afterwards, also where it
 * was there before with another one; what is no file (a pipe, a device), or is open as stdout or stderr, keeps its mode.
 * Returns 0 or -errno with *e set.
 */
int mb_out_open(struct mb_out *o, const char *path, struct mb_err *e);

/*
 * Write to this descriptor from now on, which stays the caller's; path is for messages. The buffer, taken the
 * first time, is used again: mb_out_close() frees it. Returns 0 or -ENOMEM.
 */
int mb_out_to(struct mb_out *o, int fd, const char *path);

/*
 * Keep all that is written, up to MB_OUT_MEMORY (more is the error EFBIG), for mb_out_take(), which gives
 * the text, not terminated, to the caller, who frees it; NULL and *e set where there was an error. Call it, or
 * mb_out_close(). Returns 0 or -ENOMEM.
 */
#define MB_OUT_MEMORY (64u << 20)
int mb_out_to_memory(struct mb_out *o);
char *mb_out_take(struct mb_out *o, size_t *len, struct mb_err *e);

/* Write out what is buffered. Returns 0, or the negative errno of the first failed write. */
int mb_out_flush(struct mb_out *o);

/* Flush and close. Returns as mb_out_flush, with *e set; closing twice is harmless. */
int mb_out_close(struct mb_out *o, struct mb_err *e);

/* Raw and formatted text. */
void mb_out_text(struct mb_out *o, const char *s, size_t len);
void mb_out_printf(struct mb_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * JSON. key is NULL inside arrays. Strings are escaped; bytes that are not UTF-8 become U+FFFD,
 * so that the output is valid whatever a process is called. mb_json_end_line ends the document.
 */
void mb_json_object(struct mb_out *o, const char *key);
void mb_json_object_end(struct mb_out *o);
void mb_json_array(struct mb_out *o, const char *key);
void mb_json_array_end(struct mb_out *o);
void mb_json_u64(struct mb_out *o, const char *key, uint64_t v);
void mb_json_s64(struct mb_out *o, const char *key, int64_t v);
/*
 * A number of an account (mb_process_value): signed, as what is left of a total can shrink; MB_NO_VALUE is null.
 */
void mb_json_number(struct mb_out *o, const char *key, uint64_t v);
void mb_json_u64_if(struct mb_out *o, const char *key, bool known, uint64_t v); /* else null */
void mb_json_bool(struct mb_out *o, const char *key, bool v);
void mb_json_null(struct mb_out *o, const char *key);
void mb_json_str(struct mb_out *o, const char *key, const char *s); /* s NULL: null */
/* v divided by 10^decimals: 1234 with 2 is 12.34. */
void mb_json_fixed(struct mb_out *o, const char *key, uint64_t v, unsigned int decimals);
void mb_json_hex(struct mb_out *o, const char *key, uint64_t v); /* "0x..." */
void mb_json_end_line(struct mb_out *o);

#endif
