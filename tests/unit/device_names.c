// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Names of devices: lines of mountinfo, mount points in one frame, and frames that no memblame has written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/ingest.h"

static void lines_of_mountinfo(void **state)
{
	struct mb_device_name d = { .bdi = "" };
	struct mb_mount_line m;

	(void)state;
	assert_true(mb_mount_line_parse("27 1 254:3 / / rw,relatime - ext4 /dev/vda3 rw,discard\n",
					&m));
	assert_int_equal(m.dev, 254 << 20 | 3);
	assert_string_equal(m.root, "/");
	assert_string_equal(m.path, "/");
	assert_string_equal(m.type, "ext4");
	assert_string_equal(m.source, "/dev/vda3");
	/* a space is written in octal; there may be zero or more optional fields before the dash */
	assert_true(mb_mount_line_parse(
		"40 27 0:47 /a\\040b /mnt/c\\040d ro master:1 shared:7 - nfs4 host:/export rw\n",
		&m));
	assert_string_equal(m.root, "/a b");
	assert_string_equal(m.path, "/mnt/c d");
	mb_device_name_mounted(&d, &m);
	assert_string_equal(d.device, "nfs4 host:/export");
	assert_true(
		mb_mount_line_parse("41 27 0:48 / /var rw - overlay overlay rw,lowerdir=/x\n", &m));
	mb_device_name_mounted(&d, &m);
	assert_string_equal(d.device, "overlay");
	assert_true(mb_mount_line_parse("41 27 0:48 / /var rw - tmpfs none rw\n", &m));
	mb_device_name_mounted(&d, &m);
	assert_string_equal(d.device, "tmpfs");
	assert_false(mb_mount_line_parse("", &m));
	assert_false(mb_mount_line_parse("41 27 0:48 /\n", &m));
	assert_false(mb_mount_line_parse("41 27 0:48 / /var rw ext4 none rw\n", &m));
}

static void a_source_too_long_is_cut(void **state)
{
	struct mb_device_name d = { .bdi = "" };
	struct mb_mount_line m = { .type = "a.file.system.of.a.long.name" };

	(void)state;
	memset(m.source, 's', sizeof(m.source) - 1);
	mb_device_name_mounted(&d, &m);
	assert_int_equal(strlen(d.device), MB_DEVICE_LEN - 2);
}

static void mounts_are_a_list(void **state)
{
	struct mb_device_names names = { 0 };
	struct mb_device_name d = { .bdi = "254:0", .device = "vda" };
	char text[256], path[200];
	unsigned int n = 0;

	(void)state;
	assert_null(mb_device_mount(&d, 0));
	assert_true(mb_device_add_mount(&d, "/"));
	assert_true(mb_device_add_mount(&d, "/home"));
	assert_false(mb_device_add_mount(&d, ""));
	assert_string_equal(mb_device_mount(&d, 0), "/");
	assert_string_equal(mb_device_mount(&d, 1), "/home");
	assert_null(mb_device_mount(&d, 2));
	assert_string_equal(mb_device_text(&names, "254:0", text, sizeof(text)), "254:0");
	mb_device_named(&names, &d);
	assert_string_equal(mb_device_text(&names, "254:0", text, sizeof(text)), "vda (/, /home)");
	assert_string_equal(mb_device_text(&names, "254:1", text, sizeof(text)), "254:1");
	assert_string_equal(mb_device_text(&names, "254:0", text, 7), "vda (/");
	/* after unmounting, the last mount points stay known; after mounting again, the new one counts */
	memset(d.mounts, 0, sizeof(d.mounts));
	mb_device_named(&names, &d);
	assert_string_equal(mb_device_text(&names, "254:0", text, sizeof(text)), "vda (/, /home)");
	mb_device_add_mount(&d, "/srv");
	mb_device_named(&names, &d);
	assert_string_equal(mb_device_text(&names, "254:0", text, sizeof(text)), "vda (/srv)");
	/* a path that does not fit is left out as a whole */
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	while (mb_device_add_mount(&d, path))
		n++;
	assert_int_equal(n, 2);
	assert_string_equal(mb_device_mount(&d, 2), path);
	assert_null(mb_device_mount(&d, 3));
	mb_device_names_free(&names);
}

static void the_oldest_gives_way(void **state)
{
	struct mb_device_names names = { 0 };
	struct mb_device_name d = { .device = "x" };

	(void)state;
	/* noted, but not looked up yet */
	mb_device_note(&names, "", 1);
	assert_int_equal(names.n, 0);
	mb_device_note(&names, "8:0", 5);
	mb_device_note(&names, "8:0", 0);
	assert_int_equal(names.n, 1);
	assert_int_equal(names.list[0].dev, 5);
	assert_null(mb_device_name_of(&names, "8:0"));
	for (unsigned int i = 0; i <= MB_DEVICES_NAMED; i++) {
		snprintf(d.bdi, sizeof(d.bdi), "8:%u", i);
		mb_device_named(&names, &d);
	}
	assert_int_equal(names.evicted, 1);
	assert_null(mb_device_name_of(&names, "8:0"));
	assert_string_equal(mb_device_name_of(&names, "8:1")->device, "x");
	assert_non_null(mb_device_name_of(&names, "8:256"));
	mb_device_names_free(&names);
}

static void frames(void **state)
{
	struct mb_device_name d = { .bdi = "7:0", .device = "loop0" };
	struct mb_model m;
	char text[2048];
	size_t i = 0;

	(void)state;
	mb_model_init(&m);
	mb_device_add_mount(&d, "/mnt");
	assert_int_equal(mb_ingest_apply(&m, MB_INGEST_DEVICE, &d, sizeof(d) - 1), -EINVAL);
	assert_int_equal(mb_ingest_apply(&m, MB_INGEST_DEVICE, &d, sizeof(d)), 0);
	assert_string_equal(mb_device_text(&m.devices, "7:0", text, sizeof(text)),
			    "loop0 (/mnt)");
	/* without a terminating NUL */
	memset(&d, 'x', sizeof(d));
	assert_int_equal(mb_ingest_apply(&m, MB_INGEST_DEVICE, &d, sizeof(d)), 0);
	d.bdi[sizeof(d.bdi) - 1] = '\0';
	assert_non_null(mb_device_name_of(&m.devices, d.bdi));
	while (mb_device_mount(mb_device_name_of(&m.devices, d.bdi), i))
		i++;
	assert_int_equal(i, 1);
	assert_true(strlen(mb_device_text(&m.devices, d.bdi, text, sizeof(text))) <
		    sizeof(text));
	mb_model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_mountinfo),
		cmocka_unit_test(a_source_too_long_is_cut),
		cmocka_unit_test(mounts_are_a_list),
		cmocka_unit_test(the_oldest_gives_way),
		cmocka_unit_test(frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
