// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Names of C++ and Rust functions as people write them. */
#include "symbols/demangle.h"

#include <setjmp.h>
#include <string.h>

#include <libiberty/demangle.h>

/*
 * A name of a hundred bytes can stand for one of gigabytes. libiberty has no way to stop but this: the callback
 * does not return once there is too much.
 */
struct text {
	char *buf;
	size_t size, len;
	jmp_buf too_long;
};

static void append(const char *part, size_t len, void *arg)
{
	struct text *t = arg;

	if (len >= t->size - t->len)
		longjmp(t->too_long, 1);
	memcpy(t->buf + t->len, part, len);
	t->len += len;
}

bool mb_demangle(const char *name, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };
	bool ok;

	if (strncmp(name, "_Z", 2) && strncmp(name, "_R", 2))
		return false;
	if (setjmp(t.too_long))
		return false;
	ok = rust_demangle_callback(name, DMGL_NO_OPTS, append, &t);
	if (!ok) {
		t.len = 0;
		ok = cplus_demangle_v3_callback(name, DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP, append, &t);
	}
	if (!ok || !t.len)
		return false;
	buf[t.len] = '\0';
	return true;
}
