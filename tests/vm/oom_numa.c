// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* memblame oom when only the node that a cpuset allows runs out of memory (cgroup v2, two NUMA nodes). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "killing.h"


static void test_cpuset(void **state)
{
	const char *reason = sandbox_cgroup_open(&guest_cgroup, 4ul << 30);
	int log = sandbox_kmsg_open();
	struct live_bg *oom, *hog;
	struct live_result *r;
	struct kmsg_kill k;
	json_t *doc, *zone;
	char path[320];
	size_t i;

	(void)state;
	if (access("/sys/devices/system/node/node1", F_OK))
		live_skip("this kernel knows one NUMA node only");
	if (reason)
		live_fail("%s", reason);
	guest_write("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
	snprintf(path, sizeof(path), "%s/cpuset.mems", guest_cgroup.dir);
	guest_write(path, "1");
	oom = killing_start_in(live_path("cpuset"));
	setenv("WORKLOAD_CGROUP", guest_cgroup.dir, 1);
	hog = live_spawn(LIVE_ARGV(live_workload("memhog"), "2048", "anon"));
	unsetenv("WORKLOAD_CGROUP");
	live_equal("status of the hog", live_wait(hog)->status, KILLED);
	if (!live_wait_text(oom->out_path, "\"kernel_log\""))
		live_fail("no report");
	r = live_stop(oom);
	doc = live_json(r->out);
	k = kmsg_kill(log, (pid_t)live_int(doc, "victim.pid"));
	assert_string_equal(k.constraint, "cpuset");
	assert_string_equal(live_str(doc, "constraint"), "cpuset");
	assert_string_equal(live_str(doc, "victim.comm"), "memhog");
	live_equal("gfp_mask", live_int(doc, "trigger.gfp_mask"), k.gfp_mask);
	live_equal("tasks", (long long)json_array_size(live_get(doc, "tasks")), (long long)k.n_tasks);
	assert_non_null(strstr(live_str(doc, "sentence"), "because the memory of its cpuset ran out; the growth was "
							  "its own (+"));
	/* its node is below its watermark, the other one is not */
	json_array_foreach(live_get(doc, "memory.zones"), i, zone) {
		bool low = live_int(zone, "free_bytes") < live_int(zone, "high_bytes");

		if (live_int(zone, "managed_bytes") > 100 << 20)
			assert_int_equal(low, live_int(zone, "node") == 1);
	}
	json_decref(doc);
	live_result_free(r);
	kmsg_free(&k);
	close(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_cpuset),
	};

	guest_only("uses up all memory of a node");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
