// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Text: the machine in four lines of at most 80 columns, above a table of processes. */
#include <inttypes.h>
#include <stdio.h>

#include "base/units.h"
#include "sinks/system.h"

#define CELLS 16

/* Buffers for the texts of one line, since printf needs them all at once. */
struct cells {
	const struct mb_system *from, *to;
	uint64_t ns;
	char text[CELLS][MB_UNITS_LEN];
	int used;
};

static char *cell(struct cells *c)
{
	return c->text[c->used++ % CELLS];
}

static const char *bytes(struct cells *c, uint64_t v)
{
	return v == MB_UNKNOWN ? "?" : mb_format(cell(c), MB_UNIT_BYTES, v);
}

static const char *now(struct cells *c, enum mb_system_number n)
{
	return bytes(c, c->to->values[n]);
}

/* Format a rate per second in at most five characters. */
static const char *rate(struct cells *c, enum mb_system_number n)
{
	static const char units[] = " kMGTPE";
	uint64_t v = mb_system_rate(mb_system_growth(c->from->values[n], c->to->values[n]), c->ns);
	char *text = cell(c);
	int unit = 0;

	if (v == MB_UNKNOWN)
		return "?";
	for (v = v / 1000 + (v % 1000 >= 500); v >= 100000 || (unit && v >= 10000); v /= 1000)
		unit++;
	snprintf(text, MB_UNITS_LEN, unit ? "%" PRIu64 "%c" : "%" PRIu64, v, units[unit]);
	return text;
}

static const char *efficiency(struct cells *c, enum mb_system_number stolen,
			      enum mb_system_number scanned)
{
	uint64_t part = mb_system_growth(c->from->values[stolen], c->to->values[stolen]);
	uint64_t whole = mb_system_growth(c->from->values[scanned], c->to->values[scanned]);
	uint64_t v = mb_system_share(part, whole);
	char *text = cell(c);

	if (v == MB_UNKNOWN)
		return whole ? "?" : "-";
	/* the result can exceed 100 %: pages isolated earlier can be counted as stolen later */
	snprintf(text, MB_UNITS_LEN, "%" PRIu64 "%%", v < 9990 ? (v + 5) / 10 : 999);
	return text;
}

static const char *percent(struct cells *c, enum mb_system_number n)
{
	uint64_t v = c->to->values[n];
	char *text = cell(c);

	if (v == MB_UNKNOWN)
		return "?";
	if (v > 10000)
		v = 10000;
	snprintf(text, MB_UNITS_LEN, "%u.%02u", (unsigned int)(v / 100), (unsigned int)(v % 100));
	return text;
}

/* Zone names come from the kernel, but a recording is untrusted: no control character may reach a terminal. */
static void put_zone_name(struct mb_out *o, const struct mb_system_zone *z)
{
	char name[sizeof(z->name)];
	size_t i;

	for (i = 0; z->name[i] && i < 7; i++)
		name[i] = z->name[i] < 0x20 || z->name[i] > 0x7e ? '?' : z->name[i];
	name[i] = '\0';
	mb_out_printf(o, "%s/%u", name, z->node % 1000);
}

static void put_tightest(struct mb_out *o, struct cells *c)
{
	const struct mb_system_zone *z = mb_system_tightest(c->to);
	bool over = z && z->free_pages >= z->low_pages;
	uint64_t pages;

	if (!z)
		return;
	pages = over ? z->free_pages - z->low_pages : z->low_pages - z->free_pages;
	mb_out_printf(o, " ");
	put_zone_name(o, z);
	mb_out_printf(o, " %s %s low", bytes(c, pages * MB_PAGE_SIZE), over ? "over" : "under");
}

void mb_system_text(struct mb_out *o, const struct mb_snapshot *s)
{
	const struct mb_system_state *state = &s->model->system;
	struct cells c = { .from = s->interval ? &state->before : &state->first,
			   .to = &state->now };

	if (!state->known)
		return;
	c.ns = !s->interval && state->scope_ns ? state->scope_ns :
						 mb_system_growth(c.from->t_ns, c.to->t_ns);
	mb_out_printf(o, "Memory   %8s  free %8s  avail %8s  anon %8s  cache %8s\n",
		      now(&c, MB_SYS_memory_total_bytes), now(&c, MB_SYS_memory_free_bytes),
		      now(&c, MB_SYS_memory_available_bytes), now(&c, MB_SYS_memory_anon_bytes),
		      now(&c, MB_SYS_memory_cached_bytes));
	mb_out_printf(o, "Swap     %8s  free %8s  in %5s out %5s/s  psi mem %5s io %5s\n",
		      now(&c, MB_SYS_swap_total_bytes), now(&c, MB_SYS_swap_free_bytes),
		      rate(&c, MB_SYS_swap_in_pages), rate(&c, MB_SYS_swap_out_pages),
		      percent(&c, MB_SYS_psi_memory_some_avg10_bp),
		      percent(&c, MB_SYS_psi_io_some_avg10_bp));
	mb_out_printf(o, "Dirty    %8s  writeback %8s  limit %8s  faults %5s/s\n",
		      now(&c, MB_SYS_dirty_dirty_bytes), now(&c, MB_SYS_dirty_writeback_bytes),
		      now(&c, MB_SYS_dirty_limit_bytes), rate(&c, MB_SYS_paging_faults));
	mb_out_printf(o, "Reclaim  kswapd %5s/s %4s  direct %5s/s %4s",
		      rate(&c, MB_SYS_reclaim_kswapd_scanned_pages),
		      efficiency(&c, MB_SYS_reclaim_kswapd_stolen_pages,
				 MB_SYS_reclaim_kswapd_scanned_pages),
		      rate(&c, MB_SYS_reclaim_direct_scanned_pages),
		      efficiency(&c, MB_SYS_reclaim_direct_stolen_pages,
				 MB_SYS_reclaim_direct_scanned_pages));
	put_tightest(o, &c);
	mb_out_printf(o, "\n");
}
