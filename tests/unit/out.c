// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The output buffer and the JSON writer: the output can be parsed, whatever the text. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/out.h"
#include "unit.h"

static char path[64];

static int make_path(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/mb-out-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static void open_out(struct mb_out *o)
{
	struct mb_err e = { 0 };

	assert_int_equal(mb_out_open(o, path, &e), 0);
}

static json_t *close_and_parse(struct mb_out *o)
{
	struct mb_err e = { 0 };
	json_error_t je;
	json_t *j;

	mb_json_end_line(o);
	assert_int_equal(mb_out_close(o, &e), 0);
	j = json_load_file(path, 0, &je);
	if (!j)
		fail_msg("not JSON: %s", je.text);
	return j;
}

static void numbers_and_nesting(void **state)
{
	struct mb_out o;
	json_t *j, *a;

	(void)state;
	open_out(&o);
	mb_json_object(&o, NULL);
	mb_json_u64(&o, "zero", 0);
	mb_json_s64(&o, "low", INT64_MIN);
	mb_json_bool(&o, "yes", true);
	mb_json_null(&o, "none");
	mb_json_str(&o, "absent", NULL);
	mb_json_hex(&o, "hex", 0xdeadbeef0ull);
	mb_json_array(&o, "list");
	mb_json_array_end(&o);
	mb_json_array(&o, "pairs");
	for (uint64_t i = 0; i < 3; i++) {
		mb_json_array(&o, NULL);
		mb_json_u64(&o, NULL, i);
		mb_json_u64(&o, NULL, 18446744073709551ull * i);
		mb_json_array_end(&o);
	}
	mb_json_array_end(&o);
	mb_json_object_end(&o);
	j = close_and_parse(&o);
	assert_int_equal(json_integer_value(json_object_get(j, "zero")), 0);
	assert_true(json_integer_value(json_object_get(j, "low")) == INT64_MIN);
	assert_true(json_is_true(json_object_get(j, "yes")));
	assert_true(json_is_null(json_object_get(j, "none")));
	assert_true(json_is_null(json_object_get(j, "absent")));
	assert_string_equal(json_string_value(json_object_get(j, "hex")), "0xdeadbeef0");
	assert_int_equal(json_array_size(json_object_get(j, "list")), 0);
	a = json_array_get(json_object_get(j, "pairs"), 2);
	assert_true(json_integer_value(json_array_get(a, 1)) == 36893488147419102ll);
	json_decref(j);
}

/* Every byte a process can put into its name, one and two at a time, must come out as JSON. */
static void any_name_is_valid_json(void **state)
{
	struct mb_out o;
	json_t *j;

	(void)state;
	open_out(&o);
	mb_json_array(&o, NULL);
	for (int a = 1; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			char s[] = { (char)a, (char)b, 'x', 0 };

			mb_json_str(&o, NULL, s);
		}
	}
	mb_json_array_end(&o);
	j = close_and_parse(&o);
	assert_int_equal(json_array_size(j), 255 * 256);
	assert_string_equal(json_string_value(json_array_get(j, ('"' - 1) * 256 + '\\')), "\"\\x");
	json_decref(j);
}

