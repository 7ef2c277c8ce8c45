// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Metrics of memblame itself, and of the machine's memory. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/metrics_state.h"

void mb_metrics_self_init(struct mb_metrics_self *self)
{
	memset(self, 0, sizeof(*self));
	self->bpf_ns = self->cpu_ns = self->overhead_ppm = self->budget_ppm = MB_UNKNOWN;
	self->level = self->level_ups = self->level_downs = self->tick_ns = MB_UNKNOWN;
	self->recording_bytes = self->recording_oldest_s = self->recording_failed = MB_UNKNOWN;
	self->rss_bytes = self->open_fds = self->max_fds = self->start_ms = MB_UNKNOWN;
}

void mb_metrics_self_http(struct mb_metrics_self *self, uint32_t code)
{
	uint32_t i = 0;

	while (i < MB_METRICS_CODES - 1 && self->http[i].code && self->http[i].code != code)
		i++;
	if (!self->http[i].code)
		self->http[i].code = code;
	self->http[i].requests++;
}

static uint64_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	uint64_t n = 0;

	if (!d)
		return MB_UNKNOWN;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1; /* minus the descriptor used for reading the directory */
}

/*
 * Read a number from a file by its position, counted from 1 after the last ')', since a process name can contain ')'.
 */
static uint64_t read_field(const char *path, unsigned int number)
{
	char text[1024], *s, *save = NULL;
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	s = strrchr(text, ')');
	s = strtok_r(s ? s + 1 : text, " \n", &save);
	while (s && --number)
		s = strtok_r(NULL, " \n", &save);
	return s ? strtoull(s, NULL, 10) : MB_UNKNOWN;
}

void mb_metrics_self_process(struct mb_metrics_self *self)
{
	uint64_t pages = read_field("/proc/self/statm", 2);
	uint64_t start = read_field("/proc/self/stat", 20); /* in clock ticks since boot */
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec now;
	struct rlimit limit;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0)
		self->cpu_ns = (uint64_t)now.tv_sec * MB_NS_PER_S + (uint64_t)now.tv_nsec;
	self->rss_bytes = pages == MB_UNKNOWN ? MB_UNKNOWN : pages * (uint64_t)sysconf(_SC_PAGESIZE);
	self->open_fds = count_fds();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		self->max_fds = limit.rlim_cur;
	if (self->start_ms != MB_UNKNOWN || start == MB_UNKNOWN || clock_gettime(CLOCK_REALTIME, &now) != 0)
		return;
	self->start_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 - mb_now_ns() / 1000000 +
			 start * 1000 / hz;
}

/* ---- single numbers ---- */

struct own {
	const char *name, *help;
	size_t offset; /* in struct mb_metrics_self */
	enum mb_prom_type type;
	unsigned int decimals;
};

#define OWN(type, name, member, decimals, help)                                                      \
	{ name, help, offsetof(struct mb_metrics_self, member), MB_PROM_##type, decimals }

static const struct own owns[] = {
	OWN(GAUGE, "memblame_overhead_ratio", overhead_ppm, 6,
	    "CPU time that tracing takes, in programs in the kernel and in memblame itself, lately, as a share of one CPU."),
	OWN(GAUGE, "memblame_budget_ratio", budget_ppm, 6, "What that may be before less is traced."),
	OWN(GAUGE, "memblame_level", level, 0, "How much is left out to keep to the budget: 0 (nothing) to 3."),
	OWN(GAUGE, "memblame_tick_seconds", tick_ns, 9, "How long the last tick took."),
	OWN(GAUGE, "memblame_recording_bytes", recording_bytes, 0, "Size of the recordings on disk."),
	OWN(GAUGE, "memblame_recording_oldest_timestamp_seconds", recording_oldest_s, 0,
	    "When what is recorded begins, in Unix time."),
	OWN(GAUGE, "memblame_recording_failed", recording_failed, 0,
	    "1 where nothing is recorded any more though it should be."),
	OWN(COUNTER, "process_cpu_seconds", cpu_ns, 9, "CPU time of memblame, without that in its programs in the kernel."),
	OWN(GAUGE, "process_resident_memory_bytes", rss_bytes, 0, "Resident memory of memblame."),
	OWN(GAUGE, "process_open_fds", open_fds, 0, "File descriptors that memblame has open."),
	OWN(GAUGE, "process_max_fds", max_fds, 0, "File descriptors that it may have open."),
	OWN(GAUGE, "process_start_time_seconds", start_ms, 3, "When memblame was started, in Unix time."),
};

static void put_owns(struct mb_prom *w, const struct mb_metrics_self *self)
{
	for (size_t i = 0; i < MB_ARRAY_SIZE(owns); i++) {
		uint64_t v;

		memcpy(&v, (const char *)self + owns[i].offset, sizeof(v));
		if (v == MB_UNKNOWN)
			continue;
		mb_prom_family(w, owns[i].type, owns[i].name, owns[i].help);
		mb_prom_sample(w, NULL, NULL, NULL, v, owns[i].decimals);
	}
}

static void put_if_known(struct mb_prom *w, const char *labels, uint64_t v, unsigned int decimals)
{
	if (v != MB_UNKNOWN)
		mb_prom_sample(w, NULL, labels, NULL, v, decimals);
}

/* Format up to three labels as name-value pairs; a NULL name ends the list. */
static const char *labels(char *buf, size_t size, const char *const pairs[6])
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < 6 && pairs[i]; i += 2)
		mb_prom_label(buf, size, &len, pairs[i], pairs[i + 1] ? pairs[i + 1] : "");
	return buf;
}

