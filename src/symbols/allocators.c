// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Finds allocators: their functions by name in the symbols of ELF files, and the instruction of each to probe. */
#include "symbols/allocators.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/live_thread.h"
#include "memblame/family.h"
#include "symbols/image.h"
#include "symbols/open.h"

/* Number of instructions searched for one that the kernel emulates. */
#define CHOOSE_FROM 16

/* Bytes of a function searched for jumps that would execute the probe a second time. */
#define CODE_BYTES 4096

/* Maximum size of a symbol table, and of its string table. */
#define TABLE_BYTES (256u << 20)

static const struct known {
	const char *name;
	uint32_t op;
} known[] = {
	{ "malloc", MB_HEAP_MALLOC },
	{ "mallocx", MB_HEAP_MALLOC },
	{ "mi_zalloc", MB_HEAP_MALLOC },
	{ "mi_malloc_aligned", MB_HEAP_MALLOC },
	{ "mi_zalloc_aligned", MB_HEAP_MALLOC },
	{ "valloc", MB_HEAP_MALLOC },
	{ "pvalloc", MB_HEAP_MALLOC },
	{ "calloc", MB_HEAP_CALLOC },
	{ "realloc", MB_HEAP_REALLOC },
	{ "rallocx", MB_HEAP_REALLOC },
	{ "mi_realloc_aligned", MB_HEAP_REALLOC },
	{ "reallocarray", MB_HEAP_REALLOCARRAY },
	{ "posix_memalign", MB_HEAP_POSIX_MEMALIGN },
	{ "aligned_alloc", MB_HEAP_MEMALIGN },
	{ "memalign", MB_HEAP_MEMALIGN },
	{ "free", MB_HEAP_FREE },
	{ "cfree", MB_HEAP_FREE },
	{ "free_sized", MB_HEAP_FREE },
	{ "free_aligned_sized", MB_HEAP_FREE },
	{ "mi_free_size", MB_HEAP_FREE },
	{ "mi_free_aligned", MB_HEAP_FREE },
	{ "mi_free_size_aligned", MB_HEAP_FREE },
	{ "dallocx", MB_HEAP_FREE },
	{ "sdallocx", MB_HEAP_FREE },
};

/* C++ operators new and delete, plain and for arrays, with all suffixes. */
static const struct known operators[] = {
	{ "_Znwm", MB_HEAP_MALLOC },
	{ "_Znam", MB_HEAP_MALLOC },
	{ "_ZdlPv", MB_HEAP_FREE },
	{ "_ZdaPv", MB_HEAP_FREE },
};

/* Prefixes of allocators that do not replace the C library's malloc. */
static const char *const prefixes[] = { "__libc_", "je_", "_rjem_", "mi_", "tc_" };

static uint32_t op_of_known(const char *name)
{
	for (size_t i = 0; i < MB_ARRAY_SIZE(known); i++) {
		if (strcmp(name, known[i].name) == 0)
			return known[i].op;
	}
	return MB_HEAP_NONE;
}

static uint32_t op_of(const char *name)
{
	uint32_t op = op_of_known(name);

	for (size_t i = 0; i < MB_ARRAY_SIZE(operators) && !op; i++) {
		if (strncmp(name, operators[i].name, strlen(operators[i].name)) == 0)
			op = operators[i].op;
	}
	for (size_t i = 0; i < MB_ARRAY_SIZE(prefixes) && !op; i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			op = op_of_known(name + strlen(prefixes[i]));
	}
	return op;
}

/* ---- the instruction ---- */

/*
 * Does the kernel emulate the instruction (arch/x86/kernel/uprobes.c)? Only instructions emulated
 * since 4.18; later additions are not used.
 */
static bool is_emulated(const cs_insn *i)
{
	const uint8_t *b = i->bytes;

	if (i->size == 1)
		return (b[0] >= 0x50 && b[0] <= 0x57) || b[0] == 0x90;
	if (i->size == 2)
		return (b[0] == 0x41 && b[1] >= 0x50 && b[1] <= 0x57) || b[0] == 0xeb ||
		       (b[0] >= 0x70 && b[0] <= 0x7f);
	if (i->size == 5)
		return b[0] == 0xe8 || b[0] == 0xe9;
	return i->size == 6 && b[0] == 0x0f && b[1] >= 0x80 && b[1] <= 0x8f;
}

