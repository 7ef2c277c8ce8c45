// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Kernel functions by address. */
#include "symbols/kallsyms.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/kallsyms_line.h"

/* Maximum size of a function; an address further from the symbol before it belongs to unnamed code. */
#define LARGEST (1u << 20)

#define PAGE 4096u

struct symbol {
	uint64_t address;
	uint32_t name; /* offset in names */
	uint32_t module; /* hash of the module's name; 0: the kernel itself */
};

struct table {
	struct symbol *symbols;
	size_t n, room;
	char *names;
	size_t names_len, names_room;
};

struct mb_kallsyms {
	struct table t;
	FILE *file, *modules; /* modules NULL: the kernel has no module support */
	uint64_t modules_hash; /* hash of the modules' names and sizes when t was read */
};

static void table_free(struct table *t)
{
	free(t->symbols);
	free(t->names);
	memset(t, 0, sizeof(*t));
}

void mb_kallsyms_close(struct mb_kallsyms *k)
{
	if (!k)
		return;
	table_free(&k->t);
	if (k->file)
		fclose(k->file);
	if (k->modules)
		fclose(k->modules);
	free(k);
}

static bool make_room(void **list, size_t *room, size_t need, size_t size)
{
	size_t more = *room ? *room * 2 : 64 * 1024;
	void *bigger;

	if (need <= *room)
		return true;
	bigger = realloc(*list, more * size);
	if (!bigger)
		return false;
	*list = bigger;
	*room = more;
	return true;
}

static bool add(struct table *k, uint64_t address, const char *name, const char *module)
{
	size_t len = strlen(name) + 1;

	if (!make_room((void **)&k->symbols, &k->room, k->n + 1, sizeof(*k->symbols)) ||
	    !make_room((void **)&k->names, &k->names_room, k->names_len + len, 1))
		return false;
	k->symbols[k->n++] = (struct symbol){
		.address = address,
		.name = (uint32_t)k->names_len,
		.module = *module ? (uint32_t)mb_hash_text(MB_HASH_BEGIN, module) | 1 : 0,
	};
	memcpy(k->names + k->names_len, name, len);
	k->names_len += len;
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* Read the symbols. Returns false if out of memory, or if there is nothing to read. */
static bool read_table(FILE *f, struct table *t)
{
	struct mb_kallsyms_line l;
	bool ok = true;

	rewind(f);
	while (ok && mb_kallsyms_line_next(f, &l)) {
		if (l.type == 't' || l.type == 'w')
			ok = add(t, l.address, l.name, l.module);
	}
	if (!ok || !t->n) {
		table_free(t);
		return false;
	}
	qsort(t->symbols, t->n, sizeof(*t->symbols), by_address);
	return true;
}

/* Hash the "name size" part of each line; the other fields change while a module stays loaded. */
static uint64_t hash_modules(FILE *f)
{
	uint64_t h = MB_HASH_BEGIN;
	char line[4096];

	if (!f)
		return 0;
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		const char *users = strchr(line, ' ') ? strchr(strchr(line, ' ') + 1, ' ') : NULL;

		if (users)
			h = mb_hash(h, line, (size_t)(users - line));
	}
	return h;
}

struct mb_kallsyms *mb_kallsyms_open_files(const char *kallsyms, const char *modules)
{
	struct mb_kallsyms *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->file = fopen(kallsyms, "re");
	k->modules = fopen(modules, "re");
	k->modules_hash = hash_modules(k->modules);
	if (!k->file || !read_table(k->file, &k->t)) {
		mb_kallsyms_close(k);
		return NULL;
	}
	return k;
}

struct mb_kallsyms *mb_kallsyms_open(void)
{
	return mb_kallsyms_open_files("/proc/kallsyms", "/proc/modules");
}

void mb_kallsyms_refresh(struct mb_kallsyms *k)
{
	uint64_t hash = k ? hash_modules(k->modules) : 0;
	struct table now = { 0 };

	if (!k || hash == k->modules_hash || !read_table(k->file, &now))
		return;
	table_free(&k->t);
	k->t = now;
	k->modules_hash = hash;
}

/*
 * End of the function that begins at symbol i, as far as it is known. The last function of a module ends on its page:
 * the next pages may have been the module's code for its start, which is gone, and has no names any more.
 */
static uint64_t end_of(const struct table *t, size_t i)
{
	const struct symbol *s = &t->symbols[i];
	bool last = i + 1 == t->n || t->symbols[i + 1].module != s->module;

	return s->module && last ? (s->address | (PAGE - 1)) + 1 : s->address + LARGEST;
}

const char *mb_kallsyms_name(const struct mb_kallsyms *k, uint64_t address, char *buf, size_t size)
{
	const struct table *t = k ? &k->t : NULL;
	size_t from = 0, to = t ? t->n : 0;

	buf[0] = '\0';
	/* find the last function that starts at or before address */
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (t->symbols[middle].address <= address)
			from = middle + 1;
		else
			to = middle;
	}
	if (from && address < end_of(t, from - 1))
		snprintf(buf, size, "%s+0x%llx", t->names + t->symbols[from - 1].name,
			 (unsigned long long)(address - t->symbols[from - 1].address));
	return buf;
}
