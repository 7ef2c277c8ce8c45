// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The object "system" against the files it comes from. They are read before and after memblame reads them, at
 * both ends of a trace: what a counter grew by lies between what it must and what it can have grown by.
 */
#include "live.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096L
#define MIB (1024L * 1024)
#define TOUCHED_PAGES 6000
#define HUGE_PAGES 8
#define HUGE_BYTES (2 * MIB)
#define DIRTY_BYTES (24 * MIB)
/* What may come and go between two readings on a machine with other things to do. */
#define SLACK_BYTES (16 * MIB)
/* A machine that is busy with something else is asked again. */
#define TRIES 6

enum { MEMINFO, VMSTAT, ZONEINFO, BUDDYINFO, PSI_MEMORY, PSI_IO, FILES };

static const char *const paths[FILES] = {
	"/proc/meminfo",  "/proc/vmstat",	   "/proc/zoneinfo",
	"/proc/buddyinfo", "/proc/pressure/memory", "/proc/pressure/io",
};

/* All files at one moment; NULL: not there. */
struct moment {
	char *text[FILES];
	char *numastat; /* of node 0 */
};

static char *slurp(const char *path)
{
	char *text;
	size_t len;
	FILE *f = fopen(path, "r");

	if (!f)
		return NULL;
	/* PSI that is switched off can be opened, and not be read */
	text = calloc(1, MIB);
	assert_non_null(text);
	len = fread(text, 1, MIB - 1, f);
	fclose(f);
	if (len)
		return text;
	free(text);
	return NULL;
}

static struct moment take_moment(void)
{
	struct moment m;

	for (int i = 0; i < FILES; i++)
		m.text[i] = slurp(paths[i]);
	m.numastat = slurp("/sys/devices/system/node/node0/numastat");
	return m;
}

static void free_moment(struct moment *m)
{
	for (int i = 0; i < FILES; i++)
		free(m->text[i]);
	free(m->numastat);
}

/* The number behind a key at the beginning of a line; "x_*": the sum of all that begin so. -1: none. */
static long long find(const char *text, const char *key)
{
	size_t n = strlen(key);
	bool sum = key[n - 1] == '*';
	long long v, total = -1;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, sum ? n - 1 : n) || (!sum && !strchr(" :", line[n])))
			continue;
		if (sscanf(line + strcspn(line, ": "), "%*[: ]%lld", &v) == 1)
			total = total < 0 ? v : total + v;
	}
	return total;
}

/* --- the trace: two moments around its beginning, two around its end --- */

struct trace {
	struct moment before_start, after_start, before_end, after_end;
	json_t *summary;
	const json_t *system;
};