static bool is_argument(uint16_t reg)
{
	switch (reg) {
	case X86_REG_RDI:
	case X86_REG_EDI:
	case X86_REG_DI:
	case X86_REG_DIL:
	case X86_REG_RSI:
	case X86_REG_ESI:
	case X86_REG_SI:
	case X86_REG_SIL:
	case X86_REG_RDX:
	case X86_REG_EDX:
	case X86_REG_DX:
	case X86_REG_DL:
	case X86_REG_DH:
		return true;
	default:
		return false;
	}
}

/* Can the probe be placed after this instruction? */
static bool can_be_passed(csh cs, const cs_insn *i, uint32_t op)
{
	cs_regs read, write;
	uint8_t n_read, n_write;

	if (cs_insn_group(cs, i, CS_GRP_JUMP) || cs_insn_group(cs, i, CS_GRP_CALL) || cs_insn_group(cs, i, CS_GRP_RET) ||
	    cs_insn_group(cs, i, CS_GRP_INT) || cs_regs_access(cs, i, read, &n_read, write, &n_write))
		return false;
	for (uint8_t r = 0; r < n_write; r++) {
		if (is_argument(write[r]) ||
		    (op != MB_HEAP_FREE && (write[r] == X86_REG_RSP || write[r] == X86_REG_ESP)))
			return false;
	}
	return true;
}

/* Does a jump in the function target an instruction after the first one, up to offset at? */
static bool is_jumped_to(csh cs, cs_insn *i, const uint8_t *code, size_t len, size_t at)
{
	uint64_t address = 0;

	while (cs_disasm_iter(cs, &code, &len, &address, i)) {
		const cs_x86_op *target = &i->detail->x86.operands[0];

		if (cs_insn_group(cs, i, CS_GRP_JUMP) && target->type == X86_OP_IMM && target->imm > 0 &&
		    (uint64_t)target->imm <= at)
			return true;
	}
	return false;
}

static size_t choose(csh cs, cs_insn *i, const uint8_t *code, size_t len, uint32_t op, bool *slow)
{
	const uint8_t *next = code;
	uint64_t address = 0;
	size_t left = len;

	*slow = false;
	for (int n = 0; n < CHOOSE_FROM && cs_disasm_iter(cs, &next, &left, &address, i); n++) {
		size_t at = i->address;

		if (is_emulated(i)) {
			if (at && is_jumped_to(cs, i, code, len, at))
				break;
			return at;
		}
		if (!can_be_passed(cs, i, op))
			break;
	}
	*slow = true;
	return 0;
}

size_t mb_allocator_choose(const uint8_t *code, size_t len, uint32_t op, bool *slow)
{
	size_t at = 0;
	cs_insn *i;
	csh cs;

	*slow = true;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs))
		return 0;
	cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
	i = cs_malloc(cs);
	if (i) {
		at = choose(cs, i, code, len, op, slow);
		cs_free(i, 1);
	}
	cs_close(&cs);
	return at;
}

/* ---- the file ---- */

/*
 * File offset of the code at an address. Returns false if it is not code. *room: bytes of code from
 * there to the end of the segment.
 */
static bool offset_of(const struct mb_image *im, uint64_t address, uint64_t *offset, uint64_t *room)
{
	for (unsigned int i = 0; i < im->n_segments; i++) {
		const Elf64_Phdr *p = &im->segments[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || address < p->p_vaddr ||
		    address - p->p_vaddr >= p->p_filesz)
			continue;
		*offset = address - p->p_vaddr + p->p_offset;
		*room = p->p_filesz - (address - p->p_vaddr);
		return true;
	}
	return false;
}

static void add_call(struct mb_allocator *a, const struct mb_image *im, const char *name, const Elf64_Sym *sym,
		     uint32_t op)
{
	struct mb_allocator_call *c = &a->calls[a->n];
	uint64_t offset, room;
	uint8_t *code;

	if (a->n == MB_ALLOCATOR_CALLS || !offset_of(im, sym->st_value, &offset, &room))
		return;
	for (size_t i = 0; i < a->n; i++) {
		if (a->calls[i].function == offset) /* an alias of a known function */
			return;
	}
	if (sym->st_size && sym->st_size < room)
		room = sym->st_size;
	if (room > CODE_BYTES)
		room = CODE_BYTES;
	code = mb_image_bytes(im, offset, room);
	if (!code)
		return;
	c->function = offset;
	c->op = op;
	c->offset = offset + mb_allocator_choose(code, room, op, &c->slow);
	snprintf(c->name, sizeof(c->name), "%s", name);
	a->n++;
	free(code);
}

/*
 * Add all defined functions of a symbol table that are named like those of an allocator. Returns
 * false if there is no table.
 */
