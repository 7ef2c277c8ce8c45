/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A sink renders a snapshot of the model, or individual events, in one format. A sink accesses
 * fields and events only through their descriptors (family.h), so it need not change with a family.
 */
#ifndef MEMBLAME_SINK_H
#define MEMBLAME_SINK_H

#include "base/out.h"
#include "model/ingest.h"

/* The model at one point in time, with the metadata that every output needs. */
struct mb_snapshot {
	const struct mb_model *model;
	bool interval; /* values cover the interval, not the time since the start */
	uint64_t duration_ns; /* length of the interval, or time since the start */
	char time[32]; /* RFC 3339 UTC */
	uint64_t t_ns; /* same time on CLOCK_BOOTTIME */
	char kernel[72];
	char arch[72];
	const char *version; /* version of the memblame that traced; NULL: this one */
	uint64_t bpf_ns; /* time spent in memblame's BPF programs */
	bool bpf_ns_known;
	uint64_t self_cpu_ns;
	uint64_t self_rss_bytes; /* current resident set size; MB_UNKNOWN: unknown */
	const struct mb_setup *setup;
	const uint32_t *pids; /* processes that were selected by pid */
	uint32_t n_pids;
	const struct mb_victims *victims; /* blame: victims to show; NULL: all */
	const char *command; /* run: the command as given, for the summary; else NULL */
	int command_status; /* run: exit status, or 128 + signal */
	uint64_t late_events; /* of an event stream: events that were shown after later ones */
	bool history; /* show the flight history; recordings have no such view */
	bool color; /* the output is a terminal that supports color */
};

/* Which victims `blame` shows: those of the given processes or cgroups; none given: all. */
struct mb_victims {
	uint32_t pids[MB_MAX_PIDS];
	uint32_t n_pids;
	uint32_t n_cgroups;
	char cgroups[MB_MAX_CGROUPS][MB_PATH_LEN]; /* paths; descendants are included */
};

struct mb_sink {
	const char *name;
	bool json; /* JSON, else text; features select their own output format by this */
	/* Write a summary or an interval. */
	void (*snapshot)(struct mb_out *o, const struct mb_snapshot *s);
	/* Write one event. comm: of the event's process; "" if unknown. */
	void (*event)(struct mb_out *o, const char *comm, const struct mb_event *e);
	/* Write the end of an event stream. */
	void (*stream_end)(struct mb_out *o, const struct mb_snapshot *s);
};

extern const struct mb_sink mb_sink_json;
extern const struct mb_sink mb_sink_text;

/*
 * Fill in a snapshot of the model: all data since the start, or the changes of an interval of
 * duration_ns.
 */
void mb_snapshot_total(struct mb_snapshot *s, const struct mb_model *m, const struct mb_setup *setup,
		       const struct mb_summary *sum);
void mb_snapshot_interval(struct mb_snapshot *s, const struct mb_model *m,
			  const struct mb_setup *setup, const struct mb_sample_meta *at,
			  uint64_t duration_ns);

/* Value of a slot in a snapshot: the change in the interval, or else the total since the start. */
uint64_t mb_snapshot_value(const struct mb_snapshot *s, const struct mb_process *p,
			   unsigned int slot);

/* Was this process selected by pid? */
bool mb_snapshot_selects(const struct mb_snapshot *s, const struct mb_process *p);

/*
 * Is this process listed? In a total: always. In an interval: if it was active, or was selected by
 * pid and is alive.
 */
bool mb_snapshot_lists(const struct mb_snapshot *s, const struct mb_process *p);

/*
 * Total stall time of a process in a snapshot, in ns: the sum over all kinds, as stalls are
 * exclusive.
 */
uint64_t mb_snapshot_stalled_ns(const struct mb_snapshot *s, const struct mb_process *p);

/* Read one numeric field of an event, or test whether its value is unknown. */
uint64_t mb_event_number(const struct mb_event *e, const struct mb_event_field *f);
bool mb_event_field_is_null(const struct mb_event *e, const struct mb_event_field *f);

/* The comm of an event's process, as the model (or NULL) currently knows it; "" if unknown. */
const char *mb_event_comm(const struct mb_model *m, const struct mb_event *e);

/* Copy a string field, NUL-terminated, into buf of MB_PATH_LEN bytes. Returns buf. */
const char *mb_event_string(const struct mb_event *e, const struct mb_event_field *f, char *buf);

/* Name of a drop reason. */
const char *mb_drop_reason_name(unsigned int reason);

#endif
