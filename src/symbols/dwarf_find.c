// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Finds functions, inlined functions, files and lines in the DWARF of one file. libdw handles
 * malformed files, but uses as much time and memory as they demand, so both are limited: a file
 * that needs too much is given up. libdw also opens other files named in this one (split units,
 * dwz); functions that would do so are not called.
 */
#include "symbols/dwarf_find.h"

#include <dwarf.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <elfutils/libdw.h>

#include "base/clock.h"

#define MAX_SECTIONS (1ull << 30) /* bytes of all debug sections */
#define MAX_MEMORY (1ull << 30) /* bytes that libdw allocates in addition */
#define MAX_LINES (16u << 20) /* bytes of one unit's line table */
#define MAX_UNITS (1u << 20)
#define MAX_RANGES (4u << 20)
#define MAX_NS 2000000000ull /* for one address */
#define MAX_NESTED 16 /* levels of namespaces and classes */
#define MAX_INLINED 32
#define MAX_BLOCKS 128

struct range {
	uint64_t start, end;
	Dwarf_Off unit;
};

struct mb_dwarf {
	Elf *elf, *alt_elf;
	Dwarf *dwarf, *alt;
	const struct mb_image *image;
	struct range *ranges; /* sorted by start */
	size_t n, room;
	uint64_t sections; /* bytes of the debug sections */
	uint64_t memory;
	bool given_up;
	/* state of the operation in progress */
	uint64_t deadline_ns, memory_before;
	unsigned int steps;
};