static void do_work(void)
{
	char *area = mmap(NULL, (HUGE_PAGES + 1) * HUGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = (char *)(((uintptr_t)area + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));

	assert_true(area != MAP_FAILED);
	madvise(aligned, HUGE_PAGES * HUGE_BYTES, MADV_HUGEPAGE);
	for (long i = 0; i < HUGE_PAGES; i++)
		*(volatile char *)(aligned + i * HUGE_BYTES) = 1;
	munmap(area, (HUGE_PAGES + 1) * HUGE_BYTES);
	area = mmap(NULL, TOUCHED_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	assert_true(area != MAP_FAILED);
	madvise(area, TOUCHED_PAGES * PAGE, MADV_NOHUGEPAGE);
	for (long i = 0; i < TOUCHED_PAGES; i++)
		*(volatile char *)(area + i * PAGE) = 1;
	munmap(area, TOUCHED_PAGES * PAGE);
}

static struct trace run_trace(void)
{
	struct live_result *result;
	struct live_bg *bg;
	struct trace t;

	t.before_start = take_moment();
	bg = live_start(LIVE_ARGV("top", "--json", "-i", "60", "-f", "vma"));
	t.after_start = take_moment();
	do_work();
	t.before_end = take_moment();
	result = live_stop(bg);
	t.after_end = take_moment();
	live_equal("status", result->status, 0);
	t.summary = live_json(result->out);
	t.system = live_get(t.summary, "system");
	live_result_free(result);
	return t;
}

static void free_trace(struct trace *t)
{
	free_moment(&t->before_start);
	free_moment(&t->after_start);
	free_moment(&t->before_end);
	free_moment(&t->after_end);
	json_decref(t->summary);
}

/* --- counters --- */

static const struct counter {
	const char *path, *key;
	long long scale;
} counters[] = {
	{ "swap.in_pages", "pswpin", 1 },
	{ "swap.out_pages", "pswpout", 1 },
	{ "paging.faults", "pgfault", 1 },
	{ "paging.major_faults", "pgmajfault", 1 },
	{ "paging.in_bytes", "pgpgin", 1024 },
	{ "paging.out_bytes", "pgpgout", 1024 },
	{ "paging.freed_pages", "pgfree", 1 },
	{ "paging.refault_anon_pages", "workingset_refault_anon", 1 },
	{ "paging.refault_file_pages", "workingset_refault_file", 1 },
	{ "paging.oom_kills", "oom_kill", 1 },
	{ "reclaim.allocstalls", "allocstall_*", 1 },
	{ "reclaim.kswapd.scanned_pages", "pgscan_kswapd", 1 },
	{ "reclaim.kswapd.stolen_pages", "pgsteal_kswapd", 1 },
	{ "reclaim.direct.scanned_pages", "pgscan_direct", 1 },
	{ "reclaim.direct.stolen_pages", "pgsteal_direct", 1 },
	{ "reclaim.khugepaged.scanned_pages", "pgscan_khugepaged", 1 },
	{ "reclaim.khugepaged.stolen_pages", "pgsteal_khugepaged", 1 },
	{ "thp.fault_alloc", "thp_fault_alloc", 1 },
	{ "thp.fault_fallback", "thp_fault_fallback", 1 },
	{ "thp.collapse_alloc", "thp_collapse_alloc", 1 },
	{ "thp.collapse_failed", "thp_collapse_alloc_failed", 1 },
	{ "compaction.stalls", "compact_stall", 1 },
	{ "compaction.success", "compact_success", 1 },
	{ "compaction.fail", "compact_fail", 1 },
};

/* Null exactly where the kernel has no such number, else between the least and the most. */
static void check_counter(const json_t *system, const char *path, long long least, long long most,
			  bool known)
{
	long long got;

	if (live_null(system, path) != !known)
		live_fail("%s is %sthere, and %snull", path, known ? "" : "not ", known ? "" : "not ");
	if (!known)
		return;
	got = live_int(system, path);
	if (got < least || got > most)
		live_fail("%s: got %lld, want %lld to %lld", path, got, least, most);
}

static void check_counters(const struct trace *t)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		const struct counter *c = &counters[i];
		long long a = find(t->before_start.text[VMSTAT], c->key);
		long long b = find(t->after_start.text[VMSTAT], c->key);
		long long y = find(t->before_end.text[VMSTAT], c->key);
		long long z = find(t->after_end.text[VMSTAT], c->key);

		check_counter(t->system, c->path, (y - b) * c->scale, (z - a) * c->scale, z >= 0);
	}
}

/* "[never]" in this file: no huge page is given to anyone. */
static bool no_huge_pages(void)
{
	char *text = slurp("/sys/kernel/mm/transparent_hugepage/enabled");
	bool none = !text || strstr(text, "[never]");

	free(text);
	return none;
}

static double share(long long part, long long whole)
{
	return whole ? (double)part / (double)whole : -1;
}

/* A share of whole thousandths, rounded down; -1: there is none, and it is null. */
static void check_share(const json_t *system, const char *path, double want)
{
	double got;

	if (want < 0) {
		assert_true(live_null(system, path));
		return;
	}
	got = json_real_value(live_get(system, path));
	if (got > want + 1e-9 || got < want - 0.001)
		live_fail("%s: got %f, want %f", path, got, want);
}

static void check_rates(const struct trace *t)
{
	double s = (double)live_int(t->system, "scope_ns") / 1e9;
	double want = (double)live_int(t->system, "paging.faults") / s;
	double got = json_real_value(live_get(t->system, "paging.faults_per_s"));
	long long alloc, fallback;

	if (got < want - 0.01 || got > want + 0.01)
		live_fail("faults per second: got %f, want %f", got, want);
	check_share(t->system, "reclaim.kswapd.efficiency",
		    share(live_int(t->system, "reclaim.kswapd.stolen_pages"),
			  live_int(t->system, "reclaim.kswapd.scanned_pages")));
	if (live_null(t->system, "thp.fault_alloc"))
		return;
	alloc = live_int(t->system, "thp.fault_alloc");
	fallback = live_int(t->system, "thp.fault_fallback");
	check_share(t->system, "thp.success", share(alloc, alloc + fallback));
}

