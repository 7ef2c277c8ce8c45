// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The symbol table of one file. */
#include "symbols/symtab.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TABLE (256u << 20)
#define UNSIZED 4096 /* maximum size of a function without a size in its symbol (assembly code) */

struct symbol {
	uint64_t start, end;
	uint32_t name;
	uint32_t rank; /* lower: preferred name for the same address */
};

struct mb_symtab {
	char *names;
	size_t names_len;
	struct symbol *symbols;
	size_t n;
};

/* Rank the names of one address: prefer global symbols, with the fewest leading underscores. */
static uint32_t rank_of(const Elf64_Sym *s, const char *name)
{
	static const uint32_t binding[] = { [STB_LOCAL] = 2, [STB_GLOBAL] = 0, [STB_WEAK] = 1 };
	unsigned int bind = ELF64_ST_BIND(s->st_info);
	size_t under = strspn(name, "_");

	if (!strncmp(name, "_Z", 2) || !strncmp(name, "_R", 2))
		under = 0;
	return (uint32_t)(under > 63 ? 63 : under) << 2 | (bind <= STB_WEAK ? binding[bind] : 3);
}

static int by_start(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1; /* the preferred one comes last */
	return x->name < y->name ? 1 : x->name > y->name ? -1 : 0;
}

static bool is_function(const Elf64_Sym *s)
{
	unsigned int type = ELF64_ST_TYPE(s->st_info);

	return s->st_shndx != SHN_UNDEF && s->st_value &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC ||
		(type == STT_NOTYPE && s->st_shndx < SHN_LORESERVE));
}

/* Accept only symbols in code sections, since labels have no type, and there are labels of data as well. */
static bool in_code(const struct mb_image *im, const Elf64_Sym *s)
{
	return s->st_shndx >= im->n_sections || (im->sections[s->st_shndx].sh_flags & SHF_EXECINSTR);
}

static void collect(struct mb_symtab *t, const struct mb_image *im, const uint8_t *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *name;
		Elf64_Sym s;

		memcpy(&s, table + i * sizeof(s), sizeof(s));
		if (!is_function(&s) || s.st_name >= t->names_len || !in_code(im, &s))
			continue;
		name = t->names + s.st_name;
		if (!*name || *name == '.' || *name == '$')
			continue;
		t->symbols[t->n++] = (struct symbol){ s.st_value, s.st_value + s.st_size, s.st_name,
						      rank_of(&s, name) };
	}
	qsort(t->symbols, t->n, sizeof(*t->symbols), by_start);
}

struct mb_symtab *mb_symtab_open(const struct mb_image *im, bool dynamic)
{
	const Elf64_Shdr *sh = mb_image_section(im, dynamic ? ".dynsym" : ".symtab");
	struct mb_symtab *t;
	size_t size = 0;
	uint8_t *table;

	if (!sh || sh->sh_entsize != sizeof(Elf64_Sym) || sh->sh_link >= im->n_sections)
		return NULL;
	t = calloc(1, sizeof(*t));
	table = mb_image_read(im, sh, MAX_TABLE, &size);
	if (t && table)
		t->names = (char *)mb_image_read(im, &im->sections[sh->sh_link], MAX_TABLE, &t->names_len);
	if (t && t->names) {
		t->names[t->names_len - 1] = '\0';
		t->symbols = calloc(size / sizeof(Elf64_Sym) + 1, sizeof(*t->symbols));
	}
	if (t && t->symbols)
		collect(t, im, table, size / sizeof(Elf64_Sym));
	free(table);
	if (t && t->n)
		return t;
	mb_symtab_close(t);
	return NULL;
}

void mb_symtab_close(struct mb_symtab *t)
{
	if (!t)
		return;
	free(t->names);
	free(t->symbols);
	free(t);
}

const char *mb_symtab_find(const struct mb_symtab *t, uint64_t address)
{
	size_t low = 0, high = t ? t->n : 0;

	while (low < high) { /* find the first symbol that starts after address */
		size_t mid = low + (high - low) / 2;

		if (t->symbols[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	/* a function can contain other entry points, but not many */
	for (int tries = 0; low-- && tries < 16; tries++) {
		const struct symbol *s = &t->symbols[low];

		if (address < s->end)
			return t->names + s->name;
		if (s->end == s->start && tries == 0 && address - s->start < UNSIZED)
			return t->names + s->name;
	}
	return NULL;
}

size_t mb_symtab_cost(const struct mb_symtab *t)
{
	return t ? t->names_len + t->n * sizeof(*t->symbols) : 0;
}
