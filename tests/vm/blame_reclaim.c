// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * blame in a machine that is short of memory: which process allocated it, and whose pages were reclaimed. What one
 * cgroup does at its limit must not be blamed on another.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define MIB (1L << 20)
#define PAGE_KB 4
#define SCALE "/proc/sys/vm/watermark_scale_factor"
#define MIN_FREE "/proc/sys/vm/min_free_kbytes"

/* Besides guest_cgroup, for the process that must not be blamed. */
static struct sandbox_cgroup other_cgroup;

/* kswapd; kernel threads have lower pids than the guest's init scripts. */
static pid_t kswapd;

static void find_kswapd(void)
{
	char path[64], *comm;

	for (pid_t pid = 2; !kswapd && pid < 1000; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		if (access(path, R_OK))
			continue;
		comm = live_slurp(path, NULL);
		if (!strcmp(comm, "kswapd0\n"))
			kswapd = pid;
		free(comm);
	}
	assert_true(kswapd > 0);
}

static int teardown(void **state)
{
	if (kswapd)
		setpriority(PRIO_PROCESS, (id_t)kswapd, 0);
	if (other_cgroup.dir[0])
		sandbox_cgroup_close(&other_cgroup);
	other_cgroup.dir[0] = '\0';
	return guest_teardown(state);
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* A sparse file: its page cache uses memory like any other, but it takes no time to make or to read. */
static const char *make_file(const char *name, long mib)
{
	const char *path = live_path(name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, mib * MIB) | close(fd), 0);
	return path;
}

/* --- memblame blame, around what a test does --- */

static struct live_bg *start_blame(void)
{
	return live_start(LIVE_ARGV("blame", "--json", "-f", "reclaim", "-d", "50", "-o",
				    live_path("blame.json")));
}

/* How much was lost for this reason. */
static long long lost_by(const json_t *doc, const char *reason)
{
	long long count = 0;
	json_t *by;
	size_t i;

	json_array_foreach(live_get(doc, "lost.by"), i, by)
		if (!strcmp(live_str(by, "reason"), reason))
			count += live_int(by, "count");
	return count;
}

/* How often a preemptible kernel did not run a BPF program: counted as lost, but not an error of memblame. */
static long long not_run(const json_t *doc)
{
	return lost_by(doc, "program not run");
}

/* The program not run may be the end of a stall, which is noticed when the next stall begins. */
static void check_lost(const json_t *doc)
{
	long long missed = not_run(doc), untimed = lost_by(doc, "wait not timed");

	if (missed)
		print_message("%lld programs not run, %lld waits not timed\n", missed, untimed);
	assert_true(untimed <= missed);
	live_equal("lost for other reasons", live_int(doc, "lost.total"), missed + untimed);
}

static json_t *end_blame(struct live_bg *bg)
{
	struct live_result *r = live_stop(bg);
	json_t *doc;
	char *text;

	if (r->status)
		live_fail("blame: status %d: %s", r->status, r->err);
	live_result_free(r);
	text = live_slurp(live_path("blame.json"), NULL);
	doc = live_json(text);
	free(text);
	assert_string_equal(live_str(doc, "kind"), "blame");
	check_lost(doc);
	return doc;
}

static bool is_pid(const json_t *object, const char *path, pid_t pid)
{
	return live_int(object, path) == pid;
}

/* The victim's stalls of this kind; NULL: none. */
static json_t *find_stall(const json_t *doc, pid_t victim, const char *what)
{
	json_t *e;
	size_t i;

	json_array_foreach(live_get(doc, "reclaim"), i, e)
		if (is_pid(e, "victim.pid", victim) && !strcmp(live_str(e, "what"), what))
			return e;
	return NULL;
}

static double share_of(const json_t *culprit)
{
	json_t *share = live_get(culprit, "share");

	assert_true(json_is_number(share));
	return json_number_value(share);
}

