// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Call-frame information of one file: its functions by address. */
#include "symbols/cfi.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/cfi_entry.h"

#define MAX_SECTION (64u << 20)
#define MAX_FUNCTIONS (4u << 20)
#define MAX_OVERLAP 4 /* maximum number of entries tried for one address */

struct function {
	uint64_t start, end;
	uint32_t offset; /* of its FDE in the section */
	bool eh; /* in .eh_frame, else .debug_frame */
};

struct mb_cfi {
	struct mb_cfi_section eh, debug;
	struct function *functions; /* sorted by start */
	size_t n, room;
};

/* Find .eh_frame in a file without a section table; .eh_frame_hdr contains its address. */
static void find_by_segments(const struct mb_image *im, struct mb_cfi_section *s)
{
	struct mb_cfi_section hdr = { .eh = true };
	uint64_t address = 0;

	for (unsigned int i = 0; i < im->n_segments && !address; i++) {
		const Elf64_Phdr *p = &im->segments[i];
		struct mb_bytes b;

		if (p->p_type != PT_GNU_EH_FRAME || p->p_filesz < 8 ||
		    !(hdr.bytes = mb_image_bytes(im, p->p_offset, 12)))
			continue;
		hdr.address = p->p_vaddr;
		b = (struct mb_bytes){ hdr.bytes + 4, hdr.bytes + 12, false };
		address = mb_cfi_encoded(&hdr, &b, hdr.bytes[1]);
		free(hdr.bytes);
	}
	for (unsigned int i = 0; i < im->n_segments && address; i++) {
		const Elf64_Phdr *p = &im->segments[i];
		uint64_t in = address - p->p_vaddr;

		if (p->p_type != PT_LOAD || address < p->p_vaddr || in >= p->p_filesz ||
		    p->p_filesz - in > MAX_SECTION)
			continue;
		s->address = address;
		s->size = p->p_filesz - in;
		s->bytes = mb_image_bytes(im, p->p_offset + in, s->size);
		break;
	}
}

static void read_section(const struct mb_image *im, const char *name, struct mb_cfi_section *s)
{
	const Elf64_Shdr *sh = mb_image_section(im, name);

	if (sh) {
		s->address = sh->sh_addr;
		s->bytes = mb_image_read(im, sh, MAX_SECTION, &s->size);
	} else if (s->eh && !im->n_sections) {
		find_by_segments(im, s);
	}
	if (!s->bytes)
		s->size = 0;
}

static bool add(struct mb_cfi *c, const struct mb_fde *fde, size_t offset, bool eh)
{
	if (c->n == c->room) {
		size_t room = c->room ? c->room * 2 : 256;
		struct function *bigger = NULL;

		if (room <= MAX_FUNCTIONS)
			bigger = realloc(c->functions, room * sizeof(*bigger));
		if (!bigger)
			return false;
		c->functions = bigger;
		c->room = room;
	}
	c->functions[c->n++] = (struct function){ fde->start, fde->end, (uint32_t)offset, eh };
	return true;
}

static void collect(struct mb_cfi *c, const struct mb_cfi_section *s)
{
	struct mb_fde fde = { 0 };
	size_t offset = 0, at = 0;
	enum mb_cfi_kind kind;

	while ((kind = mb_cfi_entry(s, &offset, &fde)) != MB_CFI_NO_MORE) {
		if (kind == MB_CFI_FDE && fde.start && !add(c, &fde, at, s->eh))
			return;
		at = offset;
	}
}

static int by_start(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	/* so that .eh_frame is tried first */
	return (int)x->eh - (int)y->eh;
}

struct mb_cfi *mb_cfi_open(const struct mb_image *im)
{
	struct mb_cfi *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->eh.eh = true;
	read_section(im, ".eh_frame", &c->eh);
	read_section(im, ".debug_frame", &c->debug);
	collect(c, &c->eh);
	collect(c, &c->debug);
	if (!c->n) {
		mb_cfi_close(c);
		return NULL;
	}
	qsort(c->functions, c->n, sizeof(*c->functions), by_start);
	return c;
}

void mb_cfi_close(struct mb_cfi *c)
{
	if (!c)
		return;
	free(c->eh.bytes);
	free(c->debug.bytes);
	free(c->functions);
	free(c);
}

void mb_cfi_find(const struct mb_cfi *c, uint64_t address, struct mb_cfi_row *row)
{
	size_t low = 0, high = c->n;

	*row = (struct mb_cfi_row){ 0 };
	while (low < high) { /* find the last function that starts at or before address */
		size_t mid = low + (high - low) / 2;

		if (c->functions[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	for (int tries = 0; low-- && tries < MAX_OVERLAP; tries++) {
		const struct function *f = &c->functions[low];
		const struct mb_cfi_section *s = f->eh ? &c->eh : &c->debug;
		struct mb_fde fde = { 0 };
		size_t offset = f->offset;

		if (address >= f->end)
			return;
		if (mb_cfi_entry(s, &offset, &fde) == MB_CFI_FDE && mb_cfi_run(s, &fde, address, row))
			return;
	}
}
