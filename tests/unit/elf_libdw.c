// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Compares our readers of ELF, symbol tables and call-frame information with those of elfutils, for every ELF file in
 * /usr/bin and /usr/lib: both must give the same result for the same addresses (docs/decisions/unwinder.md).
 * MB_ELF=FILE checks one file and prints what is compared.
 */
#include "unit.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/cfi.h"
#include "symbols/image.h"
#include "symbols/symtab.h"

#define ENTRIES 48u /* of call-frame information checked in one file, spread over all of it */
#define SYMBOLS 64u /* the same for symbols */

static struct {
	uint64_t files, rows, symbols, build_ids;
} seen;

static bool verbose;

/* ---- call-frame information ---- */

/* Writes a rule in a notation common to both readers. */
static void say_ours(const struct mb_cfi_row *row, int slot, char *text, size_t size)
{
	static const char *const names[] = { "rbx", "rbp", "rsp", "r12", "r13", "r14", "r15", "ra" };
	const struct mb_cfi_rule *r = slot < 0 ? &row->cfa : &row->regs[slot];

	switch ((enum mb_cfi_how)r->how) {
	case MB_CFI_UNSPECIFIED:
	case MB_CFI_SAME:
		snprintf(text, size, "same");
		break;
	case MB_CFI_UNDEFINED:
		snprintf(text, size, "undefined");
		break;
	case MB_CFI_AT_CFA:
		snprintf(text, size, "at cfa%+d", r->n);
		break;
	case MB_CFI_IS_CFA:
		snprintf(text, size, "cfa%+d", r->n);
		break;
	case MB_CFI_REGISTER:
		snprintf(text, size, "%s%+d", names[r->slot], r->n);
		break;
	case MB_CFI_AT_EXPR:
		snprintf(text, size, "at expression");
		break;
	case MB_CFI_IS_EXPR:
		snprintf(text, size, "expression");
		break;
	}
}

static const char *dwarf_name(uint64_t number)
{
	switch (number) {
	case 3: return "rbx";
	case 6: return "rbp";
	case 7: return "rsp";
	case 12: return "r12";
	case 13: return "r13";
	case 14: return "r14";
	case 15: return "r15";
	case 16: return "ra";
	default: return NULL;
	}
}

/* The rule of libdw for a register (dwarf_frame_register()) or for the CFA (dwarf_frame_cfa()). */
static void say_libdw(const Dwarf_Op *ops, size_t n, bool is_cfa, bool same, char *text, size_t size)
{
	const char *name;

	if (!n) {
		snprintf(text, size, same ? "same" : "undefined");
	} else if (is_cfa && n == 1 && ops[0].atom == DW_OP_bregx && (name = dwarf_name(ops[0].number))) {
		snprintf(text, size, "%s%+d", name, (int)ops[0].number2);
	} else if (is_cfa && n == 1 && ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31 &&
		   (name = dwarf_name(ops[0].atom - DW_OP_breg0))) {
		snprintf(text, size, "%s%+d", name, (int)ops[0].number);
	} else if (is_cfa) {
		snprintf(text, size, "expression");
	} else if (ops[0].atom == DW_OP_call_frame_cfa && n <= 3 && (n == 1 || ops[1].atom == DW_OP_plus_uconst ||
								     ops[1].atom == DW_OP_stack_value)) {
		int off = n > 1 && ops[1].atom == DW_OP_plus_uconst ? (int)ops[1].number : 0;

		snprintf(text, size, "%s%+d", ops[n - 1].atom == DW_OP_stack_value ? "cfa" : "at cfa", off);
	} else if (n == 1 && (ops[0].atom == DW_OP_regx || (ops[0].atom >= DW_OP_reg0 && ops[0].atom <= DW_OP_reg31))) {
		name = dwarf_name(ops[0].atom == DW_OP_regx ? ops[0].number : (uint64_t)(ops[0].atom - DW_OP_reg0));
		/* the value is in a register that is not tracked, so it cannot be found */
		snprintf(text, size, "%s%s", name ? name : "undefined", name ? "+0" : "");
	} else {
		snprintf(text, size, "%s", ops[n - 1].atom == DW_OP_stack_value ? "expression" : "at expression");
	}
}