/* All of the time is blamed on some process, none of it twice, and the process blamed most comes first. */
static void check_shares(const json_t *stall)
{
	long long ns = live_int(stall, "stalled_ns"), blamed = 0;
	double sum = 0, last = 2;
	json_t *c;
	size_t i;

	print_message("%s %s: %lld stalls, %lld ns\n", live_str(stall, "victim.comm"),
		      live_str(stall, "what"), live_int(stall, "stalls"), ns);
	assert_true(live_int(stall, "stalls") > 0);
	assert_true(ns > 0);
	json_array_foreach(live_get(stall, "culprits"), i, c) {
		double share = share_of(c);

		print_message("  %.6f %s, %lld pages\n", share, live_str(c, "comm"),
			      live_int(c, "pages"));
		assert_true(share >= 0 && share <= last);
		assert_true(live_int(c, "blamed_ns") >= 0);
		assert_true(live_int(c, "pages") >= 0);
		sum += share;
		last = live_str(c, "comm")[0] != '(' ? share : 2; /* (others), (unknown) */
		blamed += live_int(c, "blamed_ns");
	}
	if (sum < 0.999 || sum > 1.001)
		live_fail("shares sum to %f", sum);
	/* each is rounded */
	live_near("blamed_ns", blamed, ns, (long long)json_array_size(live_get(stall, "culprits")));
}

/* --- which process allocated the memory --- */

/*
 * One process fills much of the memory and then all of the page cache; the other allocates a little, again and again.
 * The reserve that kswapd maintains is made small, and kswapd slow, so that both must reclaim
 * memory themselves.
 */
static void test_direct_reclaim(void **state)
{
	struct live_bg *blame, *hog, *small;
	json_t *doc, *workload, *stall, *first;
	pid_t hog_pid, small_pid;
	struct live_result *r;
	long long ns;

	(void)state;
	guest_keep(SCALE);
	guest_keep(MIN_FREE);
	guest_write(SCALE, "1");
	guest_write(MIN_FREE, "256");
	find_kswapd();
	assert_int_equal(setpriority(PRIO_PROCESS, (id_t)kswapd, 19), 0);
	blame = start_blame();
	hog = live_spawn(
		LIVE_ARGV(live_workload("memhog"), "96", "flood", make_file("flood", 1024)));
	hog_pid = hog->pid;
	assert_true(live_wait_text(hog->err_path, "ready"));
	ns = now_ns();
	small = live_spawn(LIVE_ARGV(live_workload("memhog"), "1", "pulse", "150"));
	small_pid = small->pid;
	r = live_wait(small);
	ns = now_ns() - ns;
	live_equal("status", r->status, 0);
	workload = live_json(r->out);
	live_result_free(r);
	live_result_free(live_stop(hog));
	doc = end_blame(blame);
	stall = find_stall(doc, small_pid, "direct_reclaim");
	if (!stall)
		live_fail("no direct_reclaim of the small one, which took %lld pages",
			  live_int(workload, "anon"));
	check_shares(stall);
	print_message("its own clock: %lld ns writing, %lld in all\n",
		      live_int(workload, "write_ns"), ns);
	assert_true(live_int(stall, "stalled_ns") <= ns);
	first = json_array_get(live_get(stall, "culprits"), 0);
	live_equal("pid of who is blamed first", live_int(first, "pid"), hog_pid);
	assert_string_equal(live_str(first, "comm"), "memhog");
	assert_true(share_of(first) > 0.5);
	json_decref(workload);
	json_decref(doc);
}

/* --- whose pages were reclaimed --- */

struct evicted {
	long long pages, by_kswapd;
};

static struct evicted add_up_evictions(const json_t *doc, pid_t owner, const char *kind)
{
	struct evicted sum = { 0 };
	json_t *e;
	size_t i;

	json_array_foreach(live_get(doc, "evictions"), i, e) {
		if (!is_pid(e, "owner.pid", owner))
			continue;
		print_message("%lld %s pages by %s\n", live_int(e, "pages"), live_str(e, "kind"),
			      live_str(e, "by.comm"));
		assert_true(live_int(e, "pages") > 0);
		if (strcmp(live_str(e, "kind"), kind))
			continue;
		sum.pages += live_int(e, "pages");
		if (!strncmp(live_str(e, "by.comm"), "kswapd", 6))
			sum.by_kswapd += live_int(e, "pages");
	}
	return sum;
}

