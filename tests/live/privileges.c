// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Privileges: which are sufficient, which remain after the start, and who may read the output. */
#include "live.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIT(cap) (1ull << (cap))

static const char *const nobody[] = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups" };
#define NOBODY nobody[0], nobody[1], nobody[2], nobody[3]

static unsigned long long capabilities(pid_t pid, const char *key)
{
	char path[64], *text, *at;
	unsigned long long caps;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	text = live_slurp(path, NULL);
	at = strstr(text, key);
	assert_non_null(at);
	caps = strtoull(at + strlen(key), NULL, 16);
	free(text);
	return caps;
}

/* Makes a copy in a folder that every user can reach, wherever the build is. */
static const char *public_copy(const char *from, const char *name)
{
	const char *copy = live_path(name);

	assert_int_equal(chmod(live_tmp(), 0711), 0);
	live_result_free(live_exec(LIVE_ARGV("cp", from, copy), NULL));
	assert_int_equal(chmod(copy, 0755), 0);
	return copy;
}

/*
 * Before 5.11, BPF maps are charged to RLIMIT_MEMLOCK. Later kernels charge the cgroup, where raising the
 * limit may not be possible.
 */
static void lock_without_limit(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &none);
}

/* Without root, with two capabilities, the counts still match the kernel's to the last fault. */
static void test_two_are_enough(void **state)
{
	const char *memblame = public_copy(live_bin("memblame"), "memblame");
	const char *faulter = public_copy(live_workload("faulter"), "faulter");
	struct live_result *result = live_exec(
		LIVE_ARGV(NOBODY, "--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon",
			  "--bounding-set=-all,+bpf,+perfmon", memblame, "run", "--json", "--", faulter, "anon",
			  "5000"), NULL);
	char *line = strstr(result->out, "{\"schema\"");
	json_t *summary, *truth, *process;

	(void)state;
	if (result->status || !line)
		live_fail("status %d: %s%s", result->status, result->err, result->out);
	summary = live_json(line);
	*line = '\0';
	truth = live_json(result->out);
	process = live_process(summary, (pid_t)live_int(truth, "pid"));
	live_equal("minor", live_int(process, "faults.minor"), live_int(truth, "minflt"));
	live_equal("major", live_int(process, "faults.major"), live_int(truth, "majflt"));
	live_equal("lost", live_lost_faults(summary), 0);
	json_decref(summary);
	json_decref(truth);
	live_result_free(result);
}

/* doctor lists the capabilities that are missing, and what is unavailable without them. */
static void test_doctor_tells(void **state)
{
	const char *memblame = public_copy(live_bin("memblame"), "memblame");
	struct live_result *result = live_exec(
		LIVE_ARGV(NOBODY, "--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon", memblame,
			  "doctor", "--json"), NULL);
	json_t *doctor;

	(void)state;
	live_equal("status", result->status, 0);
	doctor = live_json(result->out);
	assert_true(live_bool(doctor, "privileges.cap_bpf"));
	assert_false(live_bool(doctor, "privileges.cap_sys_ptrace"));
	assert_true(live_str(doctor, "without.cap_sys_ptrace")[0] != '\0');
	assert_null(json_object_get(live_get(doctor, "without"), "cap_bpf"));
	json_decref(doctor);
	live_result_free(result);
}

/* Once everything is attached, a memblame run as root drops all privileges that it does not need to continue. */
static void test_the_rest_is_dropped(void **state)
{
	const unsigned long long needed = BIT(CAP_BPF) | BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH) |
					  BIT(CAP_KILL) | BIT(CAP_CHECKPOINT_RESTORE);
	struct live_bg *top = live_start(LIVE_ARGV("top", "--json", "-i", "60"));

	(void)state;
	assert_int_equal(capabilities(top->pid, "CapEff:") & ~needed, 0);
	assert_int_equal(capabilities(top->pid, "CapPrm:") & ~needed, 0);
	assert_int_equal(capabilities(top->pid, "CapInh:") & ~needed, 0);
	live_result_free(live_stop(top));
}

static void check_private(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_files_are_private(void **state)
{
	const char *summary = live_path("summary.json"), *recording = live_path("recording.db");

	(void)state;
	live_result_free(live_memblame(LIVE_ARGV("run", "--json", "-o", summary, "--", "true")));
	check_private(summary);
	live_result_free(live_memblame(LIVE_ARGV("record", "-o", recording, "--", "true")));
	check_private(recording);
}

/* The same for the service: it starts up, and its files belong to its own user. */
static void test_service_without_root(void **state)
{
	const char *memblame = public_copy(live_bin("memblame"), "memblame"), *dir = live_path("nobody");
	char listen[320], db[300], socket[300];
	struct live_result *r = NULL;
	struct live_bg *serve;
	struct stat st;

	(void)state;
	snprintf(socket, sizeof(socket), "%s/socket", dir);
	snprintf(listen, sizeof(listen), "unix:%s", socket);
	snprintf(db, sizeof(db), "%s/memblame.db", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(chown(dir, 65534, 65534), 0);
	serve = live_spawn(LIVE_ARGV(NOBODY, "--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon",
				     memblame, "serve", "--state-dir", dir, "--listen", listen, "-i", "0.5"));
	for (int i = 0; i < 40; i++) {
		live_result_free(r);
		r = live_exec(LIVE_ARGV("curl", "-s", "-m", "10", "--unix-socket", socket, "http://memblame/readyz"), NULL);
		if (!strcmp(r->out, "ready\n"))
			break;
		usleep(500000);
	}
	assert_string_equal(r->out, "ready\n");
	live_result_free(r);
	check_private(db);
	assert_int_equal(stat(db, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	kill(serve->pid, SIGTERM);
	r = live_wait(serve);
	live_equal("status", r->status, 0);
	live_result_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_are_enough),
		cmocka_unit_test(test_doctor_tells),
		cmocka_unit_test(test_the_rest_is_dropped),
		cmocka_unit_test(test_files_are_private),
		cmocka_unit_test(test_service_without_root),
	};

	lock_without_limit();
	return cmocka_run_group_tests_name("privileges", tests, NULL, NULL);
}
