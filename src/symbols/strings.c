// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A pool that stores each string once. */
#include "symbols/strings.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#define POOL_BYTES (64u << 20)

struct mb_string {
	UT_hash_handle hh;
	char text[];
};

const char *mb_strings_keep(struct mb_strings *p, const char *s)
{
	struct mb_string *e = NULL;
	size_t len;

	if (!s)
		return NULL;
	len = strlen(s);
	HASH_FIND(hh, p->all, s, len, e);
	if (e)
		return e->text;
	if (p->bytes + len + sizeof(*e) > POOL_BYTES || !(e = malloc(sizeof(*e) + len + 1)))
		return NULL;
	memcpy(e->text, s, len + 1);
	HASH_ADD_KEYPTR(hh, p->all, e->text, len, e);
	p->bytes += len + sizeof(*e);
	return e->text;
}

void mb_strings_free(struct mb_strings *p)
{
	struct mb_string *e, *next;

	HASH_ITER(hh, p->all, e, next)
	{
		HASH_DEL(p->all, e);
		free(e);
	}
	p->bytes = 0;
}
