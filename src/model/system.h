/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The machine beside the processes: what /proc/meminfo, vmstat, zoneinfo, buddyinfo, pressure and the
 * nodes' numastat say at one moment, and the arithmetic on two such moments. Plain data; reading the
 * files is src/host/systemfs.c.
 */
#ifndef MB_SYSTEM_H
#define MB_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In place of any number here: the kernel does not tell it. In JSON null, in SQL NULL, never 0. */
#define MB_UNKNOWN UINT64_MAX

/* Bounds; what is over them is left out and counted. */
#define MB_SYSTEM_ZONES 32u
#define MB_SYSTEM_NODES 16u
#define MB_SYSTEM_ORDERS 14u /* the most of any architecture we know: arm64 with pages of 64 KiB */

enum mb_system_file {
	MB_SYSTEM_MEMINFO,
	MB_SYSTEM_VMSTAT,
	MB_SYSTEM_PSI_MEMORY,
	MB_SYSTEM_PSI_IO,
};

enum mb_system_kind {
	MB_SYSTEM_NOW, /* as it is at the moment */
	MB_SYSTEM_PERCENT, /* the same, in hundredths of a percent */
	MB_SYSTEM_COUNT, /* since boot; shown is what came in the scope */
	MB_SYSTEM_RATE, /* the same, shown per second too */
	MB_SYSTEM_TOTAL, /* since boot, and shown so too */
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
	uint32_t orders; /* how many of free_blocks there are; 0: not known */
	uint64_t free_pages, min_pages, low_pages, high_pages, managed_pages;
	uint64_t free_blocks[MB_SYSTEM_ORDERS];
};

/* As struct mb_system_node.counts; the kernel's own names (numastat) in mb_system_node_names. */
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

/* One moment. It is a record of recordings; one that knew fewer numbers is the shorter for it. */
struct mb_system {
	uint64_t t_ns; /* CLOCK_BOOTTIME, when it was read */
	uint32_t n_zones, n_nodes;
	uint32_t zones_left_out, nodes_left_out;
	struct mb_system_zone zones[MB_SYSTEM_ZONES];
	struct mb_system_node nodes[MB_SYSTEM_NODES];
	uint64_t values[MB_SYS_NUMBERS];
};

/* What a model knows of it. Counters of the trace are now less first, of an interval now less before. */
struct mb_system_state {
	bool known; /* there has been a record */
	struct mb_system first, before, now;
	uint64_t scope_ns; /* from first to now, where their times do not tell: over boots; 0: they do */
};

/* Nothing is known yet. */
void mb_system_init(struct mb_system *s);

/*
 * Take a moment out of a record of len bytes. Returns 0, or -EINVAL for what no memblame wrote, with *s as it
 * was. Numbers that the build that wrote it did not have are unknown.
 */
int mb_system_from_record(struct mb_system *s, const void *data, size_t len);

/*
 * Take in the text of a file. What is in it and not in our tables is passed over; what is not in it stays
 * unknown. Zones without memory of their own are left out. buddyinfo wants zoneinfo before it.
 */
void mb_system_parse(struct mb_system *s, enum mb_system_file file, const char *text);
void mb_system_parse_zoneinfo(struct mb_system *s, const char *text);
void mb_system_parse_buddyinfo(struct mb_system *s, const char *text);
void mb_system_parse_numastat(struct mb_system *s, uint32_t node, const char *text);

/* What a counter grew by; MB_UNKNOWN where either is, or where it went backwards. */
uint64_t mb_system_growth(uint64_t from, uint64_t to);

/* Growth per second in thousandths; MB_UNKNOWN where it cannot be said. */
uint64_t mb_system_rate(uint64_t growth, uint64_t ns);

/* part of whole in thousandths, rounded down; MB_UNKNOWN where one is unknown or whole is 0. */
uint64_t mb_system_share(uint64_t part, uint64_t whole);

/*
 * The share of a zone's free memory that is of no use to an allocation of this order, being in smaller
 * blocks, in thousandths: as unusable_free_index() of mm/vmstat.c. 1000 where nothing is free.
 */
uint64_t mb_system_unusable(const struct mb_system_zone *z, uint32_t order);

/* The node of this number, or NULL. */
const struct mb_system_node *mb_system_node_find(const struct mb_system *s, uint32_t node);

/* The zone with the least free memory for its low watermark, at which kswapd wakes up; NULL: not known. */
const struct mb_system_zone *mb_system_tightest(const struct mb_system *s);

#endif