static void test_counters(void **state)
{
	struct trace t = run_trace();
	bool none = no_huge_pages();

	(void)state;
	check_counters(&t);
	check_rates(&t);
	/* what this test did itself is in it */
	assert_in_range(live_int(t.system, "paging.faults"), TOUCHED_PAGES, 1000000000);
	if (!none)
		assert_in_range(live_int(t.system, "thp.fault_alloc") +
					live_int(t.system, "thp.fault_fallback"),
				HUGE_PAGES, 1000000000);
	assert_true(live_int(t.system, "scope_ns") > 0);
	free_trace(&t);
}

/* --- PSI: its totals are read as they are, so they are between those before and after --- */

static long long psi_total(const char *text, const char *line)
{
	const char *at = text ? strstr(text, line) : NULL;

	at = at ? strstr(at, "total=") : NULL;
	return at ? atoll(at + strlen("total=")) : -1;
}

static void check_psi(const struct trace *t, int file, const char *what, const char *line)
{
	long long a = psi_total(t->before_start.text[file], line);
	long long b = psi_total(t->after_start.text[file], line);
	long long y = psi_total(t->before_end.text[file], line);
	long long z = psi_total(t->after_end.text[file], line);
	const char *averages[] = { "avg10", "avg60", "avg300" };
	char path[64];

	snprintf(path, sizeof(path), "psi.%s.%s.total_us", what, line);
	check_counter(t->system, path, y, z, z >= 0);
	snprintf(path, sizeof(path), "psi.%s.%s.stalled_us", what, line);
	check_counter(t->system, path, y - b, z - a, z >= 0);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "psi.%s.%s.%s", what, line, averages[i]);
		assert_true(live_null(t->system, path) == (z < 0));
		if (z >= 0)
			assert_true(json_is_real(live_get(t->system, path)) &&
				    json_real_value(live_get(t->system, path)) <= 100.0);
	}
}

static void test_psi(void **state)
{
	struct trace t = run_trace();

	(void)state;
	check_psi(&t, PSI_MEMORY, "memory", "some");
	check_psi(&t, PSI_MEMORY, "memory", "full");
	check_psi(&t, PSI_IO, "io", "some");
	check_psi(&t, PSI_IO, "io", "full");
	free_trace(&t);
}

/* --- gauges: they move between two readings; a try in which they moved little must fit --- */

/* What did not fit in a try, of the last of them. */
static char misfit[256];

static bool between(const char *what, long long got, long long a, long long b, long long slack)
{
	long long low = (a < b ? a : b) - slack, high = (a < b ? b : a) + slack;

	if (got >= low && got <= high)
		return true;
	snprintf(misfit, sizeof(misfit), "%s: got %lld, want %lld to %lld", what, got, low, high);
	return false;
}

static const struct gauge {
	const char *path;
	int file;
	const char *key;
	long long scale;
	bool moves;
} gauges[] = {
	{ "memory.total_bytes", MEMINFO, "MemTotal", 1024, false },
	{ "memory.free_bytes", MEMINFO, "MemFree", 1024, true },
	{ "memory.available_bytes", MEMINFO, "MemAvailable", 1024, true },
	{ "memory.buffers_bytes", MEMINFO, "Buffers", 1024, true },
	{ "memory.cached_bytes", MEMINFO, "Cached", 1024, true },
	{ "memory.active_bytes", MEMINFO, "Active", 1024, true },
	{ "memory.inactive_bytes", MEMINFO, "Inactive", 1024, true },
	{ "memory.unevictable_bytes", MEMINFO, "Unevictable", 1024, true },
	{ "memory.anon_bytes", MEMINFO, "AnonPages", 1024, true },
	{ "memory.anon_huge_bytes", MEMINFO, "AnonHugePages", 1024, true },
	{ "memory.mapped_bytes", MEMINFO, "Mapped", 1024, true },
	{ "memory.shmem_bytes", MEMINFO, "Shmem", 1024, true },
	{ "memory.slab_bytes", MEMINFO, "Slab", 1024, true },
	{ "memory.slab_reclaimable_bytes", MEMINFO, "SReclaimable", 1024, true },
	{ "memory.kernel_stack_bytes", MEMINFO, "KernelStack", 1024, true },
	{ "memory.page_tables_bytes", MEMINFO, "PageTables", 1024, true },
	{ "memory.hugetlb_bytes", MEMINFO, "Hugetlb", 1024, false },
	{ "swap.total_bytes", MEMINFO, "SwapTotal", 1024, false },
	{ "swap.free_bytes", MEMINFO, "SwapFree", 1024, true },
	{ "swap.cached_bytes", MEMINFO, "SwapCached", 1024, true },
	{ "dirty.dirty_bytes", MEMINFO, "Dirty", 1024, true },
	{ "dirty.writeback_bytes", MEMINFO, "Writeback", 1024, true },
	{ "dirty.limit_bytes", VMSTAT, "nr_dirty_threshold", PAGE, true },
	{ "dirty.background_bytes", VMSTAT, "nr_dirty_background_threshold", PAGE, true },
};

