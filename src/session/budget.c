// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Runs the governor: see budget.h. */
#include "session/budget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "kern/cost.h"
#include "session/governor.h"

#define ANY_COST 1e6 /* more than all CPUs together, so no limit */

struct mb_budget {
	struct mb_kern *kern;
	struct mb_ingest *ingest;
	struct mb_cost *cost;
	struct mb_governor governor;
	double budget;
	int timer_fd;
	bool in_window;
	uint64_t last_ns; /* time of the last measurement */
	uint64_t last_cpu_ns;
	uint64_t bpf_ns; /* up to the last measurement */
	uint64_t reported_ns; /* the largest value that was ever reported */
	double bpf, own; /* as last measured, shares of one CPU */
	uint64_t throttle_steps, ups;
	bool bpf_known; /* known in every measurement so far */
	uint32_t ticks;
};

static uint64_t own_cpu_ns(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return ((uint64_t)r.ru_utime.tv_sec + (uint64_t)r.ru_stime.tv_sec) * MB_NS_PER_S +
	       ((uint64_t)r.ru_utime.tv_usec + (uint64_t)r.ru_stime.tv_usec) * 1000;
}

static void wake_after(struct mb_budget *o, uint64_t ns)
{
	struct itimerspec t = { .it_value = { (time_t)(ns / MB_NS_PER_S), (long)(ns % MB_NS_PER_S) } };

	timerfd_settime(o->timer_fd, 0, &t, NULL);
}

int mb_budget_open(struct mb_budget **out, double budget, struct mb_kern *k, struct mb_ingest *ingest,
		   struct mb_err *e)
{
	struct mb_budget *o = calloc(1, sizeof(*o));
	int err;

	*out = o;
	if (!o)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	o->kern = k;
	o->ingest = ingest;
	o->budget = budget;
	o->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (o->timer_fd < 0)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot set up the timer of the budget");
	err = mb_cost_open(&o->cost, k, e);
	if (err)
		return err;
	o->bpf_known = mb_cost_known(o->cost);
	if (!o->bpf_known)
		mb_warn("what the programs in the kernel cost is not known (that takes CAP_SYS_ADMIN at the start, or "
			"kernel.bpf_stats_enabled): the budget is for memblame's own CPU time alone");
	mb_verbose("run time statistics show %.0f ns of their own per run", mb_cost_own_ns(o->cost));
	mb_governor_init(&o->governor, budget);
	return 0;
}

void mb_budget_close(struct mb_budget *o)
{
	if (!o)
		return;
	mb_cost_close(o->cost);
	if (o->timer_fd >= 0)
		close(o->timer_fd);
	free(o);
}

void mb_budget_set_budget(struct mb_budget *o, double budget)
{
	o->budget = budget;
	o->governor.budget = budget > 0 ? budget : ANY_COST;
}

bool mb_budget_status(const struct mb_budget *o, struct mb_budget_status *status)
{
	if (!o)
		return false;
	*status = (struct mb_budget_status){ o->budget, o->bpf, o->own, o->bpf_known, o->throttle_steps, o->ups };
	return true;
}

int mb_budget_fd(const struct mb_budget *o)
{
	return o ? o->timer_fd : -1;
}

/* Convert a share of one CPU to thousandths of a percent. */
static uint64_t milli(double share)
{
	return share > 0 ? (uint64_t)(share * 100000 + 0.5) : 0;
}

static void tell(struct mb_budget *o, const struct mb_governor_decision *d, bool known)
{
	struct mb_level_event e = {
		.h = { .t_ns = mb_now_ns(), .tgid = (uint32_t)getpid(), .tid = (uint32_t)gettid(),
		       .family = MB_FAM_task, .type = MB_TASK_EVENT_LEVEL, .size = sizeof(e) },
		.known = known,
		.cost = milli(d->cost),
		.bpf_known = known && d->bpf_known,
		.bpf = milli(d->bpf),
		.own = milli(d->own),
		.budget = milli(o->budget),
		.from = (__u16)d->from,
		.to = (__u16)d->to,
		.tick_divisor_from = (__u16)d->tick_divisor_from,
		.tick_divisor = (__u16)d->tick_divisor,
	};

	snprintf(e.reason, sizeof(e.reason), "%s", d->reason);
	mb_ingest(o->ingest, MB_INGEST_EVENT, &e, sizeof(e));
}

