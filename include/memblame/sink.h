/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a sink is: it shows a snapshot of the model, or single events, in one format. A sink knows
 * fields and events by their descriptions (family.h) only, so it need not change with a family.
 */
#ifndef MEMBLAME_SINK_H
#define MEMBLAME_SINK_H

#include "base/out.h"
#include "model/feed.h"
#include "model/oom.h"

/* The model at one moment, with what belongs to it in every output. */
struct mb_snapshot {
	const struct mb_model *model;
	bool interval; /* values are those of the interval, not since the start */
	uint64_t duration_ns; /* of the interval, or since the start */
	char time[32]; /* RFC 3339 UTC */
	uint64_t t_ns; /* the same moment on CLOCK_BOOTTIME */
	char kernel[72];
	char arch[72];
	const char *version; /* of the memblame that traced; NULL: this one */
	uint64_t bpf_ns; /* time spent in our programs */
	bool bpf_ns_known;
	uint64_t self_cpu_ns;
	uint64_t self_rss_bytes;
	const struct mb_setup *setup;
	const struct mb_victims *victims; /* blame: whom to show; NULL: all */
	const char *command; /* run: as given; NULL. The summary's. */
	int command_status; /* run: exit status, 128 + signal */
	bool history; /* show what the flight history says; recordings have no such view */
	bool color; /* the output is a terminal that wants it */
};

/* Which victims blame shows: those of a process or cgroup given; nothing given: all of them. */
struct mb_victims {
	uint32_t pids[MB_MAX_PIDS];
	uint32_t n_pids;
	uint32_t n_cgroups;
	char cgroups[MB_MAX_CGROUPS][MB_PATH_LEN]; /* paths; those below count, too */
};

struct mb_leaks_view; /* sinks/leaks.h */

struct mb_sink {
	const char *name;
	/* A summary or an interval. */
	void (*snapshot)(struct mb_out *o, const struct mb_snapshot *s);
	/* Who is to blame, in an interval or since the start. */
	void (*blame)(struct mb_out *o, const struct mb_snapshot *s);
	/* What grows. */
	void (*leaks)(struct mb_out *o, const struct mb_snapshot *s, const struct mb_leaks_view *v);
	/* One event. m: to say who pid is; NULL where nothing is known. */
	void (*event)(struct mb_out *o, struct mb_model *m, const struct mb_event *e);
	/* A kill by the OOM killer, and whose fault it was. */
	void (*oom)(struct mb_out *o, const struct mb_snapshot *s, const struct mb_oom_kill *k,
		    const struct mb_oom_culprit *c);
	/* The end of a stream of events. */
	void (*stream_end)(struct mb_out *o, const struct mb_snapshot *s);
};

extern const struct mb_sink mb_sink_json;
extern const struct mb_sink mb_sink_text;

/* The model at one moment: all since the start, or what changed in an interval that long. */
void mb_snapshot_total(struct mb_snapshot *s, const struct mb_model *m, const struct mb_setup *setup,
		       const struct mb_summary *sum);
void mb_snapshot_interval(struct mb_snapshot *s, const struct mb_model *m,
			  const struct mb_setup *setup, const struct mb_moment *at,
			  uint64_t duration_ns);

/* Value of a slot in a snapshot: its change in an interval, else what it is since the start. */
uint64_t mb_snapshot_value(const struct mb_snapshot *s, const struct mb_process *p,
			   unsigned int slot);

/* All time lost by a process in a snapshot, in ns; stalls are exclusive, so it is their sum. */
uint64_t mb_snapshot_stalled_ns(const struct mb_snapshot *s, const struct mb_process *p);

/* Is this victim one to show? */
bool mb_snapshot_shows(const struct mb_snapshot *s, const struct mb_who *victim);

/* The process of a name, if the model still has it; or NULL. */
const struct mb_process *mb_snapshot_process(const struct mb_snapshot *s, const struct mb_who *who);

/* What would have avoided the stalls on a device; buf of MB_ADVICE_LEN. "": nothing was in the way. */
#define MB_ADVICE_LEN 320
const char *mb_device_advice(const struct mb_device *d, const struct mb_dirty_sysctls *sysctls, char *buf);

/* Read one field of an event from the wire; strings: up to size bytes, not terminated. */
uint64_t mb_event_number(const struct mb_event *e, const struct mb_event_field *f);
bool mb_event_field_is_null(const struct mb_event *e, const struct mb_event_field *f);

/* Copy a string field, NUL-terminated, into buf of MB_PATH_LEN bytes. */
const char *mb_event_string(const struct mb_event *e, const struct mb_event_field *f, char *buf);

/* Name of a reason for loss. */
const char *mb_drop_reason_name(unsigned int reason);

#endif