static void compare_row(const char *path, const struct mb_cfi *ours, Dwarf_CFI *libdw, uint64_t address)
{
	static const int registers[] = { 3, 6, 7, 12, 13, 14, 15, 16 };
	Dwarf_Frame *frame = NULL;
	struct mb_cfi_row row;
	Dwarf_Op *ops, memory[3];
	char a[64], b[64];
	size_t n;

	mb_cfi_find(ours, address, &row);
	if (dwarf_cfi_addrframe(libdw, address, &frame)) {
		if (row.known)
			fail_msg("%s: %#lx: libdw has no row (%s), we do", path, (long)address, dwarf_errmsg(-1));
		return;
	}
	if (!row.known)
		fail_msg("%s: %#lx: libdw has a row, we do not", path, (long)address);
	assert_int_equal(dwarf_frame_cfa(frame, &ops, &n), 0);
	say_libdw(ops, n, true, false, b, sizeof(b));
	say_ours(&row, -1, a, sizeof(a));
	if (verbose)
		print_message("%#lx: cfa %s, %s\n", (long)address, a, b);
	if (strcmp(a, b) != 0)
		fail_msg("%s: %#lx: the CFA is %s, libdw says %s", path, (long)address, a, b);
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		int slot = mb_cfi_slot((uint64_t)registers[i]);

		ops = memory;
		assert_int_equal(dwarf_frame_register(frame, registers[i], memory, &ops, &n), 0);
		say_libdw(ops, n, false, !ops, b, sizeof(b));
		say_ours(&row, slot, a, sizeof(a));
		/* without a rule, libdw returns the ABI's rule (the stack pointer is the CFA), or that there is none */
		if (row.regs[slot].how == MB_CFI_UNSPECIFIED)
			snprintf(a, sizeof(a), "%s", !n && ops ? "undefined" : registers[i] == 7 ? "cfa+0" : "same");
		if (strcmp(a, b) != 0)
			fail_msg("%s: %#lx: register %d is %s, libdw says %s", path, (long)address, registers[i], a, b);
	}
	free(frame);
	seen.rows++;
}

/* Compares some entries of .eh_frame: the first, the middle and the last address of each. */
static void compare_cfi(const char *path, const struct mb_image *im, Elf *elf)
{
	const Elf64_Shdr *sh = mb_image_section(im, ".eh_frame");
	struct mb_cfi *ours;
	Dwarf_CFI *libdw;
	Elf_Data data = { .d_type = ELF_T_BYTE, .d_version = EV_CURRENT };
	uint64_t starts = 0, step;
	size_t size = 0;
	uint8_t *bytes;

	/* other kinds of files (relocatable objects, separate debug information) have nothing to unwind */
	if (!sh || sh->sh_type == SHT_NOBITS || !(libdw = dwarf_getcfi_elf(elf)))
		return;
	ours = mb_cfi_open(im);
	bytes = mb_image_read(im, sh, 64u << 20, &size);
	data.d_buf = bytes;
	data.d_size = size;
	for (int pass = 0; pass < 2 && bytes && ours; pass++) {
		Dwarf_Off at = 0, next;
		Dwarf_CFI_Entry entry;
		uint64_t i = 0;

		step = starts / ENTRIES + 1;
		for (; !dwarf_next_cfi((const unsigned char *)elf_getident(elf, NULL), &data, true, at, &next, &entry); at = next) {
			int32_t relative;
			uint64_t start;

			if (dwarf_cfi_cie_p(&entry) || next <= at)
				continue;
			if (!pass) {
				starts++;
				continue;
			}
			if (i++ % step)
				continue;
			/* compilers write addresses relative to themselves, in 4 bytes */
			memcpy(&relative, entry.fde.start, sizeof(relative));
			start = sh->sh_addr + (uint64_t)(entry.fde.start - bytes) + (uint64_t)(int64_t)relative;
			for (int k = 0; k < 3; k++) {
				uint32_t len;

				memcpy(&len, entry.fde.start + 4, sizeof(len));
				if (len)
					compare_row(path, ours, libdw, start + (k == 0 ? 0 : k == 1 ? len / 2 : len - 1));
			}
		}
	}
	free(bytes);
	mb_cfi_close(ours);
	dwarf_cfi_end(libdw);
}

/* ---- symbols ---- */