static bool add_symbols(struct mb_allocator *a, const struct mb_image *im, const Elf64_Shdr *section, bool *has_main)
{
	size_t size, names_size;
	uint8_t *data = mb_image_read(im, section, TABLE_BYTES, &size);
	char *names = NULL;

	if (data && section->sh_link < im->n_sections)
		names = (char *)mb_image_read(im, &im->sections[section->sh_link], TABLE_BYTES, &names_size);
	if (names && names_size)
		names[names_size - 1] = '\0';
	for (size_t at = 0; names && names_size && at + sizeof(Elf64_Sym) <= size; at += sizeof(Elf64_Sym)) {
		Elf64_Sym sym;
		uint32_t op;

		memcpy(&sym, data + at, sizeof(sym));
		if (sym.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(sym.st_info) != STT_FUNC || sym.st_name >= names_size)
			continue;
		*has_main |= !strcmp(names + sym.st_name, "main");
		op = op_of(names + sym.st_name);
		if (op)
			add_call(a, im, names + sym.st_name, &sym, op);
	}
	free(names);
	free(data);
	return names != NULL;
}

static bool is_operator(const struct mb_allocator_call *c)
{
	return strncmp(c->name, "_Z", 2) == 0;
}

/*
 * Operators alone belong to a C++ library that calls the malloc of another file. An allocation
 * function alone is not an allocator either, except in a statically linked program, which contains
 * only the functions it calls: such a program never frees.
 */
static bool is_allocator(const struct mb_allocator *a, bool whole_program)
{
	bool gives = false, takes = false;

	for (size_t i = 0; i < a->n; i++) {
		if (is_operator(&a->calls[i]))
			continue;
		gives |= a->calls[i].op == MB_HEAP_MALLOC;
		takes |= a->calls[i].op == MB_HEAP_FREE;
	}
	return gives && (takes || whole_program);
}

static bool is_static(const struct mb_image *im)
{
	for (unsigned int i = 0; i < im->n_segments; i++) {
		if (im->segments[i].p_type == PT_INTERP || im->segments[i].p_type == PT_DYNAMIC)
			return false;
	}
	return true;
}

/* Is the program linked with everything it calls? It has a main and requests no dynamic loader. */
static bool is_whole(const struct mb_image *im, bool has_main)
{
	for (unsigned int i = 0; i < im->n_segments && has_main; i++)
		has_main = im->segments[i].p_type != PT_INTERP;
	return has_main;
}

bool mb_allocator_read(struct mb_allocator *a, int fd)
{
	bool symbols = false, has_main = false;
	struct mb_image im;

	memset(a, 0, sizeof(*a));
	if (mb_image_open(&im, fd))
		return false;
	for (unsigned int i = 0; i < im.n_sections; i++) {
		if (im.sections[i].sh_type == SHT_DYNSYM || im.sections[i].sh_type == SHT_SYMTAB)
			symbols |= add_symbols(a, &im, &im.sections[i], &has_main);
	}
	if (!is_allocator(a, is_whole(&im, has_main)))
		a->n = 0;
	a->nameless = !symbols && is_static(&im);
	mb_image_close(&im);
	return true;
}

/* ---- the process ---- */

/* Open the file behind a mapping: through map_files, which works even if the file is deleted; else by its path. */
static int open_mapped(uint32_t pid, int root, unsigned long start, unsigned long end, const char *path)
{
	struct stat st;
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/proc/%u/map_files/%lx-%lx", pid, start, end);
	fd = mb_open_link(name, &st);
	return fd >= 0 || root < 0 ? fd : mb_open_in(root, path, true, &st);
}

static void each_mapped(FILE *f, uint32_t pid, int root, mb_mapped_file fn, void *arg)
{
	char *line = NULL, *last = NULL;
	size_t room = 0;

	while (getline(&line, &room, f) > 0) {
		unsigned long start, end;
		int fd, at = 0;
		char mode[8];

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %n", &start, &end, mode, &at) != 3 || !at ||
		    mode[2] != 'x' || line[at] != '/' || (last && strcmp(line + at, last) == 0))
			continue;
		free(last); /* the segments of a file are mapped next to each other */
		last = strdup(line + at);
		fd = open_mapped(pid, root, start, end, line + at);
		if (fd >= 0)
			fn(arg, fd, line + at);
	}
	free(last);
	free(line);
}

bool mb_mapped_files(uint32_t pid, mb_mapped_file fn, void *arg)
{
	char path[32];
	FILE *f;
	int root;

	pid = mb_live_thread(pid);
	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	root = mb_open_root(pid);
	each_mapped(f, pid, root, fn, arg);
	if (root >= 0)
		close(root);
	fclose(f);
	return true;
}
