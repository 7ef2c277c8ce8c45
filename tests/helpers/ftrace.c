// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Parses the text of an ftrace instance. */
#include "ftrace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"

/*
 * Parses "   comm-TID   [001] .....  123.456789: EVENT: nr_reclaimed=32"; false: another thread's line, or no
 * record.
 */
static bool parse_line(char *line, pid_t tid, const char *next, struct ftrace_record *r)
{
	char *cpu = strstr(line, " ["), *at = cpu, *time, *end;

	if (line[0] == '#' || !cpu)
		return false;
	while (at > line && at[-1] == ' ')
		at--;
	while (at > line && at[-1] >= '0' && at[-1] <= '9')
		at--;
	if (atoi(at) != tid && !strstr(cpu, next))
		return false;
	time = strstr(cpu, ": ");
	if (!time)
		return false;
	r->event = time + 2;
	while (time[-1] != ' ')
		time--;
	r->us = atoll(time) * 1000000 + atoll(strchr(time, '.') + 1);
	end = strchr(r->event, ':');
	r->text = end ? end + 1 : "";
	if (end)
		*end = '\0';
	return true;
}

struct ftrace_records ftrace_read(struct sandbox_trace *t, pid_t tid)
{
	struct ftrace_records all = { .text = sandbox_trace_read(t) };
	char *save = NULL, next[32];
	size_t lines = 1;

	snprintf(next, sizeof(next), " next_pid=%d ", tid);
	for (const char *c = all.text; *c; c++)
		lines += *c == '\n';
	all.list = calloc(lines, sizeof(*all.list));
	if (!all.list)
		live_fail("no memory for a trace of %zu lines", lines);
	for (char *line = strtok_r(all.text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long retained, written;

		/* "# entries-in-buffer/entries-written: 2/2   #P:2" */
		if (sscanf(line, "# entries-in-buffer/entries-written: %lu/%lu", &retained, &written) == 2)
			live_equal("records in the trace", (long long)retained, (long long)written);
		all.n += parse_line(line, tid, next, &all.list[all.n]);
	}
	return all;
}

void ftrace_free(struct ftrace_records *r)
{
	free(r->list);
	free(r->text);
}

struct ftrace_reclaim ftrace_reclaim(struct sandbox_trace *t, const char *kind, pid_t tid)
{
	struct ftrace_records all = ftrace_read(t, tid);
	struct ftrace_reclaim sum = { 0 };
	long long begin_us = 0;
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "mm_vmscan_%s_reclaim_", kind);
	for (size_t i = 0; i < all.n; i++) {
		const struct ftrace_record *r = &all.list[i];

		sum.shrinks += !strcmp(r->event, "mm_shrink_slab_end");
		if (strncmp(r->event, prefix, strlen(prefix)))
			continue;
		if (!strcmp(r->event + strlen(prefix), "begin")) {
			begin_us = r->us;
			continue;
		}
		sum.count++;
		sum.ns += (r->us - begin_us) * 1000;
		sum.pages += atoll(strchr(r->text, '=') + 1);
	}
	ftrace_free(&all);
	return sum;
}