/* Another process allocates memory, little by little, until the owner has lost a third of what it had. */
static void take_third(pid_t owner, const char *rss, long long had_kb)
{
	struct live_bg *creep = live_spawn(LIVE_ARGV(live_workload("memhog"), "1024", "creep"));
	int waited = 0;

	while (live_proc_status(owner, rss) > had_kb * 2 / 3 && live_proc_alive(creep->pid) &&
	       waited++ < 1000)
		usleep(20000);
	live_result_free(live_stop(creep));
}

/* What the owner still has when kswapd, which goes on for a while, is done. */
static long long settled_kb(pid_t owner, const char *rss)
{
	long long now = live_proc_status(owner, rss), last;

	do {
		last = now;
		usleep(300000);
		now = live_proc_status(owner, rss);
	} while (now != last);
	return now;
}

/*
 * The owner, a script, says "ready" and then waits for its input, which is $0. Returns false if the run proves nothing,
 * because the kernel did not run the BPF programs for more than half of the pages.
 */
static bool check_evictions_once(const char *script, const char *rss, const char *kind)
{
	const char *fifo = live_path("fifo");
	struct live_bg *owner, *blame;
	long long before, lost, slack;
	struct evicted evicted;
	bool says;
	json_t *doc;
	int input;

	guest_keep(SCALE);
	/* kswapd wakes early: with 3% of the memory left before a process must reclaim memory itself */
	guest_write(SCALE, "300");
	unlink(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	/* read and write, as open() then does not wait for the reader */
	input = open(fifo, O_RDWR | O_CLOEXEC);
	assert_true(input >= 0);
	owner = live_spawn(LIVE_ARGV("sh", "-c", script, fifo));
	assert_true(live_wait_text(owner->err_path, "ready"));
	unlink(fifo);
	blame = start_blame();
	before = live_proc_status(owner->pid, rss);
	take_third(owner->pid, rss, before);
	lost = (before - settled_kb(owner->pid, rss)) / PAGE_KB;
	doc = end_blame(blame);
	print_message("%s: %lld kB before, %lld pages lost\n", rss, before, lost);
	/* the kernel did reclaim a good part, even if it ran out of swap meanwhile */
	assert_true(lost >= before / PAGE_KB / 6);
	evicted = add_up_evictions(doc, owner->pid, kind);
	assert_true(evicted.by_kswapd > 0);
	/* the kernel's count is up to 64 pages late, see RSS_SLACK in swap.c */
	slack = lost / 100 + 64;
	assert_true(evicted.pages <= lost + slack);
	says = !not_run(doc) || evicted.pages >= lost / 2;
	if (!not_run(doc))
		assert_true(evicted.pages >= lost - slack);
	live_result_free(live_stop(owner));
	close(input);
	json_decref(doc);
	return says;
}

/* An emulated CPU can be preempted anywhere, in some runs much more often than in others: so the test tries again. */
static void check_evictions(char *script, const char *rss, const char *kind)
{
	bool says = false;

	for (int i = 0; i < 3 && !says; i++)
		says = check_evictions_once(script, rss, kind);
	free(script);
	assert_true(says);
}

static void test_kswapd_takes_file(void **state)
{
	char *script;

	(void)state;
	assert_true(asprintf(&script, "exec %s 48 %s 60 <$0", live_workload("holder"),
			     make_file("held", 48)) > 0);
	check_evictions(script, "RssFile", "file");
}

static void test_kswapd_takes_anon(void **state)
{
	char *script;

	(void)state;
	guest_swap_on(192);
	assert_true(asprintf(&script, "exec %s 48 hold <$0", live_workload("memhog")) > 0);
	check_evictions(script, "RssAnon", "anon");
}

/* --- one cgroup and another --- */

static void open_cgroup(struct sandbox_cgroup *cg, unsigned long limit)
{
	const char *reason = sandbox_cgroup_open(cg, limit);

	if (reason)
		live_fail("%s", reason);
}

static struct live_bg *spawn_in(const struct sandbox_cgroup *cg, const char *const *argv)
{
	struct live_bg *bg;

	setenv("WORKLOAD_CGROUP", cg->dir, 1);
	bg = live_spawn(argv);
	unsetenv("WORKLOAD_CGROUP");
	return bg;
}

static void end_well(struct live_bg *bg)
{
	struct live_result *r = live_wait(bg);

	if (r->status)
		live_fail("status %d: %s", r->status, r->err);
	live_result_free(r);
}

/* A process alone in a cgroup has only itself to blame for the limit. */
static void check_alone(const json_t *stall, const struct sandbox_cgroup *cg)
{
	const json_t *culprits = live_get(stall, "culprits");

	check_shares(stall);
	assert_string_equal(live_str(stall, "victim.cgroup"), cg->path);
	assert_true(live_null(stall, "watermarks"));
	assert_string_equal(live_str(stall, "limit.path"), cg->path);
	if (strcmp(live_str(stall, "what"), "high_throttle"))
		assert_true(live_int(stall, "limit.bytes") > 0);
	assert_true(live_int(stall, "limit.usage_bytes") > 0);
	live_equal("culprits", (long long)json_array_size(culprits), 1);
	live_equal("pid of the culprit", live_int(json_array_get(culprits, 0), "pid"),
		   live_int(stall, "victim.pid"));
}

/* Skips the test on kernels that cannot answer the question: "high" always needs trampolines. */
static void skip_unless_asked(const char *question)
{
	struct live_result *r = live_memblame(LIVE_ARGV("doctor", "--json"));
	json_t *doc = live_json(r->out), *q;
	size_t i;

	json_array_foreach(live_get(doc, "questions"), i, q)
		if (!strcmp(live_str(q, "family"), "reclaim") &&
		    !strcmp(live_str(q, "question"), question) &&
		    !strcmp(live_str(q, "quality"), "none"))
			live_skip("%s", live_str(q, "missing"));
	json_decref(doc);
	live_result_free(r);
}

static void test_high(void **state)
{
	struct live_bg *blame, *hog, *other;
	char path[320], high[32];
	json_t *doc, *stall;
	pid_t pid;

	(void)state;
	open_cgroup(&guest_cgroup, 64 * MIB);
	open_cgroup(&other_cgroup, 64 * MIB);
	snprintf(path, sizeof(path), "%s/memory.high", guest_cgroup.dir);
	snprintf(high, sizeof(high), "%ld", 16 * MIB);
	guest_write(path, high);
	blame = start_blame();
	other = spawn_in(&other_cgroup, LIVE_ARGV(live_workload("memhog"), "17", "pulse", "50000"));
	hog = spawn_in(&guest_cgroup, LIVE_ARGV(live_workload("memhog"), "17", "anon"));
	pid = hog->pid;
	end_well(hog);
	live_result_free(live_stop(other));
	doc = end_blame(blame);
	stall = find_stall(doc, pid, "high_throttle");
	if (!stall) {
		skip_unless_asked("high");
		live_fail("no high_throttle of the hog");
	} else {
		check_alone(stall, &guest_cgroup);
	}
	json_decref(doc);
}

static void test_memcg_reclaim(void **state)
{
	struct live_bg *blame, *hog, *other;
	const char *file = make_file("own", 48), *others = make_file("others", 48);
	pid_t pid, other_pid;
	json_t *doc, *stall;

	(void)state;
	open_cgroup(&guest_cgroup, 24 * MIB);
	open_cgroup(&other_cgroup, 24 * MIB);
	blame = start_blame();
	hog = spawn_in(&guest_cgroup, LIVE_ARGV(live_workload("memhog"), "48", "file", file, "3"));
	other = spawn_in(&other_cgroup,
			 LIVE_ARGV(live_workload("memhog"), "48", "file", others, "3"));
	pid = hog->pid;
	other_pid = other->pid;
	end_well(hog);
	end_well(other);
	doc = end_blame(blame);
	stall = find_stall(doc, pid, "memcg_reclaim");
	assert_non_null(stall);
	check_alone(stall, &guest_cgroup);
	stall = find_stall(doc, other_pid, "memcg_reclaim");
	assert_non_null(stall);
	check_alone(stall, &other_cgroup);
	json_decref(doc);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_direct_reclaim),    TEST(test_kswapd_takes_file),
		TEST(test_kswapd_takes_anon), TEST(test_high),
		TEST(test_memcg_reclaim),
	};

	guest_only("uses up all memory");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