static void put_build(struct mb_prom *w, const struct mb_snapshot *s, const struct mb_metrics_self *self)
{
	char buf[512];

	mb_prom_family(w, MB_PROM_INFO, "memblame_build", "The version of memblame and the kernel that it runs on.");
	mb_prom_sample(w, NULL, labels(buf, sizeof(buf), (const char *[6]){ "version", MB_VERSION, "kernel", s->kernel }),
		       NULL, 1, 0);
	if (self->level_name) {
		mb_prom_family(w, MB_PROM_GAUGE, "memblame_level_info", "The name of the level that is in force.");
		mb_prom_sample(w, NULL, labels(buf, sizeof(buf), (const char *[6]){ "name", self->level_name }), NULL,
			       1, 0);
	}
}

static void put_costs(struct mb_prom *w, const struct mb_metrics_self *self)
{
	if (self->bpf_ns != MB_UNKNOWN || self->cpu_ns != MB_UNKNOWN)
		mb_prom_family(w, MB_PROM_COUNTER, "memblame_overhead_seconds",
			       "CPU time that tracing took: in programs in the kernel (bpf), and in memblame (user).");
	put_if_known(w, "part=\"bpf\"", self->bpf_ns, 9);
	put_if_known(w, "part=\"user\"", self->cpu_ns, 9);
	if (self->level_ups != MB_UNKNOWN || self->level_downs != MB_UNKNOWN)
		mb_prom_family(w, MB_PROM_COUNTER, "memblame_level_changes",
			       "Changes of the level: up is less tracing, down is back to more.");
	put_if_known(w, "direction=\"up\"", self->level_ups, 0);
	put_if_known(w, "direction=\"down\"", self->level_downs, 0);
}

/* ---- lists ---- */

static void put_lost(struct mb_prom *w, const struct mb_lost *l, uint32_t off)
{
	const struct {
		const char *reason;
		uint64_t count;
	} own[] = { { "process evicted", l->processes_evicted },
		    { "thread evicted", l->threads_evicted },
		    { "event not kept", l->events_not_retained },
		    { "event not decodable", l->undecodable },
		    { "not blamed", l->not_blamed } };
	char buf[128];

	mb_prom_family(w, MB_PROM_COUNTER, "memblame_lost_events",
		       "What was lost and is not in the other numbers, by family and reason.");
	for (unsigned int f = 0; f < MB_FAM_MAX; f++) {
		const struct mb_family *fam = mb_family_by_id(f);

		for (unsigned int r = 0; fam && !(off & (1u << f)) && r < MB_DROP_REASONS; r++) {
			if (r == MB_DROP_UNAWAITED) /* of a command: a service has none */
				continue;
			mb_prom_sample(w, NULL,
				       labels(buf, sizeof(buf),
					      (const char *[6]){ "family", fam->name, "reason", mb_drop_reason_name(r) }),
				       NULL, l->kernel[f][r].count, 0);
		}
	}
	for (size_t i = 0; i < MB_ARRAY_SIZE(own); i++)
		mb_prom_sample(w, NULL,
			       labels(buf, sizeof(buf), (const char *[6]){ "family", "task", "reason", own[i].reason }),
			       NULL, own[i].count, 0);
}

static void put_hooks(struct mb_prom *w, const struct mb_metrics_self *self)
{
	static const uint64_t tenths[] = { [MB_QUALITY_NONE] = 0, [MB_QUALITY_PARTIAL] = 5, [MB_QUALITY_FULL] = 10 };
	char buf[512];

	if (!self->n_hooks)
		return;
	mb_prom_family(w, MB_PROM_GAUGE, "memblame_hook_quality",
		       "How well a question is answered on this kernel: 1 fully, 0.5 in part (memblame doctor says what is "
		       "missing), 0 not at all.");
	for (uint32_t i = 0; i < self->n_hooks && i < MB_METRICS_HOOKS; i++) {
		const struct mb_metrics_hook *h = &self->hooks[i];

		mb_prom_sample(w, NULL,
			       labels(buf, sizeof(buf),
				      (const char *[6]){ "family", h->family, "question", h->question, "hook", h->hook ? h->hook : "none" }),
			       NULL, tenths[h->hook ? h->quality : MB_QUALITY_NONE], 1);
	}
}

