// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The object "system": memory, zones, free blocks and nodes compared with the kernel's files. The values
 * change between two readings, so the test repeats until it finds a try in which they changed little. That
 * try must match.
 */
#include "moments.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024L * 1024)
#define DIRTY_BYTES (24 * MIB)
/* Memory that other programs may take or free between two readings on a busy machine. */
#define SLACK_BYTES (16 * MIB)
/* On a busy machine, the test repeats this often. */
#define TRIES 6

/* The last mismatch of a try. */
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
	{ "dirty.limit_bytes", VMSTAT, "nr_dirty_threshold", MOMENT_PAGE, true },
	{ "dirty.background_bytes", VMSTAT, "nr_dirty_background_threshold", MOMENT_PAGE, true },
};

static bool gauges_fit(const struct trace *t)
{
	bool fit = true;

	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		const struct gauge *g = &gauges[i];
		long long y = moment_find(t->before_end.text[g->file], g->key);
		long long z = moment_find(t->after_end.text[g->file], g->key);

		if (live_null(t->system, g->path) != (z < 0))
			live_fail("%s is null, or %s of %s is not there", g->path, g->key,
				  moment_paths[g->file]);
		fit &= z < 0 || between(g->path, live_int(t->system, g->path), y * g->scale,
					z * g->scale, g->moves ? SLACK_BYTES : 0);
	}
	return fit;
}

/* The section of a zone in the text, or NULL. */
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

/* Parses the format of zoneinfo: "  pages free     3840", then "        min      26", ... */
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
			       zone_number(z, marks[i]), i ? 0 : SLACK_BYTES / MOMENT_PAGE);
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
			       blocks_of(z, i), 2 + (SLACK_BYTES / MOMENT_PAGE >> i));
	}
	return fit;
}

/* Computes the index from the same free blocks as unusable_free_index() does. */
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

/* Before 5.14, kernels sum these values from per-CPU counters that may be in flux. */
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
		long long a = moment_find(t->before_start.numastat, names[i]);
		long long b = moment_find(t->after_start.numastat, names[i]);
		long long y = moment_find(t->before_end.numastat, names[i]);
		long long z = moment_find(t->after_end.numastat, names[i]);

		assert_true(z >= 0);
		fit &= between(names[i], live_int(node, names[i]), y - b, z - a, 0);
	}
	return fit;
}

/* Makes dirty data of the test itself, which stays dirty until after the end of the trace. */
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
		struct trace t = trace_run();
		bool fit = fits(&t);

		trace_free(&t);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