static Elf_Scn *table_of(Elf *elf, bool dynamic, GElf_Shdr *sh)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn))) {
		if (gelf_getshdr(scn, sh) && sh->sh_type == (dynamic ? SHT_DYNSYM : SHT_SYMTAB))
			return scn;
	}
	return NULL;
}

static bool is_function(const GElf_Sym *sym)
{
	int type = GELF_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_GNU_IFUNC) && sym->st_shndx != SHN_UNDEF && sym->st_size;
}

/* Our function must be one of those that libelf has at the address, which include aliases. */
static void compare_symbol(const char *path, const struct mb_symtab *ours, Elf *elf, Elf_Data *data, const GElf_Shdr *sh,
			   uint64_t address)
{
	const char *found = mb_symtab_find(ours, address), *name = NULL;
	size_t n = sh->sh_size / sh->sh_entsize;
	GElf_Sym sym;

	for (size_t i = 0; i < n; i++) {
		if (!gelf_getsym(data, (int)i, &sym) || !is_function(&sym) || address < sym.st_value ||
		    address - sym.st_value >= sym.st_size)
			continue;
		name = elf_strptr(elf, sh->sh_link, sym.st_name);
		if (found && name && !strcmp(found, name)) {
			seen.symbols++;
			return;
		}
	}
	fail_msg("%s: %#lx is in '%s', libelf has '%s' there", path, (long)address, found ? found : "(nothing)",
		 name ? name : "(nothing)");
}

static void compare_symbols(const char *path, const struct mb_image *im, Elf *elf, bool dynamic)
{
	struct mb_symtab *ours = mb_symtab_open(im, dynamic);
	GElf_Shdr sh;
	Elf_Scn *scn = table_of(elf, dynamic, &sh);
	Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL;
	size_t n = data && sh.sh_entsize ? sh.sh_size / sh.sh_entsize : 0, step = n / SYMBOLS + 1;
	GElf_Sym sym;

	for (size_t i = 0; i < n; i += step) {
		if (!gelf_getsym(data, (int)i, &sym) || !is_function(&sym))
			continue;
		if (!ours)
			fail_msg("%s: libelf has functions, we do not", path);
		compare_symbol(path, ours, elf, data, &sh, sym.st_value);
		compare_symbol(path, ours, elf, data, &sh, sym.st_value + sym.st_size - 1);
	}
	mb_symtab_close(ours);
}

/* ---- files ---- */

static void compare_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct mb_image im;
	const void *id;
	ssize_t id_len;
	GElf_Ehdr eh;
	bool ours;
	Elf *elf;

	if (fd < 0)
		return;
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	/* only programs and shared libraries of this architecture: relocatable objects are never mapped */
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh) || eh.e_machine != EM_X86_64 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)) {
		elf_end(elf);
		close(fd);
		return;
	}
	ours = !mb_image_open(&im, fd);
	if (!ours)
		fail_msg("%s: libelf reads it, we do not", path);
	seen.files++;
	id_len = dwelf_elf_gnu_build_id(elf, &id);
	if (id_len > 0 && id_len <= MB_BUILD_ID_MAX) {
		assert_int_equal(im.build_id_len, id_len);
		assert_memory_equal(im.build_id, id, (size_t)id_len);
		seen.build_ids++;
	}
	compare_cfi(path, &im, elf);
	compare_symbols(path, &im, elf, false);
	compare_symbols(path, &im, elf, true);
	mb_image_close(&im);
	elf_end(elf);
	close(fd);
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type == FTW_F && S_ISREG(st->st_mode) && st->st_size > 64)
		compare_file(path);
	return 0;
}

static void every_file_of_this_machine_reads_the_same(void **state)
{
	(void)state;
	elf_version(EV_CURRENT);
	if (getenv("MB_ELF")) {
		verbose = true;
		compare_file(getenv("MB_ELF"));
	} else {
		assert_int_equal(nftw("/usr/bin", visit, 32, FTW_PHYS), 0);
		assert_int_equal(nftw("/usr/lib", visit, 32, FTW_PHYS), 0);
		assert_true(seen.files > 100);
	}
	print_message("%lu files, %lu rows, %lu symbols, %lu build-ids\n", seen.files, seen.rows, seen.symbols,
		      seen.build_ids);
	assert_true(seen.rows && seen.symbols && seen.build_ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_of_this_machine_reads_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
