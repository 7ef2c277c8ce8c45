// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Paths longer than the kernel accepts in one call: opened as a whole, shortened with a mark. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/longpath.h"

#define LEVELS 40
#define NAME_BYTES 255

static void what_fits_stays_whole(void **state)
{
	char to[16];

	(void)state;
	mb_shorten(to, sizeof(to), "/fifteen/bytes!", 7);
	assert_string_equal(to, "/fifteen/bytes!");
	mb_shorten(to, sizeof(to), "", 7);
	assert_string_equal(to, "");
}

static void the_middle_is_marked(void **state)
{
	char to[41];

	(void)state;
	mb_shorten(to, sizeof(to), "/the/first/part/of/a/path/that/is/too/long/for/the/room", 12);
	assert_int_equal(strlen(to), 40);
	assert_string_equal(to, "/the/first/pa...(id 12)...g/for/the/room");
}

/* If there is no room for the mark, only the beginning of the path remains. */
static void too_small_for_a_mark(void **state)
{
	char to[8];

	(void)state;
	mb_shorten(to, sizeof(to), "/much/too/long", UINT64_MAX);
	assert_string_equal(to, "/much/t");
}

static void remove_levels(int above, const char *name, int levels)
{
	int fd = openat(above, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (levels)
		remove_levels(fd, name, levels - 1);
	unlinkat(fd, "file", 0);
	close(fd);
	unlinkat(above, name, AT_REMOVEDIR);
}

static void a_path_of_any_length_is_opened(void **state)
{
	char root[] = "/tmp/memblame-longpath.XXXXXX", name[NAME_BYTES + 1], path[LEVELS * (NAME_BYTES + 1) + 1] = "";
	int fd, above, file;
	char byte = 0;

	(void)state;
	assert_non_null(mkdtemp(root));
	memset(name, 'n', NAME_BYTES);
	name[NAME_BYTES] = '\0';
	above = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < LEVELS; i++) {
		assert_int_equal(mkdirat(above, name, 0700), 0);
		fd = openat(above, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(above);
		above = fd;
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s", name);
	}
	file = openat(above, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(file, "x", 1), 1);
	close(file);
	close(above);
	fd = mb_long_open_in(root, path, "file", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(fd);
	/* a path that does not exist, one with a component that is too long, and the root itself */
	assert_int_equal(mb_long_open_in(root, path, "other", O_RDONLY), -ENOENT);
	fd = mb_long_open(root, "/", O_PATH);
	assert_true(fd >= 0);
	close(fd);
	memset(path, 'n', sizeof(path) - 1);
	assert_int_equal(mb_long_open(root, path, O_PATH), -ENAMETOOLONG);
	above = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	remove_levels(above, name, LEVELS);
	close(above);
	assert_int_equal(rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_stays_whole),
		cmocka_unit_test(the_middle_is_marked),
		cmocka_unit_test(too_small_for_a_mark),
		cmocka_unit_test(a_path_of_any_length_is_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
