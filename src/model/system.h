/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Statistics of the whole machine: /proc/meminfo, vmstat, zoneinfo, buddyinfo, pressure and the
 * nodes' numastat at one point in time, and arithmetic on two such samples. Plain data;
 * src/host/systemfs.c reads the files.
 */
#ifndef MB_SYSTEM_H
#define MB_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Replaces any number here that the kernel does not provide. In JSON null, in SQL NULL, never 0. */
#define MB_UNKNOWN UINT64_MAX

/* Bounds; items beyond them are dropped and counted. */
#define MB_SYSTEM_ZONES 32u
#define MB_SYSTEM_NODES 16u
#define MB_SYSTEM_ORDERS 14u /* the maximum of the supported architectures: arm64 with pages of 64 KiB */

enum mb_system_file {
	MB_SYSTEM_MEMINFO,
	MB_SYSTEM_VMSTAT,
	MB_SYSTEM_PSI_MEMORY,
	MB_SYSTEM_PSI_IO,
};

enum mb_system_kind {
	MB_SYSTEM_NOW, /* current value */
	MB_SYSTEM_PERCENT, /* same, in hundredths of a percent */
	MB_SYSTEM_COUNT, /* since boot; the increase within the scope is shown */
	MB_SYSTEM_RATE, /* same, also shown per second */
	MB_SYSTEM_TOTAL, /* since boot, and shown as such */
};

enum mb_system_number {
#define MB_SYSTEM_NUMBER(group, name, file, key, scale, kind) MB_SYS_##group##_##name,
#include "model/system.def"
#undef MB_SYSTEM_NUMBER
	MB_SYS_NUMBERS
};

struct mb_system_desc {
	const char *group;
	const char *name;
	const char *column; /* GROUP_NAME */
	const char *key;
	uint64_t scale;
	enum mb_system_file file;
	enum mb_system_kind kind;
};

extern const struct mb_system_desc mb_system_numbers[MB_SYS_NUMBERS];

struct mb_system_zone {
	char name[16];
	uint32_t node;
	uint32_t orders; /* number of valid free_blocks; 0: unknown */
	uint64_t free_pages, min_pages, low_pages, high_pages, managed_pages;
	uint64_t free_blocks[MB_SYSTEM_ORDERS];
};

/*
 * Index of struct mb_system_node.counts; the kernel's own names (numastat) are in
 * mb_system_node_names.
 */
enum {
	MB_NUMA_HIT,
	MB_NUMA_MISS,
	MB_NUMA_FOREIGN,
	MB_NUMA_INTERLEAVE,
	MB_NUMA_LOCAL,
	MB_NUMA_OTHER,
	MB_NUMA_COUNTS
};

extern const char *const mb_system_node_names[MB_NUMA_COUNTS];

struct mb_system_node {
	uint64_t counts[MB_NUMA_COUNTS];
	uint32_t node;
	uint32_t pad;
};

/*
 * One sample. It is a record of recordings; samples from older builds have fewer numbers and are
 * shorter.
 */
struct mb_system {
	uint64_t t_ns; /* CLOCK_BOOTTIME of the reading */
	uint32_t n_zones, n_nodes;
	uint32_t zones_left_out, nodes_left_out;
	struct mb_system_zone zones[MB_SYSTEM_ZONES];
	struct mb_system_node nodes[MB_SYSTEM_NODES];
	uint64_t values[MB_SYS_NUMBERS];
};

/*
 * The model's samples. Counters of the whole trace are now minus first, of an interval now minus
 * before.
 */
struct mb_system_state {
	bool known; /* there has been a record */
	struct mb_system first, before, now;
	uint64_t scope_ns; /* time from first to now if the timestamps do not give it (several boots); 0: they do */
};

/* Set everything to unknown. */
void mb_system_init(struct mb_system *s);

/*
 * Decode a sample from a record of len bytes. Returns 0, or -EINVAL for an invalid record, leaving
 * *s unchanged. Numbers that the recording build did not have are unknown.
 */
int mb_system_from_record(struct mb_system *s, const void *data, size_t len);

/*
 * Parse the text of a file. Unknown entries are ignored; missing ones stay unknown. Zones without
 * memory of their own are omitted. Parse zoneinfo before buddyinfo.
 */
void mb_system_parse(struct mb_system *s, enum mb_system_file file, const char *text);
void mb_system_parse_zoneinfo(struct mb_system *s, const char *text);
void mb_system_parse_buddyinfo(struct mb_system *s, const char *text);
void mb_system_parse_numastat(struct mb_system *s, uint32_t node, const char *text);

/* Increase of a counter; MB_UNKNOWN if either value is, or if the counter went backwards. */
uint64_t mb_system_growth(uint64_t from, uint64_t to);

/* Increase per second in thousandths; MB_UNKNOWN if it cannot be computed. */
uint64_t mb_system_rate(uint64_t growth, uint64_t ns);

/* part / whole in thousandths, rounded down; MB_UNKNOWN if either is unknown or whole is 0. */
uint64_t mb_system_share(uint64_t part, uint64_t whole);

/*
 * Fraction of a zone's free memory that is unusable for an allocation of this order, because it is
 * in smaller blocks, in thousandths: like unusable_free_index() in mm/vmstat.c. 1000 if nothing is
 * free.
 */
uint64_t mb_system_unusable(const struct mb_system_zone *z, uint32_t order);

/* The node with this number; NULL: none. */
const struct mb_system_node *mb_system_node_find(const struct mb_system *s, uint32_t node);

/*
 * The zone with the least free memory relative to its low watermark, at which kswapd wakes up;
 * NULL: unknown.
 */
const struct mb_system_zone *mb_system_tightest(const struct mb_system *s);

#endif
