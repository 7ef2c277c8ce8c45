// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Statistics of the machine: parsers for the kernel's files, and arithmetic on the values. */
#include "model/system.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memblame/family.h"

const struct mb_system_desc mb_system_numbers[MB_SYS_NUMBERS] = {
#define MB_SYSTEM_NUMBER(g, n, f, k, s, t)                                      \
	{ .group = #g, .name = #n, .column = #g "_" #n, .key = k, .scale = s, \
	  .file = MB_SYSTEM_##f, .kind = MB_SYSTEM_##t },
#include "model/system.def"
#undef MB_SYSTEM_NUMBER
};

const char *const mb_system_node_names[MB_NUMA_COUNTS] = {
	[MB_NUMA_HIT] = "numa_hit",	      [MB_NUMA_MISS] = "numa_miss",
	[MB_NUMA_FOREIGN] = "numa_foreign",   [MB_NUMA_INTERLEAVE] = "interleave_hit",
	[MB_NUMA_LOCAL] = "local_node",	      [MB_NUMA_OTHER] = "other_node",
};

void mb_system_init(struct mb_system *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		s->values[i] = MB_UNKNOWN;
}

static bool valid(const struct mb_system *s)
{
	if (s->n_zones > MB_SYSTEM_ZONES || s->n_nodes > MB_SYSTEM_NODES)
		return false;
	for (uint32_t i = 0; i < s->n_zones; i++) {
		if (s->zones[i].orders > MB_SYSTEM_ORDERS ||
		    !memchr(s->zones[i].name, '\0', sizeof(s->zones[i].name)))
			return false;
	}
	return true;
}

int mb_system_from_record(struct mb_system *s, const void *data, size_t len)
{
	struct mb_system new;

	if (len < offsetof(struct mb_system, values) || len > sizeof(new) || len % sizeof(uint64_t))
		return -EINVAL;
	mb_system_init(&new);
	memcpy(&new, data, len);
	if (!valid(&new))
		return -EINVAL;
	*s = new;
	return 0;
}

/* ---- parsing ---- */

/* The line after this one; NULL at the end of the text. */
static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end && end[1] ? end + 1 : NULL;
}

/* Parse the number at the start of at, after separators. Returns false if there is none, or if it is too large. */
static bool take_number(const char *at, uint64_t *out)
{
	char *end;
	unsigned long long v;

	while (*at == ' ' || *at == '\t' || *at == ':' || *at == '=')
		at++;
	if (!isdigit((unsigned char)*at))
		return false;
	v = strtoull(at, &end, 10);
	*out = v;
	return v != MB_UNKNOWN;
}

/* Does this key of the kernel belong to that number? */
static bool key_matches(const char *wanted, const char *key, size_t len)
{
	size_t n = strlen(wanted);

	if (n && wanted[n - 1] == '*')
		return len >= n - 1 && memcmp(wanted, key, n - 1) == 0;
	return len == n && memcmp(wanted, key, n) == 0;
}

static void set_number(struct mb_system *s, enum mb_system_file file, const char *key, size_t len,
		       uint64_t v)
{
	for (int i = 0; i < MB_SYS_NUMBERS; i++) {
		const struct mb_system_desc *d = &mb_system_numbers[i];

		if (d->file != file || !key_matches(d->key, key, len))
			continue;
		v *= d->scale;
		s->values[i] = s->values[i] == MB_UNKNOWN ? v : s->values[i] + v;
		return;
	}
}

/* "some avg10=0.12 avg60=0.00 avg300=0.00 total=3709105" */
static void parse_pressure(struct mb_system *s, enum mb_system_file file, const char *line)
{
	static const char *const fields[] = { "avg10", "avg60", "avg300", "total" };
	char kind[16], key[32];
	const char *end = line + strcspn(line, "\n");

	if (sscanf(line, "%15[a-z]", kind) != 1)
		return;
	for (size_t i = 0; i < MB_ARRAY_SIZE(fields); i++) {
		char name[16];
		const char *at;
		unsigned int hundredths = 0;
		uint64_t v;

		snprintf(name, sizeof(name), " %s=", fields[i]);
		at = strstr(line, name);
		if (!at || at >= end || !take_number(at + strlen(name), &v))
			continue;
		if (fields[i][0] == 'a') {
			sscanf(at + strlen(name), "%*u.%2u", &hundredths);
			v = v * 100 + hundredths;
		}
		snprintf(key, sizeof(key), "%s %s", kind, fields[i]);
		set_number(s, file, key, strlen(key), v);
	}
}

void mb_system_parse(struct mb_system *s, enum mb_system_file file, const char *text)
{
	bool pressure = file == MB_SYSTEM_PSI_MEMORY || file == MB_SYSTEM_PSI_IO;
	uint64_t v;

	for (const char *line = *text ? text : NULL; line; line = next_line(line)) {
		size_t len = strcspn(line, ": \n");

		if (pressure)
			parse_pressure(s, file, line);
		else if (len && take_number(line + len, &v))
			set_number(s, file, line, len, v);
	}
}

static struct mb_system_zone *find_zone(struct mb_system *s, uint32_t node, const char *name)
{
	for (uint32_t i = 0; i < s->n_zones; i++) {
		if (s->zones[i].node == node && !strcmp(s->zones[i].name, name))
			return &s->zones[i];
	}
	return NULL;
}

static void new_zone(struct mb_system_zone *z, uint32_t node, const char *name)
{
	memset(z, 0, sizeof(*z));
	z->node = node;
	snprintf(z->name, sizeof(z->name), "%s", name);
	z->free_pages = z->min_pages = z->low_pages = z->high_pages = z->managed_pages =
		MB_UNKNOWN;
}

