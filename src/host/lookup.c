// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Looks up what only the running system knows: kernel symbols, limits of cgroups, sysctls. */
#include "host/lookup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kallsyms_line.h"
#include "host/mounts.h"

#define NO_LIMIT (1ull << 62) /* v1 reports "no limit" as the largest number of whole pages */

struct mb_lookup {
	struct mb_mounts *mounts;
	FILE *symbols; /* /proc/kallsyms; it shows addresses only if it was opened with the necessary privileges */
};

struct mb_lookup *mb_lookup_open(void)
{
	struct mb_lookup *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->symbols = fopen("/proc/kallsyms", "re");
	n->mounts = mb_mounts_open();
	if (!n->mounts) {
		mb_lookup_close(n);
		return NULL;
	}
	return n;
}

void mb_lookup_close(struct mb_lookup *n)
{
	if (!n)
		return;
	if (n->symbols)
		fclose(n->symbols);
	mb_mounts_close(n->mounts);
	free(n);
}

/* ---- symbols ---- */

static void ingest_shrinker(struct mb_ingest *ingest, uint64_t address, const char *name)
{
	struct mb_shrinker_event e = {
		.h = { .t_ns = mb_now_ns(),
		       .family = MB_FAM_reclaim,
		       .type = MB_RECLAIM_EVENT_SHRINKER,
		       .size = sizeof(e) },
		.shrinker = address,
	};

	snprintf(e.name, sizeof(e.name), "%s", name);
	mb_ingest(ingest, MB_INGEST_EVENT, &e, sizeof(e));
}

static bool any_unnamed(const struct mb_model *m)
{
	for (const struct mb_shrinker *s = m->shrinkers; s; s = s->hh.next) {
		if (!s->asked)
			return true;
	}
	return false;
}

/* Names all unnamed shrinkers in one pass over the symbols, which takes about 30 ms. */
static void name_shrinkers(struct mb_lookup *n, struct mb_ingest *ingest)
{
	struct mb_kallsyms_line l;

	if (n->symbols)
		rewind(n->symbols);
	while (n->symbols && mb_kallsyms_line_next(n->symbols, &l)) {
		struct mb_shrinker *s;

		HASH_FIND(hh, ingest->model->shrinkers, &l.address, sizeof(l.address), s);
		if (s && !s->asked)
			ingest_shrinker(ingest, l.address, l.name);
	}
	for (struct mb_shrinker *s = ingest->model->shrinkers; s; s = s->hh.next) {
		if (!s->asked)
			ingest_shrinker(ingest, s->address, "");
	}
}

/* ---- limits ---- */

/*
 * Reads a number of bytes from a cgroup's file by its v2 name, otherwise by its v1 name. "no limit"
 * gives MB_UNKNOWN.
 */
static uint64_t cgroup_bytes(const char *dir, const char *v2, const char *v1)
{
	unsigned long long bytes = MB_UNKNOWN;
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%.*s/%s", PATH_MAX - 32, dir, v2);
	f = fopen(path, "re");
	if (!f && v1) {
		snprintf(path, sizeof(path), "%.*s/%s", PATH_MAX - 32, dir, v1);
		f = fopen(path, "re");
	}
	if (f && (fscanf(f, "%llu", &bytes) != 1 || bytes >= NO_LIMIT))
		bytes = MB_UNKNOWN;
	if (f)
		fclose(f);
	return bytes;
}

/*
 * The most that the cgroup used: a process has stalled at its limit since the last tick, and may have freed memory
 * since. The peak (since 5.19, and v1) can be from a time when the limit was higher.
 */
static uint64_t most_used(const char *dir, uint64_t limit)
{
	uint64_t now = cgroup_bytes(dir, "memory.current", "memory.usage_in_bytes");
	uint64_t peak = cgroup_bytes(dir, "memory.peak", "memory.max_usage_in_bytes");

	if (now == MB_UNKNOWN || peak == MB_UNKNOWN)
		return now;
	peak = peak < limit ? peak : limit;
	return peak > now ? peak : now;
}

void mb_lookup_ingest_limits(struct mb_ingest *ingest, const char *root, const char *path)
{
	struct mb_cgroup_limits l;
	size_t len = strlen(path);
	char dir[PATH_MAX], *record;

	if (snprintf(dir, sizeof(dir), "%s%s", root, path) >= PATH_MAX - 32)
		return; /* longer than PATH_MAX: its limits remain unknown */
	l.max_bytes = cgroup_bytes(dir, "memory.max", "memory.limit_in_bytes");
	l.high_bytes = cgroup_bytes(dir, "memory.high", NULL);
	l.usage_bytes = most_used(dir, l.max_bytes);
	record = malloc(sizeof(l) + len);
	if (!record)
		return;
	memcpy(record, &l, sizeof(l));
	memcpy(record + sizeof(l), path, len);
	mb_ingest(ingest, MB_INGEST_LIMITS, record, sizeof(l) + len);
	free(record);
}

void mb_lookup_ingest(struct mb_lookup *n, struct mb_ingest *ingest)
{
	if (any_unnamed(ingest->model))
		name_shrinkers(n, ingest);
	mb_mounts_ingest(n->mounts, ingest);
}

/* ---- sysctls ---- */

static uint64_t sysctl(const char *name)
{
	unsigned long long v;
	char path[96];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", name);
	f = fopen(path, "re");
	if (!f)
		return MB_UNKNOWN;
	n = fscanf(f, "%llu", &v);
	fclose(f);
	return n == 1 ? v : MB_UNKNOWN;
}

void mb_lookup_sysctls(struct mb_dirty_sysctls *s)
{
	s->ratio = sysctl("dirty_ratio");
	s->background_ratio = sysctl("dirty_background_ratio");
	s->bytes = sysctl("dirty_bytes");
	s->background_bytes = sysctl("dirty_background_bytes");
	s->expire_centisecs = sysctl("dirty_expire_centisecs");
	s->writeback_centisecs = sysctl("dirty_writeback_centisecs");
}
