// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Reads begin and end events from the text of two ftrace instances. One of them records before memblame, the
 * other after it.
 */
#include "pairs.h"

#include <stdlib.h>
#include <string.h>

#include "live.h"

/* What one trace shows of one thread: sums over all its events; times since boot. */
struct sums {
	long long begins, ends, begin_us, end_us, reclaimed;
};

static void put_in(const struct sandbox_trace *t, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static const char *open_one(struct sandbox_trace *t, const char *system, const char *event)
{
	char begin[96], end[96];
	const char *events[] = { begin, end, NULL }, *reason;

	snprintf(begin, sizeof(begin), "%s/%s_begin", system, event);
	snprintf(end, sizeof(end), "%s/%s_end", system, event);
	reason = sandbox_trace_open(t, events);
	/* use memblame's clock; after a CPU stalls, the default clock does not show the gap until the next tick */
	if (!reason)
		put_in(t, "trace_clock", "boot");
	return reason;
}

/*
 * Disables the events of the second trace; pairs_script() enables them again, so that their hooks run after
 * memblame's.
 */
const char *pairs_open(struct pairs *p, const char *system, const char *event)
{
	const char *reason;
	char enable[96];

	memset(p, 0, sizeof(*p));
	p->event = event;
	reason = open_one(&p->first, system, event);
	if (!reason)
		reason = open_one(&p->last, system, event);
	if (reason)
		return reason;
	snprintf(enable, sizeof(enable), "events/%s/enable", system);
	put_in(&p->last, enable, "0");
	return NULL;
}

char *pairs_script(struct pairs *p, const char *system, const char *commands)
{
	char *script, events[160];

	snprintf(events, sizeof(events), "%s/events/%s/%s", p->last.dir, system, p->event);
	assert_true(asprintf(&script, "echo 1 >%s_begin/enable && echo 1 >%s_end/enable || exit 9; %s",
			     events, events, commands) > 0);
	return script;
}

/*
 * Parses "   comm-TID   [001] .....  123.456789: EVENT: nr_reclaimed=32". The fields between comm-TID and the
 * timestamp vary.
 */
static void take_line(struct sums *sums, char *line, const char *event, pid_t tid)
{
	char *at = strstr(line, event), *dash, *cpu, *time, *pages;
	bool begin;
	long long us;

	if (!at || at - line < 2 || at[-1] != ' ' || at[-2] != ':')
		return;
	begin = !strncmp(at + strlen(event), "_begin:", strlen("_begin:"));
	if (!begin && strncmp(at + strlen(event), "_end:", strlen("_end:")))
		return;
	pages = strstr(at, "nr_reclaimed=");
	at[-2] = '\0';
	time = strrchr(line, ' ');
	cpu = strstr(line, " [");
	assert_non_null(cpu);
	assert_non_null(time);
	*cpu = '\0';
	dash = strrchr(line, '-');
	if (!dash || atoi(dash + 1) != tid)
		return;
	us = atoll(time) * 1000000 + atoll(strchr(time + 1, '.') + 1);
	live_equal("begins without an end", sums->begins - sums->ends, !begin);
	*(begin ? &sums->begins : &sums->ends) += 1;
	*(begin ? &sums->begin_us : &sums->end_us) += us;
	sums->reclaimed += pages ? atoll(pages + strlen("nr_reclaimed=")) : 0;
}

static struct sums add_up(struct sandbox_trace *t, const char *event, pid_t tid)
{
	char *text = sandbox_trace_read(t), *save = NULL, *line;
	struct sums sums = { 0 };
	unsigned long retained, written;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		/* "# entries-in-buffer/entries-written: 2/2   #P:2" */
		if (sscanf(line, "# entries-in-buffer/entries-written: %lu/%lu", &retained,
			   &written) == 2)
			live_equal("records in the trace", (long long)retained, (long long)written);
		else if (line[0] != '#')
			take_line(&sums, line, event, tid);
	}
	free(text);
	live_equal("begins and ends", sums.begins, sums.ends);
	return sums;
}

struct pairs_truth pairs_read(struct pairs *p, pid_t tid)
{
	struct sums first = add_up(&p->first, p->event, tid);
	struct sums last = add_up(&p->last, p->event, tid);

	live_equal("pairs in both traces", first.ends, last.ends);
	live_equal("pages in both traces", first.reclaimed, last.reclaimed);
	return (struct pairs_truth){
		.count = first.ends,
		.min_ns = (first.end_us - last.begin_us) * 1000,
		.max_ns = (last.end_us - first.begin_us) * 1000,
		.reclaimed = first.reclaimed,
	};
}

void pairs_close(struct pairs *p)
{
	if (p->first.dir[0])
		sandbox_trace_close(&p->first);
	if (p->last.dir[0])
		sandbox_trace_close(&p->last);
	memset(p, 0, sizeof(*p));
}

/* A stall that this kernel cannot report is included in the enclosing stall. */
static long long stall_ns(json_t *process, const char *stall)
{
	json_t *reported = json_object_get(live_get(process, "stalls"), stall);

	assert_non_null(reported);
	return json_is_null(reported) ? 0 : live_int(reported, "ns");
}

/*
 * A stall's own time excludes the stalls that nest in it. The inner stalls may also occur elsewhere: a thread
 * that is out of memory is also throttled between two reclaims. So the sum is only an upper bound.
 */
void pairs_check(json_t *process, const char *stall, const struct pairs_truth *truth)
{
	static const char *const inner[] = { "compaction", "throttle", "writeback_wait" };
	long long slack = truth->count * 2000; /* the trace has microsecond resolution */
	long long own_ns = stall_ns(process, stall), ns = own_ns;

	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++)
		if (strcmp(inner[i], stall))
			ns += stall_ns(process, inner[i]);
	print_message("%s: %lld ns, %lld with what may nest; trace: %lld to %lld ns in %lld\n",
		      stall, own_ns, ns, truth->min_ns, truth->max_ns, truth->count);
	assert_true(own_ns > 0);
	if (ns < truth->min_ns - slack || own_ns > truth->max_ns + slack)
		live_fail("%s: got %lld, %lld with what may nest, want %lld to %lld (slack %lld)",
			  stall, own_ns, ns, truth->min_ns, truth->max_ns, slack);
}
