// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Names that only the running system knows: where file systems are mounted, symbols of the kernel. */
#include "names.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

struct mb_names {
	FILE *symbols; /* /proc/kallsyms: who opened it decides on whether addresses are shown */
};

struct mb_names *mb_names_open(void)
{
	struct mb_names *n = calloc(1, sizeof(*n));

	if (n)
		n->symbols = fopen("/proc/kallsyms", "re");
	return n;
}

void mb_names_close(struct mb_names *n)
{
	if (!n)
		return;
	if (n->symbols)
		fclose(n->symbols);
	free(n);
}

/* ---- mounts ---- */

/* proc writes a space as \040, and so on (man 5 proc_pid_mountinfo). */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		unsigned int code;

		if (*s == '\\' && sscanf(s + 1, "%3o", &code) == 1) {
			*to++ = (char)code;
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* The first place at which the root of that file system is mounted; "" where there is none. */
static void find_mount(struct mb_mount *m)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned int major, minor;
	char line[1024], root[256], path[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %u:%u %255s %255s", &major, &minor, root, path) != 4 ||
		    (major << 20 | minor) != m->dev || strcmp(root, "/") != 0)
			continue;
		unescape(path);
		snprintf(m->path, sizeof(m->path), "%s", path);
		break;
	}
	if (f)
		fclose(f);
}

static void feed_mount(struct mb_feed *feed, uint32_t dev)
{
	struct mb_mount m = { .dev = dev };

	find_mount(&m);
	mb_feed(feed, MB_FRAME_MOUNT, &m, sizeof(m));
}

/* ---- symbols ---- */

static void feed_shrinker(struct mb_feed *feed, uint64_t address, const char *name)
{
	struct mb_shrinker_event e = {
		.h = { .t_ns = mb_now_ns(),
		       .family = MB_FAM_reclaim,
		       .type = MB_RECLAIM_EVENT_SHRINKER,
		       .size = sizeof(e) },
		.shrinker = address,
	};

	snprintf(e.name, sizeof(e.name), "%s", name);
	mb_feed(feed, MB_FRAME_EVENT, &e, sizeof(e));
}

static bool any_unnamed(const struct mb_model *m)
{
	for (const struct mb_shrinker *s = m->shrinkers; s; s = s->hh.next) {
		if (!s->asked)
			return true;
	}
	return false;
}

/* One pass over the symbols, some 30 ms, for all that are unnamed. */
static void name_shrinkers(struct mb_names *n, struct mb_feed *feed)
{
	unsigned long long address;
	char line[512], name[256];

	if (n->symbols)
		rewind(n->symbols);
	while (n->symbols && fgets(line, sizeof(line), n->symbols)) {
		struct mb_shrinker *s;
		uint64_t key;

		if (sscanf(line, "%llx %*c %255s", &address, name) != 2 || !address)
			continue;
		key = address;
		HASH_FIND(hh, feed->model->shrinkers, &key, sizeof(key), s);
		if (s && !s->asked)
			feed_shrinker(feed, key, name);
	}
	for (struct mb_shrinker *s = feed->model->shrinkers; s; s = s->hh.next) {
		if (!s->asked)
			feed_shrinker(feed, s->address, "");
	}
}

void mb_names_feed(struct mb_names *n, struct mb_feed *feed)
{
	if (any_unnamed(feed->model))
		name_shrinkers(n, feed);
	for (uint32_t i = 0; i < feed->model->blame.n_mounts; i++) {
		const struct mb_mount *m = &feed->model->blame.mounts[i];

		if (!m->known)
			feed_mount(feed, m->dev);
	}
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

void mb_names_sysctls(struct mb_dirty_sysctls *s)
{
	s->ratio = sysctl("dirty_ratio");
	s->background_ratio = sysctl("dirty_background_ratio");
	s->bytes = sysctl("dirty_bytes");
	s->background_bytes = sysctl("dirty_background_bytes");
	s->expire_centisecs = sysctl("dirty_expire_centisecs");
	s->writeback_centisecs = sysctl("dirty_writeback_centisecs");
}