static void put_http(struct mb_prom *w, const struct mb_metrics_self *self)
{
	char label[24];

	mb_prom_family(w, MB_PROM_COUNTER, "memblame_http_requests", "HTTP requests answered, by status.");
	for (uint32_t i = 0; i < MB_METRICS_CODES && self->http[i].code; i++) {
		snprintf(label, sizeof(label), "code=\"%u\"", self->http[i].code);
		mb_prom_sample(w, NULL, label, NULL, self->http[i].requests, 0);
	}
}

static void put_state(const struct mb_metrics *m, struct mb_prom *w)
{
	mb_prom_family(w, MB_PROM_COUNTER, "memblame_events", "Events taken from the kernel.");
	mb_prom_sample(w, NULL, NULL, NULL, m->events, 0);
	mb_prom_family(w, MB_PROM_COUNTER, "memblame_ticks", "Ticks: times that all numbers were read.");
	mb_prom_sample(w, NULL, NULL, NULL, m->ticks, 0);
	mb_prom_family(w, MB_PROM_GAUGE, "memblame_metrics_cgroups", "Cgroups that have series of their own.");
	mb_prom_sample(w, NULL, NULL, NULL, m->n_groups, 0);
	mb_prom_family(w, MB_PROM_GAUGE, "memblame_metrics_cgroups_limit",
		       "Maximum number of cgroups with series of their own; the others are added up in cgroup (other).");
	mb_prom_sample(w, NULL, NULL, NULL, m->config.cgroups, 0);
	mb_prom_family(w, MB_PROM_COUNTER, "memblame_metrics_series_folded",
		       "Cgroups folded into (gone) or (other), and processes folded into (other): their series ended.");
	mb_prom_sample(w, NULL, "what=\"cgroup\"", NULL, m->folded_cgroup_series, 0);
	mb_prom_sample(w, NULL, "what=\"process\"", NULL, m->folded_topk_slots, 0);
}

/* ---- the machine ---- */

/* Current values in bytes, and the PSI totals since boot. Other exporters have the rest. */
static void put_system(struct mb_prom *w, const struct mb_system_state *state)
{
	char name[128], help[160];

	for (int i = 0; state->known && i < MB_SYS_NUMBERS; i++) {
		const struct mb_system_desc *d = &mb_system_numbers[i];
		uint64_t v = state->now.values[i];
		bool total = d->kind == MB_SYSTEM_TOTAL;

		if (v == MB_UNKNOWN || (d->kind != MB_SYSTEM_NOW && !total))
			continue;
		snprintf(name, sizeof(name), "memblame_system_%s%s", total ? d->group : d->column, total ? "_seconds" : "");
		snprintf(help, sizeof(help), "The machine: %s, as the kernel has it under %s.",
			 total ? "time under pressure since boot" : "memory now",
			 total ? "/proc/pressure" : d->key);
		mb_prom_family(w, total ? MB_PROM_COUNTER : MB_PROM_GAUGE, name, help);
		mb_prom_sample(w, NULL, NULL, NULL, v, total ? 6 : 0);
	}
}

/* How long each probe point was off because of the budget. Rates and sums lack what happened in that time. */
static void put_untraced(struct mb_prom *w, const struct mb_snapshot *s)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);
	char label[64];

	mb_prom_family(w, MB_PROM_COUNTER, "memblame_untraced_seconds",
		       "Time in which a question (FAMILY.QUESTION) had no answer, to keep to the budget: counters of it "
		       "lack what happened then.");
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_probe_points && !(s->model->off & (1u << fam[i]->id)); j++) {
			const struct mb_probe_point *q = &fam[i]->probe_points[j];

			if (!q->off_from)
				continue;
			snprintf(label, sizeof(label), "what=\"%s.%s\"", fam[i]->name, q->name);
			mb_prom_sample(w, NULL, label, NULL,
				       mb_levels_off_ns(&s->model->levels, q->off_from, s->t_ns), 9);
		}
	}
}

void mb_metrics_write_self(struct mb_metrics *m, struct mb_prom *w, const struct mb_snapshot *s,
			   const struct mb_metrics_self *self)
{
	put_build(w, s, self);
	put_state(m, w);
	put_lost(w, &s->model->lost, s->model->off);
	put_costs(w, self);
	put_untraced(w, s);
	put_hooks(w, self);
	put_http(w, self);
	put_owns(w, self);
	put_system(w, &s->model->system);
}
