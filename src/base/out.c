// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Output of results: a buffered file descriptor, and a JSON writer on top of it. */
#include "base/out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"

/* Whether the file is the one that the shell opened for this standard stream (-o /dev/stdout). */
static bool is_stream(const struct stat *file, int stream)
{
	struct stat st;

	return !fstat(stream, &st) && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

/*
 * Truncate an existing file and make it accessible by its owner only: O_CREAT does not change the mode of an existing
 * file.
 */
static int claim_file(struct mb_out *o, struct mb_err *e)
{
	struct stat st;

	if (fstat(o->fd, &st))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot write to '%s'", o->path);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (!is_stream(&st, STDOUT_FILENO) && !is_stream(&st, STDERR_FILENO) &&
	    (st.st_mode & 07777) != 0600 && fchmod(o->fd, 0600))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot make '%s' readable by its owner only",
				  o->path);
	if (st.st_size && ftruncate(o->fd, 0))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot empty '%s'", o->path);
	return 0;
}

int mb_out_open(struct mb_out *o, const char *path, struct mb_err *e)
{
	memset(o, 0, sizeof(*o));
	o->fd = STDOUT_FILENO;
	o->path = "standard output";
	o->buf = malloc(MB_OUT_BUFFER);
	o->size = MB_OUT_BUFFER;
	if (!o->buf)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for the output buffer");
	if (!path)
		return 0;
	o->path = path;
	o->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (o->fd < 0)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot write to '%s'", path);
	o->is_file = true;
	return claim_file(o, e);
}

int mb_out_to(struct mb_out *o, int fd, const char *path)
{
	char *buf = o->buf ? o->buf : malloc(MB_OUT_BUFFER);

	memset(o, 0, sizeof(*o));
	o->buf = buf;
	o->size = MB_OUT_BUFFER;
	o->fd = fd;
	o->path = path;
	return buf ? 0 : -ENOMEM;
}

int mb_out_to_memory(struct mb_out *o)
{
	memset(o, 0, sizeof(*o));
	o->fd = -1;
	o->path = "memory";
	o->in_memory = true;
	o->size = 4096;
	o->buf = malloc(o->size);
	return o->buf ? 0 : -ENOMEM;
}

char *mb_out_take(struct mb_out *o, size_t *len, struct mb_err *e)
{
	char *text = o->error ? NULL : o->buf;

	if (o->error) {
		mb_err_set(e, MB_EXIT_FAILED, o->error, "no memory for an answer");
		free(o->buf);
	}
	*len = text ? o->len : 0;
	o->buf = NULL;
	return text;
}

/* Make room for len more bytes. Returns false with o->error set if there is none. */
static bool grow(struct mb_out *o, size_t len)
{
	size_t size = o->size;
	char *bigger = NULL;

	if (o->error)
		return false;
	if (len <= o->size - o->len)
		return true;
	while (size - o->len < len && size < MB_OUT_MEMORY)
		size *= 2;
	if (size - o->len >= len)
		bigger = realloc(o->buf, size);
	if (!bigger) {
		o->error = size < MB_OUT_MEMORY ? ENOMEM : EFBIG;
		return false;
	}
	o->buf = bigger;
	o->size = size;
	return true;
}

int mb_out_flush(struct mb_out *o)
{
	size_t done = 0;

	if (o->in_memory)
		return -o->error;
	while (!o->error && done < o->len) {
		ssize_t n = write(o->fd, o->buf + done, o->len - done);

		if (n < 0 && errno != EINTR)
			o->error = errno;
		else if (n > 0)
			done += (size_t)n;
	}
	o->len = 0;
	return -o->error;
}

int mb_out_failed(const struct mb_out *o, struct mb_err *e)
{
	if (!o->error)
		return 0;
	return mb_err_set(e, o->error == EPIPE ? MB_EXIT_PIPE : MB_EXIT_FAILED, o->error, "writing to '%s' failed",
			  o->path);
}

int mb_out_close(struct mb_out *o, struct mb_err *e)
{
	if (!o->buf)
		return 0;
	mb_out_flush(o);
	/* close can be the first to report a full disk */
	if (o->is_file && o->fd >= 0 && close(o->fd) && !o->error)
		o->error = errno;
	o->fd = -1;
	free(o->buf);
	o->buf = NULL;
	return mb_out_failed(o, e);
}

