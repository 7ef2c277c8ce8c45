// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The kernel's functions by address. */
#include "symbols/kallsyms.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No function is larger; an address further behind one is in what the file does not name. */
#define LARGEST (1u << 20)

struct symbol {
	uint64_t address;
	uint32_t name; /* offset in names */
};

struct mb_kallsyms {
	struct symbol *symbols;
	size_t n, room;
	char *names;
	size_t names_len, names_room;
};

void mb_kallsyms_close(struct mb_kallsyms *k)
{
	if (!k)
		return;
	free(k->symbols);
	free(k->names);
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

static bool add(struct mb_kallsyms *k, uint64_t address, const char *name)
{
	size_t len = strlen(name) + 1;

	if (!make_room((void **)&k->symbols, &k->room, k->n + 1, sizeof(*k->symbols)) ||
	    !make_room((void **)&k->names, &k->names_room, k->names_len + len, 1))
		return false;
	k->symbols[k->n++] = (struct symbol){ address, (uint32_t)k->names_len };
	memcpy(k->names + k->names_len, name, len);
	k->names_len += len;
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

struct mb_kallsyms *mb_kallsyms_open(void)
{
	struct mb_kallsyms *k = calloc(1, sizeof(*k));
	FILE *f = fopen("/proc/kallsyms", "re");
	bool ok = k && f;
	char line[512];

	while (ok && fgets(line, sizeof(line), f)) {
		char *end, *name;
		uint64_t address = strtoull(line, &end, 16);

		/* "ffffffff81000000 T name\t[module]" */
		if (!address || end[0] != ' ' || !strchr("tw", tolower((unsigned char)end[1])) || end[2] != ' ')
			continue;
		name = end + 3;
		name[strcspn(name, " \t\n")] = '\0';
		ok = add(k, address, name);
	}
	if (f)
		fclose(f);
	if (!ok || !k->n) {
		mb_kallsyms_close(k);
		return NULL;
	}
	qsort(k->symbols, k->n, sizeof(*k->symbols), by_address);
	return k;
}

const char *mb_kallsyms_name(const struct mb_kallsyms *k, uint64_t address, char *buf, size_t size)
{
	size_t from = 0, to = k ? k->n : 0;

	buf[0] = '\0';
	/* the last function that does not begin behind it */
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (k->symbols[middle].address <= address)
			from = middle + 1;
		else
			to = middle;
	}
	if (from && address - k->symbols[from - 1].address < LARGEST)
		snprintf(buf, size, "%s+0x%llx", k->names + k->symbols[from - 1].name,
			 (unsigned long long)(address - k->symbols[from - 1].address));
	return buf;
}