/* A zone is complete. Zones of movable and of device memory are usually empty. */
static void end_zone(struct mb_system *s, const struct mb_system_zone *z)
{
	if (!z->name[0] || z->free_pages == MB_UNKNOWN || z->managed_pages == 0)
		return;
	if (s->n_zones < MB_SYSTEM_ZONES)
		s->zones[s->n_zones++] = *z;
	else
		s->zones_left_out++;
}

/* All lines of a zone that are parsed are between "pages free" and "protection:". */
static bool zone_line(struct mb_system_zone *z, const char *line)
{
	const struct {
		const char *key;
		uint64_t *value;
	} keys[] = { { "min", &z->min_pages },
		     { "low", &z->low_pages },
		     { "high", &z->high_pages },
		     { "managed", &z->managed_pages } };
	size_t len;

	line += strspn(line, " \t");
	len = strcspn(line, " \t\n");
	for (size_t i = 0; i < MB_ARRAY_SIZE(keys); i++) {
		uint64_t v;

		if (len == strlen(keys[i].key) && !memcmp(line, keys[i].key, len) &&
		    take_number(line + len, &v))
			*keys[i].value = v;
	}
	return strncmp(line, "protection:", 11) != 0;
}

void mb_system_parse_zoneinfo(struct mb_system *s, const char *text)
{
	struct mb_system_zone z = { 0 };
	bool within = false;

	for (const char *line = *text ? text : NULL; line; line = next_line(line)) {
		char name[sizeof(z.name)];
		unsigned long long pages;
		unsigned int node;

		if (sscanf(line, "Node %u, zone %15s", &node, name) == 2) {
			end_zone(s, &z);
			new_zone(&z, node, name);
			within = false;
		} else if (z.name[0] && sscanf(line, " pages free %llu", &pages) == 1) {
			z.free_pages = pages;
			within = true;
		} else if (within) {
			within = zone_line(&z, line);
		}
	}
	end_zone(s, &z);
}

void mb_system_parse_buddyinfo(struct mb_system *s, const char *text)
{
	for (const char *line = *text ? text : NULL; line; line = next_line(line)) {
		const char *end = line + strcspn(line, "\n"), *at;
		struct mb_system_zone *z;
		unsigned int node;
		char name[16];
		uint64_t v;
		int n = 0;

		if (sscanf(line, "Node %u, zone %15s%n", &node, name, &n) != 2)
			continue;
		z = find_zone(s, node, name);
		for (at = line + n; z && at < end && z->orders < MB_SYSTEM_ORDERS;) {
			at += strspn(at, " \t");
			if (at >= end || !take_number(at, &v))
				break;
			z->free_blocks[z->orders++] = v;
			at += strcspn(at, " \t\n");
		}
	}
}

void mb_system_parse_numastat(struct mb_system *s, uint32_t node, const char *text)
{
	struct mb_system_node n = { .node = node };

	for (int i = 0; i < MB_NUMA_COUNTS; i++)
		n.counts[i] = MB_UNKNOWN;
	for (const char *line = *text ? text : NULL; line; line = next_line(line)) {
		size_t len = strcspn(line, " \n");
		uint64_t v;

		for (int i = 0; i < MB_NUMA_COUNTS; i++) {
			if (key_matches(mb_system_node_names[i], line, len) &&
			    take_number(line + len, &v))
				n.counts[i] = v;
		}
	}
	if (s->n_nodes < MB_SYSTEM_NODES)
		s->nodes[s->n_nodes++] = n;
	else
		s->nodes_left_out++;
}

/* ---- arithmetic ---- */

uint64_t mb_system_growth(uint64_t from, uint64_t to)
{
	return from == MB_UNKNOWN || to == MB_UNKNOWN || to < from ? MB_UNKNOWN : to - from;
}

/* a * b / c; the product may exceed 64 bits */
static uint64_t scaled(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 v = (unsigned __int128)a * b / c;

	return v < MB_UNKNOWN ? (uint64_t)v : MB_UNKNOWN;
}

uint64_t mb_system_rate(uint64_t growth, uint64_t ns)
{
	return growth == MB_UNKNOWN || ns == MB_UNKNOWN || !ns ?
		       MB_UNKNOWN :
		       scaled(growth, 1000ull * 1000 * 1000 * 1000, ns);
}

uint64_t mb_system_share(uint64_t part, uint64_t whole)
{
	return part == MB_UNKNOWN || whole == MB_UNKNOWN || !whole ? MB_UNKNOWN :
								      scaled(part, 1000, whole);
}

uint64_t mb_system_unusable(const struct mb_system_zone *z, uint32_t order)
{
	uint64_t free_pages = 0, usable_pages = 0;

	for (uint32_t i = 0; i < z->orders; i++) {
		free_pages += z->free_blocks[i] << i;
		if (i >= order)
			usable_pages += z->free_blocks[i] << i;
	}
	return free_pages ? mb_system_share(free_pages - usable_pages, free_pages) : 1000;
}

const struct mb_system_node *mb_system_node_find(const struct mb_system *s, uint32_t node)
{
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		if (s->nodes[i].node == node)
			return &s->nodes[i];
	}
	return NULL;
}

const struct mb_system_zone *mb_system_tightest(const struct mb_system *s)
{
	const struct mb_system_zone *tightest = NULL;
	uint64_t least = 0;

	for (uint32_t i = 0; i < s->n_zones; i++) {
		const struct mb_system_zone *z = &s->zones[i];
		uint64_t share = mb_system_share(z->free_pages, z->low_pages);

		if (share == MB_UNKNOWN || (tightest && share >= least))
			continue;
		tightest = z;
		least = share;
	}
	return tightest;
}
