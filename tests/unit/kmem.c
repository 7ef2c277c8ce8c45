// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The kernel's texts about its own memory: as they are, cut anywhere, and with garbage. */
#include <stdlib.h>
#include <string.h>

#include "memblame/abi.h"
#include "model/kmemfs.h"
#include "unit.h"

static const char slabinfo[] =
	"slabinfo - version: 2.1\n"
	"# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> "
	"<batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
	"ext4_groupinfo_1k    225    225    160   25    1 : tunables    0    0    0 : slabdata      9      9      0\n"
	"btrfs_delayed_node      0      0    312   13    1 : tunables    0    0    0 : slabdata      0      0      0\n"
	"nonsense\n"
	"\n"
	"overflow 18446744073709551615 1 8 1 1 : tunables 0 0 0 : slabdata 0 0 0\n"
	"large 1125899906842624 1 1125899906842624 1 1 : tunables 0 0 0 : slabdata 0 0 0\n"
	"dentry            273536 275121    192   21    1 : tunables    0    0    0 : slabdata  13101  13101      0";

static const char vmallocinfo[] =
	"0x0000000073eca32e-0x00000000ec306b9c   20480 irq_init_percpu_irqstack+0xca/0x100 vmap\n"
	"0x00000000ec306b9c-0x0000000098a1b936    8192 acpi_os_map_iomem+0x1bc/0x1e0 phys=0x00000000000a0000 ioremap\n"
	"0x00000000fd4575a1-0x00000000846cf7e3   20480 kernel_clone+0x94/0x3e0 pages=4 vmalloc N0=4\n"
	"0x00000000fd4575a1-0x00000000846cf7e3   69632 xt_alloc_entry_offsets+0x1b/0x20 [x_tables] pages=16 vmalloc\n"
	"0x00000000fd4575a1-0x00000000846cf7e3   12288 unpurged vm_area\n"
	"0xffffc90000000000-0xffffc90000005000   16384 vm_map_ram\n"
	"(____ptrval____)-(____ptrval____)   16384 early+0x1/0x2 pages=3 vmalloc\n"
	"0x1-0x2 x y\n"
	"0x1-0x2 4096";

static void expect(bool (*next)(const char **, struct mb_kmemfs_line *), const char **text, const char *name,
		   uint64_t bytes, uint64_t objects)
{
	struct mb_kmemfs_line line;

	assert_true(next(text, &line));
	assert_string_equal(line.name, name);
	assert_int_equal(line.bytes, bytes);
	assert_int_equal(line.objects, objects);
}

static void caches(void **state)
{
	struct mb_kmemfs_line line;
	const char *text = slabinfo;

	(void)state;
	expect(mb_kmemfs_slabinfo, &text, "ext4_groupinfo_1k", 225 * 160, 225);
	expect(mb_kmemfs_slabinfo, &text, "btrfs_delayed_node", 0, 0);
	expect(mb_kmemfs_slabinfo, &text, "dentry", 273536ull * 192, 273536);
	assert_false(mb_kmemfs_slabinfo(&text, &line));
	assert_false(mb_kmemfs_slabinfo(&text, &line));
}

static void areas(void **state)
{
	struct mb_kmemfs_line line;
	const char *text = vmallocinfo;

	(void)state;
	expect(mb_kmemfs_vmallocinfo, &text, "irq_init_percpu_irqstack", 20480, 1);
	expect(mb_kmemfs_vmallocinfo, &text, "kernel_clone", 4 * MB_PAGE_SIZE, 1);
	expect(mb_kmemfs_vmallocinfo, &text, "xt_alloc_entry_offsets", 16 * MB_PAGE_SIZE, 1);
	expect(mb_kmemfs_vmallocinfo, &text, "vm_map_ram", 16384, 1);
	assert_false(mb_kmemfs_vmallocinfo(&text, &line));
}

/* Copies the text into a buffer of exactly its length, so that sanitizers detect reads beyond it. */
static void read_all(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	struct mb_kmemfs_line line;
	const char *at;

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (at = copy; mb_kmemfs_slabinfo(&at, &line);)
		assert_true(strlen(line.name) < sizeof(line.name));
	assert_ptr_equal(at, copy + strlen(copy));
	for (at = copy; mb_kmemfs_vmallocinfo(&at, &line);)
		assert_true(strlen(line.name) < sizeof(line.name));
	assert_ptr_equal(at, copy + strlen(copy));
	free(copy);
}

static void cut_anywhere(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(slabinfo); len++)
		read_all(slabinfo, len);
	for (size_t len = 0; len < sizeof(vmallocinfo); len++)
		read_all(vmallocinfo, len);
}

static void long_lines(void **state)
{
	static char text[4096];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	read_all(text, sizeof(text) - 1);
	memset(text, '9', sizeof(text) - 1);
	read_all(text, sizeof(text) - 1);
	memcpy(text, "0x1-0x2 4096 ", 13);
	memset(text + 13, 'b', sizeof(text) - 14);
	read_all(text, sizeof(text) - 1);
}

/* Texts with some characters replaced; the same ones in each run. */
static void exchanged(void **state)
{
	static const char other[] = "0189aZ+ \n#:=-\t\xff.x";
	uint64_t seed = 1;
	char text[sizeof(vmallocinfo) > sizeof(slabinfo) ? sizeof(vmallocinfo) : sizeof(slabinfo)];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		const char *from = round & 1 ? slabinfo : vmallocinfo;
		size_t len = strlen(from);

		memcpy(text, from, len + 1);
		for (int i = 0; i < 1 + round % 8; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			text[(seed >> 33) % len] = other[(seed >> 20) % (sizeof(other) - 1)];
		}
		read_all(text, len);
	}
}

/* Samples one in 16 neighbouring objects, whatever their size. */
static void the_sample_is_even(void **state)
{
	(void)state;
	for (uint64_t size = 8; size <= 8192; size += 8) {
		uint64_t n = 0;

		for (uint64_t i = 0; i < 65536; i++)
			n += (uint64_t)mb_kmem_sampled(0xffff888100000000ull + i * size, 15);
		assert_in_range(n, 4096 * 9 / 10, 4096 * 11 / 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caches),	cmocka_unit_test(areas),     cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(long_lines),	cmocka_unit_test(exchanged), cmocka_unit_test(the_sample_is_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
