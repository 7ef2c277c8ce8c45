// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A kernel module that is loaded while memblame runs: what its code allocates has the names of its functions. The
 * module makes disks when it is loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#define MODULE "brd"
#define DEVICES 100
/* the readings of the kernel's tables, one per second, before and after the module is there */
#define SETTLE_US 2500000

static void load(void)
{
	int fd = open("/modules/" MODULE ".ko", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		live_skip("this kernel's package has no module " MODULE);
	if (syscall(SYS_finit_module, fd, "rd_nr=100 rd_size=64 max_part=1", 0))
		live_fail("cannot load " MODULE ": %s", strerror(errno));
	close(fd);
}

static int unload(void **state)
{
	(void)state;
	syscall(SYS_delete_module, MODULE, O_NONBLOCK);
	return 0;
}

/* Has the stack a frame of that function of the module? */
static bool has_frame(const json_t *group, const char *function)
{
	json_t *frame;
	size_t i;

	json_array_foreach(live_get(group, "stack"), i, frame)
	{
		const json_t *symbol = live_get(frame, "symbol");

		if (json_is_string(symbol) && !strncmp(json_string_value(symbol), function, strlen(function)))
			return true;
	}
	return false;
}

static void test_loaded_later(void **state)
{
	struct live_result *result;
	struct live_bg *bg;
	long long count = 0;
	char self[16];
	json_t *document, *group;
	size_t i;

	(void)state;
	snprintf(self, sizeof(self), "%d", (int)getpid());
	bg = live_start(LIVE_ARGV("leaks", "--kernel", "-f", "kmem", "--json", "-i", "1", "-p", self));
	usleep(SETTLE_US);
	load();
	usleep(SETTLE_US);
	result = live_stop(bg);
	live_equal("status", result->status, 0);
	document = live_last_json(result->out);
	json_array_foreach(live_get(document, "groups"), i, group)
	{
		count += has_frame(group, "brd_alloc") ? live_int(group, "outstanding_count") : 0;
		/* the code that started the module is gone, and nothing else was at its addresses */
		assert_false(has_frame(group, "cleanup_module") || has_frame(group, "brd_exit"));
	}
	/* each device is several objects, of which one in 16 is seen */
	if (count < DEVICES)
		live_fail("%lld objects of the module, which has %d devices", count, DEVICES);
	json_decref(document);
	live_result_free(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_loaded_later, unload),
	};

	guest_only("loads a module into the kernel");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
