// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads reclaims out of the text of an ftrace instance. */
#include "ftrace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"

/* "   comm-TID   [001] .....  123.456789: EVENT: nr_reclaimed=32"; false: of another thread */
static bool parse_line(const char *line, const char *event, pid_t tid, long long *us)
{
	const char *cpu = strstr(line, " ["), *at = cpu, *time;

	if (!cpu)
		return false;
	while (at > line && at[-1] == ' ')
		at--;
	while (at > line && at[-1] >= '0' && at[-1] <= '9')
		at--;
	for (time = event - 2; time > line && time[-1] != ' '; time--)
		;
	*us = atoll(time) * 1000000 + atoll(strchr(time, '.') + 1);
	return atoi(at) == tid;
}

struct ftrace_reclaim ftrace_reclaim(struct sandbox_trace *t, const char *kind, pid_t tid)
{
	char *text = sandbox_trace_read(t), *save = NULL, prefix[64];
	struct ftrace_reclaim sum = { 0 };
	long long begin_us = 0, us;

	snprintf(prefix, sizeof(prefix), "mm_vmscan_%s_reclaim_", kind);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *event = strstr(line, prefix);
		const char *shrink = strstr(line, "mm_shrink_slab_end:");
		unsigned long kept, written;

		/* "# entries-in-buffer/entries-written: 2/2   #P:2" */
		if (sscanf(line, "# entries-in-buffer/entries-written: %lu/%lu", &kept,
			   &written) == 2)
			live_equal("records in the trace", (long long)kept, (long long)written);
		if (shrink && parse_line(line, shrink, tid, &us))
			sum.shrinks++;
		if (!event || !parse_line(line, event, tid, &us))
			continue;
		event += strlen(prefix);
		if (!strncmp(event, "begin:", strlen("begin:"))) {
			begin_us = us;
			continue;
		}
		sum.count++;
		sum.ns += (us - begin_us) * 1000;
		sum.pages += atoll(strchr(event, '=') + 1);
	}
	free(text);
	return sum;
}
