// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Names of code made at run time: which function is at an address at which time, read from a file that grows. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/jit.h"

struct file {
	struct mb_jit jit;
	char path[64];
	int fd;
};

static struct file f;

static int open_file(void **state)
{
	(void)state;
	mb_jit_init(&f.jit);
	snprintf(f.path, sizeof(f.path), "/tmp/memblame-jit-XXXXXX");
	f.fd = mkstemp(f.path);
	f.jit.fd = dup(f.fd);
	mb_jit_allow(&f.jit, 64 << 20);
	return f.fd < 0 || f.jit.fd < 0;
}

static int close_file(void **state)
{
	(void)state;
	mb_jit_free(&f.jit);
	close(f.fd);
	return unlink(f.path);
}

static void put(const char *text)
{
	assert_int_equal(write(f.fd, text, strlen(text)), strlen(text));
}

static void is(uint64_t address, const char *name, const char *other)
{
	const char *o, *n = mb_jit_find(&f.jit, address, &o);

	if (!name)
		assert_null(n);
	else
		assert_string_equal(n ? n : "(none)", name);
	if (!other)
		assert_null(o);
	else
		assert_string_equal(o ? o : "(none)", other);
}

static void test_newest_wins(void **state)
{
	(void)state;
	put("1000 100 big\n1040 10 inner\nnonsense\n-5 10 x\n1100 10\n1080 100 next one\n");
	mb_jit_look(&f.jit, 10);
	mb_jit_at(&f.jit, 10);
	is(0xfff, NULL, NULL);
	is(0x1000, "big", NULL);
	is(0x1045, "inner", NULL);
	is(0x1050, "big", NULL);
	is(0x1080, "next one", NULL);
	is(0x117f, "next one", NULL);
	is(0x1180, NULL, NULL);
}

/* The function at an address at a given time, or both candidates if one replaced the other around that time. */
static void test_times(void **state)
{
	(void)state;
	put("1000 10 f\n2000 10 s\n");
	mb_jit_look(&f.jit, 10);
	put("1000 10 g\n3000 10 n\n");
	mb_jit_look(&f.jit, 20);
	put("1000 10 h\n1000 10 i\n");
	mb_jit_look(&f.jit, 30);
	mb_jit_at(&f.jit, 5);
	is(0x1000, "f", NULL); /* the line must have been written by then, though it was not read yet */
	is(0x3000, NULL, NULL);
	mb_jit_at(&f.jit, 12);
	is(0x1000, "g", "f");
	is(0x2000, "s", NULL);
	is(0x3000, "n", NULL);
	mb_jit_at(&f.jit, 20);
	is(0x1000, "i", "g");
	is(0x3000, "n", NULL);
	mb_jit_at(&f.jit, 30);
	is(0x1000, "i", NULL);
	is(0x2000, "s", NULL);
}

static void test_half_a_line(void **state)
{
	(void)state;
	put("1000 10 f\n2000 10 ha");
	mb_jit_look(&f.jit, 10);
	mb_jit_at(&f.jit, 10);
	is(0x1000, "f", NULL);
	is(0x2000, NULL, NULL);
	put("lf\n");
	mb_jit_look(&f.jit, 20);
	mb_jit_at(&f.jit, 20);
	is(0x2000, "half", NULL);
	assert_int_equal(mb_jit_unread(&f.jit), 0);
}

static void test_written_anew(void **state)
{
	(void)state;
	put("1000 10 f\n2000 10 g\n");
	mb_jit_look(&f.jit, 10);
	mb_jit_at(&f.jit, 10);
	assert_int_equal(ftruncate(f.fd, 0), 0);
	lseek(f.fd, 0, SEEK_SET);
	put("1000 10 h\n");
	mb_jit_look(&f.jit, 20);
	mb_jit_at(&f.jit, 20);
	is(0x1000, "h", NULL);
	is(0x2000, NULL, NULL);
}

static void test_only_what_is_allowed(void **state)
{
	char line[64];

	(void)state;
	for (int i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "%x 10 f%d\n", 0x10000 + 16 * i, i);
		put(line);
	}
	mb_jit_allow(&f.jit, 100000);
	mb_jit_look(&f.jit, 10);
	mb_jit_at(&f.jit, UINT64_MAX);
	assert_true(f.jit.read >= 100000 && f.jit.read < 200000);
	assert_int_equal(mb_jit_unread(&f.jit), f.jit.size - f.jit.read);
	is(0x10000 + 16 * 99999, NULL, NULL);
	mb_jit_allow(&f.jit, 1 << 24);
	mb_jit_at(&f.jit, UINT64_MAX);
	assert_int_equal(mb_jit_unread(&f.jit), 0);
	for (int i = 0; i < 100000; i += 777) {
		snprintf(line, sizeof(line), "f%d", i);
		is(0x10000 + 16 * (uint64_t)i + 15, line, NULL);
	}
}

/* Code generated again and again at the same address uses no more memory. */
static void test_bounded(void **state)
{
	char line[64];

	(void)state;
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 10000; i++) {
			snprintf(line, sizeof(line), "%x 10 r%df%d\n", 0x10000 + 16 * i, round, i);
			put(line);
		}
		mb_jit_allow(&f.jit, 1 << 24);
		mb_jit_look(&f.jit, (uint64_t)round);
		mb_jit_at(&f.jit, (uint64_t)round);
	}
	is(0x10005, "r59f0", NULL);
	is(0x10000 + 16 * 9999, "r59f9999", NULL);
	assert_true(f.jit.n_functions <= 30000);
	assert_true(f.jit.names_len < 6 << 20);
	assert_false(f.jit.full);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, open_file, close_file)
	const struct CMUnitTest tests[] = {
		TEST(test_newest_wins),		 TEST(test_times),
		TEST(test_half_a_line),		 TEST(test_written_anew),
		TEST(test_only_what_is_allowed), TEST(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