static uint64_t memory_now(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void begin(struct mb_dwarf *d)
{
	d->deadline_ns = mb_now_ns() + MAX_NS;
	d->memory_before = memory_now();
	d->steps = 0;
}

static void end(struct mb_dwarf *d)
{
	uint64_t now = memory_now();

	if (now > d->memory_before)
		d->memory += now - d->memory_before;
	d->memory_before = now;
	if (d->memory > MAX_MEMORY || mb_now_ns() > d->deadline_ns)
		d->given_up = true;
}

/* Check the limits; call before each step of a search. */
static bool may_go_on(struct mb_dwarf *d)
{
	if (++d->steps % 16 == 0 && mb_now_ns() > d->deadline_ns)
		d->given_up = true;
	if (d->steps % 1024 == 0 && memory_now() > d->memory_before + MAX_MEMORY)
		d->given_up = true;
	return !d->given_up;
}

/* ---- opening ---- */

/*
 * Are the debug sections small enough? Sections compressed in the old format (.zdebug) do not
 * record their size and are rejected.
 */
static bool sections_ok(const struct mb_image *im, uint64_t *bytes)
{
	for (unsigned int i = 0; i < im->n_sections; i++) {
		const char *name = mb_image_section_name(im, &im->sections[i]);
		uint64_t size = mb_image_section_size(im, &im->sections[i]);

		if (!strncmp(name, ".zdebug", 7))
			return false;
		if (!strstr(name, "debug"))
			continue;
		if (size > MAX_SECTIONS || *bytes + size > MAX_SECTIONS)
			return false;
		*bytes += size;
	}
	return true;
}

static Elf_Data *section_data(Elf *elf, const struct mb_image *im, const Elf64_Shdr *sh)
{
	Elf_Data *data = elf_rawdata(elf_getscn(elf, (size_t)(sh - im->sections)), NULL);

	return data && data->d_buf && data->d_size ? data : NULL;
}

/*
 * libdw assumes that strings are terminated, so terminate the last one. This changes libdw's own
 * copy of the bytes.
 */
static void end_strings(Elf *elf, const struct mb_image *im)
{
	for (unsigned int i = 0; i < im->n_sections; i++) {
		const char *name = mb_image_section_name(im, &im->sections[i]);
		Elf_Data *data;

		if (strcmp(name, ".debug_str") && strcmp(name, ".debug_line_str") && strcmp(name, ".debug_info"))
			continue;
		data = section_data(elf, im, &im->sections[i]);
		if (data)
			((char *)data->d_buf)[data->d_size - 1] = '\0';
	}
}

static Dwarf *open_dwarf(const struct mb_image *im, Elf **elf)
{
	Dwarf *dwarf;

	*elf = elf_begin(im->fd, ELF_C_READ, NULL);
	dwarf = *elf ? dwarf_begin_elf(*elf, DWARF_C_READ, NULL) : NULL;
	if (dwarf)
		end_strings(*elf, im);
	return dwarf;
}

static bool add_range(struct mb_dwarf *d, uint64_t start, uint64_t end_, Dwarf_Off unit)
{
	if (d->n == d->room) {
		size_t room = d->room ? d->room * 2 : 256;
		struct range *bigger = NULL;

		if (room <= MAX_RANGES)
			bigger = realloc(d->ranges, room * sizeof(*bigger));
		if (!bigger)
			return false;
		d->ranges = bigger;
		d->room = room;
	}
	if (start && start < end_)
		d->ranges[d->n++] = (struct range){ start, end_, unit };
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Record which unit covers which addresses. Does not use .debug_aranges, as not every compiler writes it. */
static void collect_ranges(struct mb_dwarf *d)
{
	Dwarf_Off unit = 0, next;
	size_t header;

	for (unsigned int i = 0; i < MAX_UNITS; i++, unit = next) {
		Dwarf_Addr base, start, stop;
		ptrdiff_t at = 0;
		Dwarf_Die die;

		if (dwarf_nextcu(d->dwarf, unit, &next, &header, NULL, NULL, NULL) || next <= unit)
			break;
		if (!dwarf_offdie(d->dwarf, unit + header, &die))
			continue;
		if (dwarf_tag(&die) != DW_TAG_compile_unit && dwarf_tag(&die) != DW_TAG_skeleton_unit)
			continue;
		while (may_go_on(d) && (at = dwarf_ranges(&die, at, &base, &start, &stop)) > 0)
			if (!add_range(d, start, stop, unit + header))
				return;
	}
	if (d->n)
		qsort(d->ranges, d->n, sizeof(*d->ranges), by_start);
}

struct mb_dwarf *mb_dwarf_open(const struct mb_image *im, const struct mb_image *alt)
{
	struct mb_dwarf *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->image = im;
	elf_version(EV_CURRENT);
	if (!sections_ok(im, &d->sections) || (alt && !sections_ok(alt, &d->sections)))
		goto fail;
	begin(d);
	d->deadline_ns += 9 * MAX_NS; /* more time, since this runs once over a file that can be large */
	d->dwarf = open_dwarf(im, &d->elf);
	if (!d->dwarf)
		goto fail;
	if (alt) {
		d->alt = open_dwarf(alt, &d->alt_elf);
		if (!d->alt)
			goto fail;
		dwarf_setalt(d->dwarf, d->alt);
	}
	collect_ranges(d);
	end(d);
	if (d->n && !d->given_up)
		return d;
fail:
	mb_dwarf_close(d);
	return NULL;
}

void mb_dwarf_close(struct mb_dwarf *d)
{
	if (!d)
		return;
	if (d->dwarf)
		dwarf_end(d->dwarf);
	if (d->alt)
		dwarf_end(d->alt);
	if (d->elf)
		elf_end(d->elf);
	if (d->alt_elf)
		elf_end(d->alt_elf);
	free(d->ranges);
	free(d);
}

size_t mb_dwarf_cost(const struct mb_dwarf *d)
{
	return d ? d->sections + d->memory + d->room * sizeof(*d->ranges) : 0;
}

/* ---- searching ---- */

static bool find_unit(struct mb_dwarf *d, uint64_t address, Dwarf_Die *unit)
{
	size_t low = 0, high = d->n;

	while (low < high) { /* find the first range that starts after address */
		size_t mid = low + (high - low) / 2;

		if (d->ranges[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	for (int tries = 0; low-- && tries < 8; tries++)
		if (address < d->ranges[low].end)
			return dwarf_offdie(d->dwarf, d->ranges[low].unit, unit);
	return false;
}

static bool contains_functions(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
	       tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type;
}

static bool find_function(struct mb_dwarf *d, Dwarf_Die *parent, uint64_t address, int depth, Dwarf_Die *found)
{
	Dwarf_Die die;

	if (dwarf_child(parent, &die))
		return false;
	do {
		int tag = dwarf_tag(&die);

		if (!may_go_on(d))
			return false;
		if (tag == DW_TAG_subprogram && dwarf_haspc(&die, address) > 0) {
			*found = die;
			return true;
		}
		if (depth < MAX_NESTED && contains_functions(tag) &&
		    find_function(d, &die, address, depth + 1, found))
			return true;
	} while (dwarf_siblingof(&die, &die) == 0);
	return false;
}

/* The block or inlined function directly inside scope that contains the address. */
static bool find_inner(struct mb_dwarf *d, Dwarf_Die *scope, uint64_t address, Dwarf_Die *found)
{
	Dwarf_Die die;

	if (dwarf_child(scope, &die))
		return false;
	do {
		int tag = dwarf_tag(&die);

		if (!may_go_on(d))
			return false;
		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		     tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
		    dwarf_haspc(&die, address) > 0) {
			*found = die;
			return true;
		}
	} while (dwarf_siblingof(&die, &die) == 0);
	return false;
}

/* The function and the functions inlined into it, outermost first. Returns their number. */
static unsigned int find_chain(struct mb_dwarf *d, Dwarf_Die *unit, uint64_t address, Dwarf_Die *chain)
{
	unsigned int n = 1;
	Dwarf_Die scope;

	if (!find_function(d, unit, address, 0, &chain[0]))
		return 0;
	scope = chain[0];
	for (int blocks = 0; blocks < MAX_BLOCKS && n < MAX_INLINED; blocks++) {
		Dwarf_Die inner;

		if (!find_inner(d, &scope, address, &inner))
			break;
		scope = inner;
		if (dwarf_tag(&scope) == DW_TAG_inlined_subroutine)
			chain[n++] = scope;
	}
	return n;
}

/* Is the line table of a unit small enough? Reading it takes many times its size in memory. */
static bool lines_ok(struct mb_dwarf *d, Dwarf_Die *unit)
{
	const Elf64_Shdr *sh = mb_image_section(d->image, ".debug_line");
	Dwarf_Attribute attr;
	Dwarf_Word offset;
	Elf_Data *data;
	uint32_t len;

	if (!sh || !dwarf_attr(unit, DW_AT_stmt_list, &attr) || dwarf_formudata(&attr, &offset))
		return false;
	data = section_data(d->elf, d->image, sh);
	if (!data || data->d_size < sizeof(len) || offset > data->d_size - sizeof(len))
		return false;
	memcpy(&len, (char *)data->d_buf + offset, sizeof(len));
	return len <= MAX_LINES;
}

static const char *function_name(Dwarf_Die *die)
{
	static const unsigned int names[] = { DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name };
	Dwarf_Attribute attr;

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *name = dwarf_formstring(dwarf_attr_integrate(die, names[i], &attr));

		if (name)
			return name;
	}
	return NULL;
}

static Dwarf_Word number(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attr;
	Dwarf_Word v = 0;

	if (!dwarf_attr(die, name, &attr) || dwarf_formudata(&attr, &v))
		return 0;
	return v;
}

static void find_line(Dwarf_Die *unit, uint64_t address, struct mb_source *s)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit, address);
	int n = 0;

	if (!line)
		return;
	s->file = dwarf_linesrc(line, NULL, NULL);
	if (!dwarf_lineno(line, &n) && n > 0)
		s->line = (unsigned int)n;
}

/* The source location from which an inlined function is called. */
static void find_call(Dwarf_Die *unit, Dwarf_Die *inlined, struct mb_source *s)
{
	Dwarf_Files *files;
	size_t n;

	if (!dwarf_getsrcfiles(unit, &files, &n))
		s->file = dwarf_filesrc(files, number(inlined, DW_AT_call_file), NULL, NULL);
	s->line = (unsigned int)number(inlined, DW_AT_call_line);
}

unsigned int mb_dwarf_find(struct mb_dwarf *d, uint64_t address, struct mb_source *sources, unsigned int max)
{
	struct mb_source at = { 0 };
	Dwarf_Die chain[MAX_INLINED], unit;
	unsigned int n, out = 0;
	bool lines;

	if (d->given_up || !max || !find_unit(d, address, &unit))
		return 0;
	begin(d);
	lines = lines_ok(d, &unit);
	if (lines)
		find_line(&unit, address, &at);
	n = find_chain(d, &unit, address, chain);
	if (!n)
		sources[out++] = at;
	while (n-- && out < max) {
		sources[out] = at;
		sources[out++].function = function_name(&chain[n]);
		at = (struct mb_source){ 0 };
		if (n && lines)
			find_call(&unit, &chain[n], &at);
	}
	end(d);
	return out;
}
