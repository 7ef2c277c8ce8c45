// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Kills in a memory cgroup that is full of one kind of memory. Most of this memory is in no process's
 * resident set, or in those of several processes. The report must name the kind, its growth and its owner,
 * not a nearby process that took little. The workload takes all available room, so the expected growth is
 * known.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "killing.h"

static struct live_bg *oom, *charger;
static struct killing_holder innocent;

/*
 * One process has a little memory and is there first; another takes what is left. Returns the report of the
 * first kill.
 */
static json_t *charge_once(const char *const args[])
{
	const char *argv[8] = { live_workload("charger") };
	json_t *all, *first;

	killing_open();
	oom = killing_start();
	innocent = killing_hold("6", "0");
	for (int i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	charger = live_spawn(argv);
	for (int i = 0; i < 1500 && !sandbox_cgroup_oom_kills(&killing_cgroup); i++)
		usleep(20000);
	all = killing_some_reports(oom, 1);
	first = json_incref(json_array_get(all, 0));
	json_decref(all);
	return first;
}

static int close_all(void **state)
{
	if (charger)
		kill(charger->pid, SIGKILL);
	killing_close(state);
	if (charger)
		live_result_free(live_wait(charger));
	if (innocent.bg) {
		close(innocent.input);
		live_result_free(live_wait(innocent.bg));
		unlink(innocent.fifo);
	}
	innocent.bg = NULL;
	charger = NULL;
	return 0;
}

/* The room for the workload. */
#define ROOM (KILLING_LIMIT - 6 * MIB)

/*
 * Charges again if the report covers only a part of the growth: in an emulator that stands still, the first tick
 * with the cgroup may come when the workload has charged a part of it.
 */
static json_t *charge(const char *const args[])
{
	for (int tries = LIVE_CLOCK_TRIES;; tries--) {
		json_t *doc = charge_once(args);

		if (tries == 1 || live_int(doc, "culprit.growth_bytes") > ROOM * 3 / 4)
			return doc;
		json_decref(doc);
		close_all(NULL);
	}
}

/*
 * The kind grew by the available room. The culprit is the workload, with this attribution; no culprit if how
 * is NULL.
 */
static void assert_grew(json_t *doc, const char *kind, const char *how, long long slack)
{
	const char *verdict = how ? "clear" : "not processes";

	if (strcmp(live_str(doc, "culprit.verdict"), verdict) || strcmp(live_str(doc, "culprit.kind"), kind))
		live_fail("not %s, %s: %s", verdict, kind, live_str(doc, "sentence"));
	live_near("growth", live_int(doc, "culprit.growth_bytes"), ROOM - slack / 2, slack);
	if (!how) {
		assert_true(live_null(doc, "culprit.comm"));
		return;
	}
	assert_string_equal(live_str(doc, "culprit.comm"), "charger");
	assert_string_equal(live_str(doc, "culprit.how"), how);
}

static bool is_v1(json_t *doc)
{
	return live_int(doc, "memcg.version") == 1;
}

/* Does memory.stat of this kernel list this kind separately from other kernel memory? */
static bool tells(const char *name)
{
	return sandbox_cgroup_stat(&killing_cgroup, name) >= 0;
}

static void test_memfd(void **state)
{
	json_t *doc = charge((const char *[]){ "memfd", "90", "1200", NULL });

	(void)state;
	assert_grew(doc, "shmem", "wrote", 6 * MIB);
	json_decref(doc);
}

static void test_page_tables(void **state)
{
	json_t *doc = charge((const char *[]){ "tables", "90", "1200", NULL });

	(void)state;
	assert_grew(doc, "page_tables", "owns", 8 * MIB);
	live_equal("culprit", live_int(doc, "culprit.pid"), charger->pid);
	live_equal("processes", live_int(doc, "culprit.processes"), 1);
	json_decref(doc);
}

/* Six processes map the memory. It counts once, and the report names all six. */
static void test_shared(void **state)
{
	json_t *doc = charge((const char *[]){ "shared", "90", "1200", "6", NULL });

	(void)state;
	assert_grew(doc, "shmem", "maps", 10 * MIB);
	live_equal("processes", live_int(doc, "culprit.processes"), 6);
	json_decref(doc);
}

static void test_system_v(void **state)
{
	json_t *doc = charge((const char *[]){ "sysv", "90", "1200", NULL });

	(void)state;
	assert_grew(doc, "shmem", "maps", 6 * MIB);
	live_equal("culprit", live_int(doc, "culprit.pid"), charger->pid);
	json_decref(doc);
}

/* Six processes share one address space; the first one represents it. */
static void test_one_address_space(void **state)
{
	json_t *doc = charge((const char *[]){ "clones", "90", "1200", "6", NULL });

	(void)state;
	assert_grew(doc, "anon", "owns", 8 * MIB);
	live_equal("culprit", live_int(doc, "culprit.pid"), charger->pid);
	live_equal("processes", live_int(doc, "culprit.processes"), 1);
	assert_true(strstr(live_str(doc, "sentence"), "not from the victim") == NULL);
	json_decref(doc);
}

/* The children share the memory of their parent. */
static void test_forks(void **state)
{
	json_t *doc = charge((const char *[]){ "forks", "90", "1200", "6", NULL });

	(void)state;
	assert_grew(doc, "anon", "owns", 10 * MIB);
	json_decref(doc);
}

/* On v2, some kernels do not count certain buffers as slabs or as kernel memory. */
static void assert_kernel(json_t *doc)
{
	const char *kind = live_str(doc, "culprit.kind");

	if (is_v1(doc))
		assert_string_equal(kind, "kernel");
	else if (strcmp(kind, "kernel") && strcmp(kind, "slab") && strcmp(kind, "unaccounted"))
		live_fail("%s", live_str(doc, "sentence"));
	assert_grew(doc, kind, NULL, 24 * MIB);
}

static void test_pipes(void **state)
{
	json_t *doc = charge((const char *[]){ "pipes", "90", "1200", NULL });

	(void)state;
	assert_kernel(doc);
	json_decref(doc);
}

static void test_sockets(void **state)
{
	json_t *doc = charge((const char *[]){ "sockets", "90", "1200", NULL });

	(void)state;
	assert_kernel(doc);
	json_decref(doc);
}

static void test_slabs(void **state)
{
	json_t *doc;

	(void)state;
	if (sandbox_tmpfs_open(&killing_fs))
		live_skip("no tmpfs");
	doc = charge((const char *[]){ "inodes", "400", "1200", killing_fs.dir, NULL });
	assert_kernel(doc);
	if (!is_v1(doc) && tells("slab_unreclaimable"))
		assert_string_equal(live_str(doc, "culprit.kind"), "slab");
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_memfd, close_all),
		cmocka_unit_test_teardown(test_page_tables, close_all),
		cmocka_unit_test_teardown(test_shared, close_all),
		cmocka_unit_test_teardown(test_system_v, close_all),
		cmocka_unit_test_teardown(test_one_address_space, close_all),
		cmocka_unit_test_teardown(test_forks, close_all),
		cmocka_unit_test_teardown(test_pipes, close_all),
		cmocka_unit_test_teardown(test_sockets, close_all),
		cmocka_unit_test_teardown(test_slabs, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