static void utf8_is_kept(void **state)
{
	struct mb_out o;
	json_t *j;

	(void)state;
	open_out(&o);
	mb_json_object(&o, NULL);
	mb_json_str(&o, "s", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7");
	mb_json_object_end(&o);
	j = close_and_parse(&o);
	assert_string_equal(json_string_value(json_object_get(j, "s")),
			    "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7");
	json_decref(j);
}

static void more_than_the_buffer_holds(void **state)
{
	struct mb_out o;
	struct mb_err e = { 0 };
	struct stat st;

	(void)state;
	open_out(&o);
	for (int i = 0; i < 1000; i++)
		mb_out_printf(&o, "%0999d\n", i);
	assert_int_equal(mb_out_close(&o, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1000 * 1000);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_full_disk_is_an_error_that_names_the_file(void **state)
{
	struct mb_out o;
	struct mb_err e = { 0 };

	(void)state;
	assert_int_equal(mb_out_open(&o, "/dev/full", &e), 0);
	mb_out_printf(&o, "text\n");
	assert_true(mb_out_close(&o, &e) < 0);
	assert_int_equal(e.exit, MB_EXIT_FAILED);
	assert_non_null(strstr(e.text, "/dev/full"));
	assert_non_null(strstr(e.text, "No space left"));
}

static void a_missing_folder_is_an_error_that_names_the_file(void **state)
{
	struct mb_out o;
	struct mb_err e = { 0 };

	(void)state;
	assert_true(mb_out_open(&o, "/nonexistent/x", &e) < 0);
	assert_non_null(strstr(e.text, "/nonexistent/x"));
	mb_out_close(&o, &e);
}

static unsigned int mode_of(const char *file)
{
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	return st.st_mode & 07777;
}

/* Users who could read the old file cannot read the new content. */
static void a_file_becomes_its_owners(void **state)
{
	struct mb_err e = { 0 };
	struct stat st;
	struct mb_out o;

	(void)state;
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(truncate(path, 100), 0);
	open_out(&o);
	assert_int_equal(mode_of(path), 0600);
	mb_out_text(&o, "x", 1);
	assert_int_equal(mb_out_close(&o, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1);
	assert_int_equal(unlink(path), 0);
	open_out(&o);
	assert_int_equal(mb_out_close(&o, &e), 0);
	assert_int_equal(mode_of(path), 0600);
}

/* memblame must not change the mode of a pipe, nor of the file that the shell opened for standard output. */
static void pipes_and_streams_keep_their_mode(void **state)
{
	int out = dup(STDOUT_FILENO), reader;
	struct mb_err e = { 0 };
	struct mb_out o;

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0640), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	open_out(&o);
	assert_int_equal(mb_out_close(&o, &e), 0);
	close(reader);
	assert_int_equal(mode_of(path), 0640);
	assert_int_equal(unlink(path), 0);
	fflush(stdout);
	assert_non_null(freopen(path, "w", stdout));
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(mb_out_open(&o, "/dev/stdout", &e), 0);
	mb_out_text(&o, "x", 1);
	assert_int_equal(mb_out_close(&o, &e), 0);
	dup2(out, STDOUT_FILENO);
	close(out);
	assert_int_equal(mode_of(path), 0644);
}

static void memory_keeps_all_and_has_a_bound(void **state)
{
	static char block[1 << 20];
	struct mb_err e = { 0 };
	struct mb_out o;
	size_t len;
	char *text;

	(void)state;
	memset(block, 'x', sizeof(block));
	assert_int_equal(mb_out_to_memory(&o), 0);
	mb_out_printf(&o, "begin");
	mb_out_text(&o, block, sizeof(block));
	mb_out_flush(&o);
	mb_out_printf(&o, "end");
	text = mb_out_take(&o, &len, &e);
	assert_int_equal(len, sizeof(block) + 8);
	assert_memory_equal(text, "beginx", 6);
	assert_memory_equal(text + len - 4, "xend", 4);
	free(text);
	assert_int_equal(mb_out_close(&o, &e), 0);
	assert_int_equal(mb_out_to_memory(&o), 0);
	for (int i = 0; i < 65; i++)
		mb_out_text(&o, block, sizeof(block));
	assert_null(mb_out_take(&o, &len, &e));
	assert_int_equal(len, 0);
	assert_true(e.text[0] != '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers_and_nesting, make_path, remove_path),
		cmocka_unit_test_setup_teardown(any_name_is_valid_json, make_path, remove_path),
		cmocka_unit_test_setup_teardown(utf8_is_kept, make_path, remove_path),
		cmocka_unit_test_setup_teardown(more_than_the_buffer_holds, make_path, remove_path),
		cmocka_unit_test_setup_teardown(a_file_becomes_its_owners, make_path, remove_path),
		cmocka_unit_test_setup_teardown(pipes_and_streams_keep_their_mode, make_path, remove_path),
		cmocka_unit_test(a_full_disk_is_an_error_that_names_the_file),
		cmocka_unit_test(memory_keeps_all_and_has_a_bound),
		cmocka_unit_test(a_missing_folder_is_an_error_that_names_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