void mb_out_text(struct mb_out *o, const char *s, size_t len)
{
	if (!o->buf || (o->in_memory && !grow(o, len)))
		return;
	while (len > o->size - o->len) {
		size_t part = o->size - o->len;

		memcpy(o->buf + o->len, s, part);
		o->len += part;
		s += part;
		len -= part;
		mb_out_flush(o);
	}
	memcpy(o->buf + o->len, s, len);
	o->len += len;
}

void mb_out_printf(struct mb_out *o, const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		mb_out_text(o, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void put(struct mb_out *o, char c)
{
	mb_out_text(o, &c, 1);
}

static void json_key(struct mb_out *o, const char *key)
{
	if (o->depth && o->comma[o->depth - 1])
		put(o, ',');
	if (o->depth)
		o->comma[o->depth - 1] = true;
	if (!key)
		return;
	put(o, '"');
	mb_out_text(o, key, strlen(key));
	mb_out_text(o, "\":", 2);
}

static void json_open(struct mb_out *o, const char *key, char bracket)
{
	json_key(o, key);
	put(o, bracket);
	if (o->depth < MB_JSON_DEPTH)
		o->comma[o->depth++] = false;
}

static void json_close(struct mb_out *o, char bracket)
{
	put(o, bracket);
	if (o->depth)
		o->depth--;
}

void mb_json_object(struct mb_out *o, const char *key)
{
	json_open(o, key, '{');
}

void mb_json_object_end(struct mb_out *o)
{
	json_close(o, '}');
}

void mb_json_array(struct mb_out *o, const char *key)
{
	json_open(o, key, '[');
}

void mb_json_array_end(struct mb_out *o)
{
	json_close(o, ']');
}

void mb_json_u64(struct mb_out *o, const char *key, uint64_t v)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	json_key(o, key);
	mb_out_text(o, digits + i, sizeof(digits) - i);
}

void mb_json_s64(struct mb_out *o, const char *key, int64_t v)
{
	if (v >= 0) {
		mb_json_u64(o, key, (uint64_t)v);
		return;
	}
	json_key(o, key);
	mb_out_printf(o, "%lld", (long long)v);
}

void mb_json_number(struct mb_out *o, const char *key, uint64_t v)
{
	if (v == MB_NO_VALUE)
		mb_json_null(o, key);
	else
		mb_json_s64(o, key, (int64_t)v);
}

void mb_json_fixed(struct mb_out *o, const char *key, uint64_t v, unsigned int decimals)
{
	unsigned long long unit = 1;

	for (unsigned int i = 0; i < decimals; i++)
		unit *= 10;
	json_key(o, key);
	mb_out_printf(o, "%llu.%0*llu", (unsigned long long)v / unit, (int)decimals,
		      (unsigned long long)v % unit);
}

void mb_json_u64_if(struct mb_out *o, const char *key, bool known, uint64_t v)
{
	if (known)
		mb_json_u64(o, key, v);
	else
		mb_json_null(o, key);
}

void mb_json_bool(struct mb_out *o, const char *key, bool v)
{
	json_key(o, key);
	mb_out_text(o, v ? "true" : "false", v ? 4 : 5);
}

void mb_json_null(struct mb_out *o, const char *key)
{
	json_key(o, key);
	mb_out_text(o, "null", 4);
}

void mb_json_hex(struct mb_out *o, const char *key, uint64_t v)
{
	static const char hex[] = "0123456789abcdef";
	char text[18];
	size_t i = sizeof(text);

	text[--i] = '"';
	do {
		text[--i] = hex[v & 15];
		v >>= 4;
	} while (v && i > 0);
	json_key(o, key);
	mb_out_text(o, "\"0x", 3);
	mb_out_text(o, text + i, sizeof(text) - i);
}

void mb_json_str(struct mb_out *o, const char *key, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	if (!s) {
		mb_json_null(o, key);
		return;
	}
	json_key(o, key);
	put(o, '"');
	while (*p) {
		size_t n = mb_utf8_len((const char *)p);

		if (n == 0) {
			mb_out_text(o, "\xef\xbf\xbd", 3);
			n = 1;
		} else if (*p == '"' || *p == '\\') {
			put(o, '\\');
			put(o, (char)*p);
		} else if (*p < 0x20) {
			mb_out_printf(o, "\\u%04x", *p);
		} else {
			mb_out_text(o, (const char *)p, n);
		}
		p += n;
	}
	put(o, '"');
}

void mb_json_end_line(struct mb_out *o)
{
	o->depth = 0;
	o->comma[0] = false;
	put(o, '\n');
}