static bool gauges_fit(const struct trace *t)
{
	bool fit = true;

	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		const struct gauge *g = &gauges[i];
		long long y = find(t->before_end.text[g->file], g->key);
		long long z = find(t->after_end.text[g->file], g->key);

		if (live_null(t->system, g->path) != (z < 0))
			live_fail("%s is null, or %s of %s is not there", g->path, g->key,
				  paths[g->file]);
		fit &= z < 0 || between(g->path, live_int(t->system, g->path), y * g->scale,
					z * g->scale, g->moves ? SLACK_BYTES : 0);
	}
	return fit;
}

/* The section of a zone in a text, or NULL. */
static const char *zone_text(const char *text, long long node, const char *zone)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		char name[32];
		int number;

		line += *line == '\n';
		if (sscanf(line, "Node %d, zone %31s", &number, name) == 2 && number == node &&
		    !strcmp(name, zone))
			return line;
	}
	return NULL;
}

/* As zoneinfo has it: "  pages free     3840", then "        min      26", ... */
static long long zone_number(const char *section, const char *key)
{
	const char *at = section ? strstr(section, "pages free") : NULL, *end;
	char wanted[32];
	long long v;

	if (!at)
		return -1;
	if (!strcmp(key, "free"))
		return atoll(at + strlen("pages free"));
	end = strstr(at, "protection:");
	snprintf(wanted, sizeof(wanted), " %s ", key);
	at = strstr(at, wanted);
	return at && (!end || at < end) && sscanf(at + strlen(wanted), "%lld", &v) == 1 ? v : -1;
}

static bool watermarks_fit(const struct trace *t, const json_t *zone)
{
	static const char *const marks[] = { "free", "min", "low", "high", "managed" };
	const char *y = zone_text(t->before_end.text[ZONEINFO], live_int(zone, "node"),
				  live_str(zone, "zone"));
	const char *z = zone_text(t->after_end.text[ZONEINFO], live_int(zone, "node"),
				  live_str(zone, "zone"));
	bool fit = true;

	for (int i = 0; i < 5; i++) {
		char key[32];

		snprintf(key, sizeof(key), "%s_pages", marks[i]);
		fit &= between(key, live_int(zone, key), zone_number(y, marks[i]),
			       zone_number(z, marks[i]), i ? 0 : SLACK_BYTES / PAGE);
	}
	return fit;
}

/* Free blocks of an order; -1: buddyinfo has no such column. */
static long long blocks_of(const char *section, size_t order)
{
	long long v = -1;
	int n = 0, used;

	if (!section || sscanf(section, "Node %*d, zone %*s%n", &n) != 0)
		return -1;
	for (section += n; order + 1; order--, section += used) {
		section += strspn(section, " ");
		if (*section == '\n' || sscanf(section, "%lld%n", &v, &used) != 1)
			return -1;
	}
	return v;
}