void mb_budget_start(struct mb_budget *o)
{
	struct mb_governor_decision d = { .tick_divisor_from = 1, .tick_divisor = 1, .reason = "tracing begins" };

	if (!o)
		return;
	tell(o, &d, false);
	o->last_ns = mb_now_ns();
	o->last_cpu_ns = own_cpu_ns();
	wake_after(o, MB_NS_PER_S - MB_COST_WINDOW_NS);
}

/* Assume that between two measurements the BPF programs cost as much as in the second one. */
static void measure(struct mb_budget *o, struct mb_governor_sample *s)
{
	uint64_t now = mb_now_ns(), cpu = own_cpu_ns(), passed = now - o->last_ns;

	memset(s, 0, sizeof(*s));
	s->now_ns = now;
	s->bpf_known = mb_cost_end(o->cost, &s->bpf);
	s->own = (double)(cpu - o->last_cpu_ns) / (double)passed;
	o->bpf_known = o->bpf_known && s->bpf_known;
	o->bpf = s->bpf;
	o->own = s->own;
	o->bpf_ns += (uint64_t)(s->bpf * (double)passed);
	o->last_ns = now;
}

/*
 * Apply a decision. If the step fails, usually a step up that lacks a privilege, the level and tick divisor stay as
 * they are.
 */
static void act(struct mb_budget *o, const struct mb_governor_decision *d)
{
	int err = d->to != d->from ? mb_kern_set_level(o->kern, d->to) : 0;

	if (err) {
		mb_warn("the level of tracing cannot be changed: %s", strerror(-err));
		mb_governor_undo(&o->governor, d);
		return;
	}
	if (d->to > d->from || d->tick_divisor > d->tick_divisor_from)
		o->throttle_steps++;
	else
		o->ups++;
	tell(o, d, true);
}

int mb_budget_turn(struct mb_budget *o, struct mb_err *e)
{
	struct mb_governor_decision d;
	struct mb_governor_sample s;
	uint64_t ticks;

	if (read(o->timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks))
		return errno == EAGAIN ? 0 : mb_err_set(e, MB_EXIT_FAILED, errno, "reading a timer failed");
	o->in_window = !o->in_window;
	if (o->in_window) {
		mb_cost_begin(o->cost);
		wake_after(o, MB_COST_WINDOW_NS);
		return 0;
	}
	measure(o, &s);
	if (mb_governor_step(&o->governor, &s, &d))
		act(o, &d);
	/* a step costs CPU time once; that must not trigger the next step */
	o->last_cpu_ns = own_cpu_ns();
	wake_after(o, MB_NS_PER_S - MB_COST_WINDOW_NS);
	return 0;
}

bool mb_budget_skips_tick(struct mb_budget *o)
{
	return o && o->ticks++ % o->governor.tick_divisor;
}

bool mb_budget_bpf_ns(struct mb_budget *o, const struct mb_kern *k, uint64_t *ns)
{
	if (!o)
		return mb_kern_bpf_ns(k, ns);
	*ns = o->bpf_ns;
	if (o->last_ns && o->bpf_known)
		*ns += (uint64_t)(o->bpf * (double)(mb_now_ns() - o->last_ns));
	/*
	 * a counter must not decrease: if the measured value is lower than the extrapolated one, hold the reported
	 * value
	 */
	if (*ns < o->reported_ns)
		*ns = o->reported_ns;
	o->reported_ns = *ns;
	return o->bpf_known;
}
