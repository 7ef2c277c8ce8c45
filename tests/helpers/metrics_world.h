/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A model whose processes the tests change at will, and its metrics. */
#ifndef MB_TESTS_METRICS_WORLD_H
#define MB_TESTS_METRICS_WORLD_H

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "exposition.h"
#include "serve/metrics.h"
#include "serve/metrics_state.h"

#define S 1000000000ull

#define WORLD_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define WORLD_POD "01234567-89ab-cdef-0123-456789abcdef"
#define WORLD_CONTAINER \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod01234567_89ab_cdef_0123_456789abcdef.slice/" \
	"cri-containerd-" WORLD_ID ".scope"

struct world {
	struct mb_model model;
	struct mb_metrics *metrics;
	struct mb_metrics_self self;
	struct mb_snapshot snapshot;
	struct mb_prom text;
};

static uint64_t world_now;

static inline uint64_t world_clock(void)
{
	return world_now;
}

static inline void world_forget(void *arg, struct mb_model *model, struct mb_process *p)
{
	struct world *w = arg;

	mb_metrics_forget(w->metrics, model, p);
}

static inline void world_begin(struct world *w, uint32_t top, uint32_t cgroups)
{
	struct mb_metrics_config c = { .top = top, .cgroups = cgroups, .processes = true };

	memset(w, 0, sizeof(*w));
	mb_model_init(&w->model);
	world_now = 1000 * S;
	w->metrics = mb_metrics_new(&c);
	assert_non_null(w->metrics);
	mb_metrics_set_clock(w->metrics, world_clock);
	w->model.on_forget = world_forget;
	w->model.on_forget_arg = w;
	mb_metrics_self_init(&w->self);
	w->snapshot.model = &w->model;
	strcpy(w->snapshot.kernel, "6.1.0");
}

static inline void world_end(struct world *w)
{
	w->model.on_forget = NULL;
	mb_model_free(&w->model);
	mb_metrics_free(w->metrics);
	mb_prom_free(&w->text);
}

/* The slot index of a field. */
static inline unsigned int slot_of(const char *group, const char *name)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			if (f->group && !strcmp(f->group, group) && !strcmp(f->name, name))
				return mb_slot(f);
		}
	}
	fail_msg("no field %s.%s", group, name);
	return 0;
}

static inline const struct mb_field *field_of(const char *group, const char *name)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);
	unsigned int slot = slot_of(group, name);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			if (mb_slot(&fam[i]->fields[j]) == slot)
				return &fam[i]->fields[j];
		}
	}
	return NULL;
}

static inline void move_to(struct mb_process *p, const char *cgroup)
{
	free(p->cgroup_path);
	p->cgroup_path = cgroup ? strdup(cgroup) : NULL;
}

static inline struct mb_process *born(struct world *w, uint32_t tgid, uint64_t start_ns, const char *cgroup)
{
	struct mb_process *p = mb_model_process(&w->model, tgid, start_ns);

	assert_non_null(p);
	p->threads = 1;
	p->has_memory = true;
	strcpy(p->comm, "worker");
	move_to(p, cgroup);
	return p;
}

/* Updates the model and the metrics as serve does. */
static inline void tick(struct world *w, uint64_t ns)
{
	world_now += ns;
	mb_model_tick(&w->model, world_now, false);
	mb_metrics_tick(w->metrics, &w->model);
	mb_model_interval(&w->model);
}

static inline void scrape(struct world *w, struct exposition *x, bool openmetrics)
{
	assert_int_equal(mb_metrics_write(w->metrics, &w->text, &w->snapshot, &w->self, openmetrics), 0);
	read_exposition(x, w->text.text, w->text.len, openmetrics);
}

/* Does the text of the last scrape contain this string? The text is not NUL-terminated. */
static inline bool said(const struct world *w, const char *what)
{
	return memmem(w->text.text, w->text.len, what, strlen(what)) != NULL;
}

static inline void expect(const struct exposition *x, const char *name, const char *with, long double want)
{
	unsigned int n;
	long double is = sum_of(x, name, with, &n);

	if (is - want > 1e-6L || want - is > 1e-6L || !n)
		fail_msg("%s{%s}: %Lf in %u series, not %Lf", name, with, is, n, want);
}

/* Fills in everything that the model can contain, to check formats and names. */
static inline void world_full(struct world *w)
{
	struct mb_process *p;

	world_begin(w, 3, 20);
	w->self = (struct mb_metrics_self){
		.bpf_ns = 1500000000, .cpu_ns = 2 * S, .overhead_ppm = 4200, .budget_ppm = 10000, .level = 1,
		.level_name = "no samples", .level_ups = 2, .level_downs = 1, .tick_ns = 1234567, .recording_bytes = 1 << 20,
		.recording_oldest_s = 1700000000, .recording_failed = 0, .rss_bytes = 1 << 24, .open_fds = 20,
		.max_fds = 1024, .start_ms = 1700000000123,
		.hooks = { { "fault", "cause", "fexit", MB_QUALITY_PARTIAL }, { "vma", "calls", NULL, MB_QUALITY_FULL } },
		.n_hooks = 2,
	};
	mb_metrics_self_http(&w->self, 200);
	mb_metrics_self_http(&w->self, 404);
	mb_metrics_self_http(&w->self, 200);
	mb_system_init(&w->model.system.now);
	w->model.system.known = true;
	for (int i = 0; i < MB_SYS_NUMBERS; i++)
		w->model.system.now.values[i] = 1000000 + (uint64_t)i;
	p = born(w, 7, 70, "/system.slice/web.service");
	p->rss_pages[1] = 1000;
	p = born(w, 8, 80, WORLD_CONTAINER);
	for (int i = 0; i < 10; i++) {
		p->minor += 100;
		p->major += 10;
		p->values[slot_of("stalls", "memcg_reclaim")] += 1;
		p->values[slot_of("stalls", "memcg_reclaim") + 1] += 5000000;
		p->values[slot_of("writeback", "dirtied_pages")] += 7;
		mb_process_hist_add(p, field_of("faults", "latency"), 700, 16, 16);
		mb_process_hist_add(p, field_of("stalls", "memcg_reclaim"), 5000000, 1, 1);
		tick(w, S);
	}
	mb_metrics_oom(w->metrics, p->cgroup_path, "memcg");
}

#endif