static bool blocks_fit(const struct trace *t, const json_t *zone)
{
	const json_t *blocks = live_get(zone, "free_blocks");
	const char *y = zone_text(t->before_end.text[BUDDYINFO], live_int(zone, "node"),
				  live_str(zone, "zone"));
	const char *z = zone_text(t->after_end.text[BUDDYINFO], live_int(zone, "node"),
				  live_str(zone, "zone"));
	size_t orders = json_array_size(blocks);
	bool fit = true;

	assert_true(orders > 0);
	assert_true(blocks_of(z, orders - 1) >= 0 && blocks_of(z, orders) < 0);
	for (size_t i = 0; i < orders; i++) {
		char what[32];

		snprintf(what, sizeof(what), "%s order %zu", live_str(zone, "zone"), i);
		fit &= between(what, json_integer_value(json_array_get(blocks, i)), blocks_of(y, i),
			       blocks_of(z, i), 2 + (SLACK_BYTES / PAGE >> i));
	}
	return fit;
}

/* As unusable_free_index() has it, out of the same free blocks. */
static void check_unusable(const json_t *zone)
{
	const json_t *blocks = live_get(zone, "free_blocks"), *shares = live_get(zone, "unusable");
	size_t orders = json_array_size(blocks), i;
	long long free_pages = 0, usable;

	live_equal("orders", (long long)json_array_size(shares), (long long)orders);
	for (i = 0; i < orders; i++)
		free_pages += json_integer_value(json_array_get(blocks, i)) << i;
	usable = free_pages;
	for (i = 0; i < orders; i++) {
		double got = json_real_value(json_array_get(shares, i)) * 1000;
		long long want = free_pages ? (free_pages - usable) * 1000 / free_pages : 1000;

		live_equal("unusable, in thousandths", (long long)(got + 0.5), want);
		usable -= json_integer_value(json_array_get(blocks, i)) << i;
	}
}

static bool zones_fit(const struct trace *t)
{
	const json_t *zones = live_get(t->system, "zones"), *zone;
	size_t i, expected = 0;
	bool fit = true;

	for (const char *line = t->after_end.text[ZONEINFO]; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		expected += !strncmp(line, "Node ", 5) && strstr(line, ", zone ") &&
			    zone_number(line, "managed") > 0;
	}
	assert_true(expected > 0);
	live_equal("zones", (long long)json_array_size(zones), (long long)expected);
	json_array_foreach(zones, i, zone) {
		fit &= watermarks_fit(t, zone) && blocks_fit(t, zone);
		check_unusable(zone);
	}
	return fit;
}

/* Kernels before 5.14 gather these from counters per CPU that may be on their way just then. */
static bool node_fits(const struct trace *t)
{
	static const char *const names[] = { "numa_hit",       "numa_miss",  "numa_foreign",
					     "interleave_hit", "local_node", "other_node" };
	const json_t *node = json_array_get(live_get(t->system, "nodes"), 0);
	bool fit = true;

	if (!t->after_end.numastat) {
		live_equal("nodes", (long long)json_array_size(live_get(t->system, "nodes")), 0);
		return true;
	}
	assert_non_null(node);
	live_equal("node", live_int(node, "node"), 0);
	for (int i = 0; i < 6; i++) {
		long long a = find(t->before_start.numastat, names[i]);
		long long b = find(t->after_start.numastat, names[i]);
		long long y = find(t->before_end.numastat, names[i]);
		long long z = find(t->after_end.numastat, names[i]);

		assert_true(z >= 0);
		fit &= between(names[i], live_int(node, names[i]), y - b, z - a, 0);
	}
	return fit;
}

/* The test's own unwritten data, which is there from before the end of the trace to after it. */
static void dirty_a_file(const char *path)
{
	FILE *f = fopen(path, "w");
	char *data = calloc(1, DIRTY_BYTES);

	assert_non_null(f);
	assert_non_null(data);
	assert_int_equal(fwrite(data, 1, DIRTY_BYTES, f), DIRTY_BYTES);
	assert_int_equal(fclose(f), 0);
	free(data);
}

static void try_until_it_fits(bool (*fits)(const struct trace *t))
{
	for (int i = 0; i < TRIES; i++) {
		struct trace t = run_trace();
		bool fit = fits(&t);

		free_trace(&t);
		if (fit)
			return;
	}
	live_fail("in none of %d tries; at last %s", TRIES, misfit);
}

static void test_memory(void **state)
{
	const char *path = live_path("dirty");

	(void)state;
	dirty_a_file(path);
	try_until_it_fits(gauges_fit);
	unlink(path);
}

