/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What a sink is: it shows a snapshot of the model, or single events, in one format. A sink knows
 * fields and events by their descriptions (family.h) only, so it need not change with a family.
 */
#ifndef MEMBLAME_SINK_H
#define MEMBLAME_SINK_H

#include "base/out.h"
#include "model/ingest.h"

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
	uint64_t self_rss_bytes; /* resident now; MB_UNKNOWN: not known */
	const struct mb_setup *setup;
	const uint32_t *pids; /* processes asked for by their number */
	uint32_t n_pids;
	const struct mb_victims *victims; /* blame: whom to show; NULL: all */
	const char *command; /* run: as given; NULL. The summary's. */
	int command_status; /* run: exit status, 128 + signal */
	uint64_t late_events; /* of a stream: shown after later ones */
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

struct mb_sink {
	const char *name;
	bool json; /* else text; what features show of their own they choose by this */
	/* A summary or an interval. */
	void (*snapshot)(struct mb_out *o, const struct mb_snapshot *s);
	/* One event. comm: of its process; "" where that is not known. */
	void (*event)(struct mb_out *o, const char *comm, const struct mb_event *e);
	/* The end of a stream of events. */
	void (*stream_end)(struct mb_out *o, const struct mb_snapshot *s);
};

extern const struct mb_sink mb_sink_json;
extern const struct mb_sink mb_sink_text;

/* The model at one moment: all since the start, or what changed in an interval that long. */
void mb_snapshot_total(struct mb_snapshot *s, const struct mb_model *m, const struct mb_setup *setup,
		       const struct mb_summary *sum);
void mb_snapshot_interval(struct mb_snapshot *s, const struct mb_model *m,
			  const struct mb_setup *setup, const struct mb_sample_meta *at,
			  uint64_t duration_ns);

/* Value of a slot in a snapshot: its change in an interval, else what it is since the start. */
uint64_t mb_snapshot_value(const struct mb_snapshot *s, const struct mb_process *p,
			   unsigned int slot);

/* Was this process asked for by its number? */
bool mb_snapshot_selects(const struct mb_snapshot *s, const struct mb_process *p);

/* Is it listed: in a total any, in an interval who did something in it or was asked for and is there? */
bool mb_snapshot_lists(const struct mb_snapshot *s, const struct mb_process *p);

/* All time lost by a process in a snapshot, in ns; stalls are exclusive, so it is their sum. */
uint64_t mb_snapshot_stalled_ns(const struct mb_snapshot *s, const struct mb_process *p);

/* Read one field of an event from the wire; strings: up to size bytes, not terminated. */
uint64_t mb_event_number(const struct mb_event *e, const struct mb_event_field *f);
bool mb_event_field_is_null(const struct mb_event *e, const struct mb_event_field *f);

/* The program of an event's process, as the model (or NULL) knows it now; "" where it does not. */
const char *mb_event_comm(const struct mb_model *m, const struct mb_event *e);

/* Copy a string field, NUL-terminated, into buf of MB_PATH_LEN bytes. */
const char *mb_event_string(const struct mb_event *e, const struct mb_event_field *f, char *buf);

/* Name of a reason for loss. */
const char *mb_drop_reason_name(unsigned int reason);

#endif
