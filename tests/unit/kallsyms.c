// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Names of kernel functions: includes modules loaded later, and none that are unloaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kallsyms_line.h"
#include "symbols/kallsyms.h"
#include "unit.h"

static char folder[] = "/tmp/mb-kallsyms-XXXXXX", symbols[64], modules[64];

/* Overwrites the file in place, because the reader holds it open like the kernel's file. */
static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void expect(const struct mb_kallsyms *k, uint64_t address, const char *name)
{
	char buf[128];

	assert_string_equal(mb_kallsyms_name(k, address, buf, sizeof(buf)), name);
}

#define VMLINUX "ffffffff81000000 T start\nffffffff81001000 t middle\nffffffff81001800 d data\nffffffff81002000 W weak\n"

static void modules_come_and_go(void **state)
{
	struct mb_kallsyms *k;

	(void)state;
	write_file(symbols, VMLINUX "ffffffffc0001000 t old_fn\t[old]\n");
	write_file(modules, "old 16384 0 - Live 0x0\n");
	k = mb_kallsyms_open_files(symbols, modules);
	assert_non_null(k);
	expect(k, 0xffffffff81001010, "middle+0x10");
	expect(k, 0xffffffff81001900, "middle+0x900");
	expect(k, 0xffffffff81002001, "weak+0x1");
	expect(k, 0xffffffffc0001020, "old_fn+0x20");
	/* only the users of the module changed: the symbols are not read again */
	write_file(symbols, VMLINUX "ffffffffc0001000 t new_fn\t[new]\n");
	write_file(modules, "old 16384 3 x,y, Live 0x0\n");
	mb_kallsyms_refresh(k);
	expect(k, 0xffffffffc0001020, "old_fn+0x20");
	write_file(modules, "new 16384 0 - Live 0x0\n");
	mb_kallsyms_refresh(k);
	expect(k, 0xffffffffc0001020, "new_fn+0x20");
	expect(k, 0xffffffff81001010, "middle+0x10");
	/* unreadable files change nothing */
	write_file(symbols, "");
	write_file(modules, "");
	mb_kallsyms_refresh(k);
	expect(k, 0xffffffffc0001020, "new_fn+0x20");
	write_file(symbols, VMLINUX);
	mb_kallsyms_refresh(k);
	expect(k, 0xffffffffc0001020, "");
	mb_kallsyms_close(k);
}

/* The code that started a module is freed, and its pages are behind the module's last function. */
static void code_that_is_gone_has_no_name(void **state)
{
	struct mb_kallsyms *k;

	(void)state;
	write_file(symbols, VMLINUX "ffffffffc0001000 t first\t[one]\nffffffffc0003f00 t last\t[one]\n"
				    "ffffffffc0008000 t other\t[two]\n");
	write_file(modules, "one 16384 0 - Live 0x0\ntwo 4096 0 - Live 0x0\n");
	k = mb_kallsyms_open_files(symbols, modules);
	assert_non_null(k);
	expect(k, 0xffffffffc0002345, "first+0x1345");
	expect(k, 0xffffffffc0003fff, "last+0xff");
	expect(k, 0xffffffffc0004000, "");
	expect(k, 0xffffffffc0004d9a, "");
	expect(k, 0xffffffffc0008001, "other+0x1");
	expect(k, 0xffffffffc0009000, "");
	mb_kallsyms_close(k);
}

static void lines(void **state)
{
	struct mb_kallsyms_line l;
	FILE *f;

	(void)state;
	write_file(symbols, "ffffffff81000000 T start\n0000000000000000 T hidden\nnot a symbol\nffffffff810\n"
			    "ffffffffc0000000 d data\t[one]\nffffffffc0000010 t last");
	f = fopen(symbols, "r");
	assert_non_null(f);
	assert_true(mb_kallsyms_line_next(f, &l));
	assert_true(l.address == 0xffffffff81000000 && l.type == 't');
	assert_string_equal(l.name, "start");
	assert_string_equal(l.module, "");
	assert_true(mb_kallsyms_line_next(f, &l));
	assert_true(l.address == 0xffffffffc0000000 && l.type == 'd');
	assert_string_equal(l.name, "data");
	assert_string_equal(l.module, "[one]");
	assert_true(mb_kallsyms_line_next(f, &l));
	assert_string_equal(l.name, "last");
	assert_string_equal(l.module, "");
	assert_false(mb_kallsyms_line_next(f, &l));
	fclose(f);
}

static void nothing_is_no_table(void **state)
{
	char buf[8];

	(void)state;
	write_file(symbols, "0000000000000000 T hidden\n");
	assert_null(mb_kallsyms_open_files(symbols, modules));
	assert_null(mb_kallsyms_open_files("/nowhere", modules));
	mb_kallsyms_refresh(NULL);
	assert_string_equal(mb_kallsyms_name(NULL, 1, buf, sizeof(buf)), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modules_come_and_go),
		cmocka_unit_test(code_that_is_gone_has_no_name),
		cmocka_unit_test(lines),
		cmocka_unit_test(nothing_is_no_table),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	snprintf(symbols, sizeof(symbols), "%s/kallsyms", folder);
	snprintf(modules, sizeof(modules), "%s/modules", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(symbols);
	unlink(modules);
	rmdir(folder);
	return failed;
}