static void test_zones(void **state)
{
	(void)state;
	try_until_it_fits(zones_fit);
}

static void test_nodes(void **state)
{
	(void)state;
	try_until_it_fits(node_fits);
}

/* --- intervals, text, recordings --- */

/* Waits for as many lines more, up to half a minute. */
static void wait_lines(const struct live_bg *bg, int more)
{
	int before = -1;

	for (int i = 0; i < 6000; i++) {
		char *text = slurp(bg->out_path);
		int lines = 0;

		for (const char *at = text; at && (at = strchr(at, '\n')); at++)
			lines++;
		free(text);
		if (before < 0)
			before = lines;
		if (lines >= before + more)
			return;
		usleep(5000);
	}
	live_fail("%d more lines do not come", more);
}

/* The parts of a trace add up to it: each interval begins where the one before it ended. */
static void test_intervals(void **state)
{
	struct live_bg *bg = live_start(LIVE_ARGV("top", "--json", "-i", "0.2", "-f", "vma"));
	struct live_result *result;
	long long sum = 0, scope_ns = 0, intervals = 0;

	(void)state;
	wait_lines(bg, 1);
	do_work();
	wait_lines(bg, 2);
	result = live_stop(bg);
	for (char *save, *line = strtok_r(result->out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		json_t *document = live_json(line);
		const json_t *system = live_get(document, "system");

		if (!strcmp(live_str(document, "scope"), "interval")) {
			sum += live_int(system, "paging.faults");
			scope_ns += live_int(system, "scope_ns");
			intervals++;
		} else {
			assert_in_range(sum, TOUCHED_PAGES,
					live_int(system, "paging.faults"));
			assert_true(scope_ns <= live_int(system, "scope_ns"));
		}
		json_decref(document);
	}
	assert_true(intervals >= 3);
	live_result_free(result);
}

static void test_text(void **state)
{
	struct live_result *top = live_memblame(LIVE_ARGV("top", "-i", "0.3", "-d", "1", "-f", "vma"));
	struct live_result *run = live_memblame(LIVE_ARGV("run", "-f", "vma", "--", "true"));
	static const char *const begins[] = { "Memory ", "Swap ", "Dirty ", "Reclaim " };

	(void)state;
	for (int i = 0; i < 4; i++) {
		const char *line = strstr(top->out, begins[i]);

		assert_non_null(line);
		assert_in_range(strcspn(line, "\n"), 20, 80);
		assert_non_null(strstr(run->out, begins[i]));
	}
	assert_null(strstr(top->out, "PSS"));
	live_result_free(top);
	live_result_free(run);
}

/* A window of a recording has the machine as it was at its end, and what came within it. */
static void test_report(void **state)
{
	const char *path = live_path("system.db");
	struct live_result *result;
	json_t *whole, *part;
	struct live_bg *bg;

	(void)state;
	bg = live_start(LIVE_ARGV("record", "--json", "-o", path, "-i", "0.3", "-f", "vma"));
	usleep(1500 * 1000);
	do_work();
	usleep(700 * 1000);
	result = live_stop(bg);
	whole = live_json(result->out);
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("report", "--json", path));
	part = live_json(result->out);
	assert_true(json_equal(live_get(whole, "system"), live_get(part, "system")));
	json_decref(part);
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("report", "--json", "--to", "+1", path));
	part = live_json(result->out);
	assert_in_range(live_int(part, "system.scope_ns"), 1,
			live_int(whole, "system.scope_ns") - 1);
	assert_true(live_int(part, "system.paging.faults") + TOUCHED_PAGES <=
		    live_int(whole, "system.paging.faults"));
	json_decref(part);
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("report", "--json", "--from", "+1.2", path));
	part = live_json(result->out);
	assert_in_range(live_int(part, "system.paging.faults"), TOUCHED_PAGES,
			live_int(whole, "system.paging.faults"));
	json_decref(part);
	json_decref(whole);
	live_result_free(result);
}

/* --- shares of memory --- */

#define PRIVATE_PAGES 4000
#define SHARED_PAGES  1000

static long long rollup(pid_t pid, const char *key)
{
	char path[64], *text;
	long long kib;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	text = slurp(path);
	if (!text)
		live_fail("%s cannot be read", path);
	kib = find(text, key);
	free(text);
	return kib < 0 ? 0 : kib * 1024;
}

