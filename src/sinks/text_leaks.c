// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Text for people: what grows, the worst first, with the code that it comes from. */
#include <inttypes.h>
#include <stdio.h>

#include "sinks/leaks.h"
#include "sinks/text.h"

#define ROWS 12
#define FRAMES 6

static const char *rate(char *buf, size_t size, int64_t bytes_per_s)
{
	char text[MB_UNITS_LEN];

	snprintf(buf, size, "%s%s/s", bytes_per_s < 0 ? "-" : "",
		 mb_format(text, MB_UNIT_BYTES, (uint64_t)(bytes_per_s < 0 ? -bytes_per_s : bytes_per_s)));
	return buf;
}

/* Days and hours, not seconds: nobody plans by them. */
static const char *long_time(char *buf, size_t size, uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	if (s < 3 * 60)
		snprintf(buf, size, "%" PRIu64 " s", s);
	else if (s < 3 * 3600)
		snprintf(buf, size, "%" PRIu64 " min", s / 60);
	else if (s < 3 * 86400)
		snprintf(buf, size, "%" PRIu64 " h", s / 3600);
	else if (s < 1000ull * 86400)
		snprintf(buf, size, "%" PRIu64 " d", s / 86400);
	else
		snprintf(buf, size, "years");
	return buf;
}

/* From where it gets interesting: the caller of the allocator, or what there is. */
static unsigned int first_frame(const struct mb_leak_row *r)
{
	unsigned int i = 0;

	while (i < r->n_places && mb_leak_is_allocator(&r->places[i]))
		i++;
	return i < r->n_places ? i : 0;
}

static void put_frames(struct mb_out *o, const struct mb_leak_row *r)
{
	unsigned int first = first_frame(r), n = r->n_places - first;
	char name[512];

	if (!r->n_places)
		mb_out_printf(o, "%10s%s\n", "",
			      r->group->key.level == MB_LEAK_KERNEL ? "" : "from before tracing, or without a stack");
	for (unsigned int i = 0; i < n && i < FRAMES; i++) {
		mb_out_printf(o, "%10s%s ", "", i ? "called by" : "       in");
		mb_text_name(o, mb_leak_place_name(&r->places[first + i], name, sizeof(name)), 0);
		mb_out_printf(o, "\n");
	}
	if (n > FRAMES)
		mb_out_printf(o, "%10s          and %u more\n", "", n - FRAMES);
}

static void put_row(struct mb_out *o, const struct mb_leak_row *r)
{
	const struct mb_leak_group *g = r->group;
	char bytes[MB_UNITS_LEN], speed[MB_UNITS_LEN + 4], time[32], error[MB_UNITS_LEN];

	mb_out_printf(o, "%-8s%8u ", mb_verdict_name(r->trend.verdict), g->key.tgid);
	mb_text_name(o, g->comm[0] ? g->comm : "-", 15);
	mb_out_printf(o, " %-6s %10s %9" PRId64 " %12s %5.0f %% %9s", mb_leak_level_name(g->key.level),
		      mb_format(bytes, MB_UNIT_BYTES, g->bytes > 0 ? (uint64_t)g->bytes : 0),
		      g->count > 0 ? g->count : 0, rate(speed, sizeof(speed), r->trend.slope_bytes_per_s),
		      100 * r->trend.confidence, r->eta_known ? long_time(time, sizeof(time), r->eta_ns) : "-");
	if (r->what) {
		mb_out_printf(o, "  ");
		mb_text_name(o, r->what, 0);
	}
	if (r->error_bytes)
		mb_out_printf(o, "  (+-%s)", mb_format(error, MB_UNIT_BYTES, r->error_bytes));
	mb_out_printf(o, "\n");
	put_frames(o, r);
}

static void put_processes(struct mb_out *o, const struct mb_leaks_view *v)
{
	char tracked[MB_UNITS_LEN], before[MB_UNITS_LEN];

	for (size_t i = 0; i < v->n_processes && i < ROWS; i++) {
		const struct mb_leak_process *p = &v->processes[i];

		mb_out_printf(o, "%8u ", p->pid);
		mb_text_name(o, p->comm, 15);
		mb_out_printf(o, " has %s mapped, %s of it mapped before tracing\n",
			      mb_format(tracked, MB_UNIT_BYTES, p->tracked_bytes),
			      mb_format(before, MB_UNIT_BYTES, p->before_bytes));
	}
}

void mb_text_leaks(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v)
{
	char duration[MB_UNITS_LEN];
	size_t shown = 0;

	mb_out_printf(o, "%s after %s\n", s->time, mb_format(duration, MB_UNIT_NS, s->duration_ns));
	mb_text_title(o, s,
		      "VERDICT      PID COMM            LEVEL  OUTSTANDING    COUNT        SPEED  SURE  TO LIMIT");
	for (size_t i = 0; i < v->n_rows && shown < ROWS; i++) {
		/* what was there before and does not grow is nobody's leak */
		if (v->rows[i].trend.verdict == MB_VERDICT_STABLE && !v->rows[i].group->key.stack)
			continue;
		put_row(o, &v->rows[i]);
		shown++;
	}
	if (!shown)
		mb_out_printf(o, "nothing was mapped, touched or allocated that is still there\n");
	put_processes(o, v);
	if (v->left_out)
		mb_out_printf(o, "left out for want of room: %" PRIu64 "\n", v->left_out);
	mb_text_lost(o, &s->model->lost);
	mb_out_printf(o, "\n");
}
