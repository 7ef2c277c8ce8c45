// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Demangles names of C++ and Rust functions. */
#include "symbols/demangle.h"

#include <setjmp.h>
#include <string.h>

#include <libiberty/demangle.h>

/*
 * A mangled name of a hundred bytes can expand to gigabytes. libiberty offers no way to stop it, so
 * the callback leaves with longjmp when the result is too long.
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