static long long unique(pid_t pid)
{
	return rollup(pid, "Private_Clean") + rollup(pid, "Private_Dirty") +
	       rollup(pid, "Private_Hugetlb");
}

static struct live_bg *start_sharer(void)
{
	struct live_bg *bg = live_spawn(LIVE_ARGV(live_workload("sharer"), "hold", "4000", "1000"));

	if (!live_wait_text(bg->err_path, "ready"))
		live_fail("sharer does not begin");
	return bg;
}

static json_t *sharer_memory(const struct live_bg *sharer, const char *option, json_t **summary)
{
	char pid[16];
	const char *all[] = { "top", "--json", "-i", "60", "-p", pid, option, NULL };
	struct live_result *result;

	snprintf(pid, sizeof(pid), "%d", (int)sharer->pid);
	result = live_stop(live_start(all));
	live_equal("status", result->status, 0);
	*summary = live_json(result->out);
	live_result_free(result);
	return live_get(live_process(*summary, sharer->pid), "memory");
}

static void test_shares(void **state)
{
	struct live_bg *sharer = start_sharer();
	long long pss = rollup(sharer->pid, "Pss"), uss = unique(sharer->pid), known;
	json_t *summary, *memory = sharer_memory(sharer, "--pss", &summary);

	(void)state;
	/* nobody else maps its pages, so nothing but reclaim can change them */
	live_equal("pss_bytes", live_int(memory, "pss_bytes"), pss);
	live_equal("uss_bytes", live_int(memory, "uss_bytes"), uss);
	/* half of what is private is its own, the rest is shared by two; the program is small */
	known = (PRIVATE_PAGES / 2 + PRIVATE_PAGES / 4 + SHARED_PAGES / 2) * PAGE;
	assert_in_range(live_int(memory, "pss_bytes"), known - 64 * PAGE, known + MIB);
	assert_in_range(live_int(memory, "uss_bytes"), PRIVATE_PAGES / 2 * PAGE,
			PRIVATE_PAGES / 2 * PAGE + MIB);
	json_decref(summary);
	/* not asked for: not known */
	memory = sharer_memory(sharer, "--quiet", &summary);
	assert_true(live_null(memory, "pss_bytes") && live_null(memory, "uss_bytes"));
	json_decref(summary);
	live_result_free(live_stop(sharer));
}

/* Who has ended has no share any more; in text there are columns, and only then. */
static void test_shares_of_the_dead(void **state)
{
	struct live_run *run = live_run(LIVE_ARGV("--pss"), LIVE_ARGV("true"));
	const json_t *memory = live_get(json_array_get(live_get(run->summary, "processes"), 0),
					"memory");
	struct live_result *result;

	(void)state;
	assert_true(live_null(memory, "pss_bytes") && live_null(memory, "uss_bytes"));
	live_run_free(run);
	result = live_memblame(LIVE_ARGV("run", "--pss", "--", "true"));
	assert_non_null(strstr(result->out, "PSS"));
	live_result_free(result);
}

/* A recording has them too, played again and in its tables. */
static void test_shares_recorded(void **state)
{
	struct live_bg *sharer = start_sharer();
	const char *path = live_path("shares.db");
	const char *ways[][5] = { { "report", "--json", path }, { "replay", path, "run", "--json" } };
	struct live_result *result;
	char pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)sharer->pid);
	result = live_memblame(LIVE_ARGV("record", "--raw", "--quiet", "--pss", "-o", path, "-p", pid,
					 "-d", "0.5"));
	live_equal("status", result->status, 0);
	live_result_free(result);
	for (int i = 0; i < 2; i++) {
		json_t *summary;

		result = live_memblame(ways[i]);
		summary = live_json(result->out);
		live_equal("pss_bytes",
			   live_int(live_process(summary, sharer->pid), "memory.pss_bytes"),
			   rollup(sharer->pid, "Pss"));
		live_equal("uss_bytes",
			   live_int(live_process(summary, sharer->pid), "memory.uss_bytes"),
			   unique(sharer->pid));
		json_decref(summary);
		live_result_free(result);
	}
	live_result_free(live_stop(sharer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_psi),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_shares_of_the_dead),
		cmocka_unit_test(test_shares_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
