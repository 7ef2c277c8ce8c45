// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A session: the kernel side, the model and one sink, tied together by one loop. */
#include "session/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/cgroups.h"
#include "host/child.h"
#include "host/lookup.h"
#include "host/procfs.h"
#include "host/systemfs.h"
#include "model/order.h"
#include "record/recorder.h"
#include "session/internal.h"
#include "session/budget.h"

#define EVENT_TURNS 16 /* times the rings are drained before events are shown */

/*
 * How long to wait for the last faults of threads that have ended: until their tasks are freed, after an RCU grace
 * period or two. That takes 15 ms on an idle machine, and took up to 0.3 s with more threads than CPUs; of some threads
 * in 10,000 the end was never seen on such a machine (6.18). If threads of the command continue, one of them may
 * always be exiting, so the wait is shorter.
 */
#define LATE_WAIT_NS       (2 * MB_NS_PER_S)
#define LATE_WAIT_ALIVE_NS (200 * 1000 * 1000ull)

/* Minimum time between ticks while a newly started command is still held (mb_child_release_held). */
#define YOUNG_TICK_NS (100 * 1000 * 1000ull)

/* ---- features ---- */

void *mb_session_state(const struct mb_session *s, const struct mb_feature *f)
{
	for (size_t i = 0; i < MB_FEATURES; i++) {
		if (mb_features[i] == f)
			return s->state[i];
	}
	return NULL;
}

/* The feature i, if it is part of this session. */
static const struct mb_feature *feature(const struct mb_session *s, size_t i)
{
	static const struct mb_feature none;

	return s->has[i] ? mb_features[i] : &none;
}

static int open_features(struct mb_session *s, struct mb_err *e)
{
	int err = 0;

	for (size_t i = 0; i < MB_FEATURES && !err; i++) {
		s->has[i] = mb_features[i]->wanted(&s->cfg.show);
		if (feature(s, i)->open)
			err = feature(s, i)->open(s, &s->state[i], e);
		if (s->driver.shown == mb_features[i])
			s->driver.state = s->state[i];
	}
	return err;
}

static void close_features(struct mb_session *s)
{
	for (size_t i = MB_FEATURES; i-- > 0;) {
		if (feature(s, i)->close)
			feature(s, i)->close(s->state[i]);
	}
}

static int turn_features(struct mb_session *s, struct mb_err *e)
{
	int err = 0;

	for (size_t i = 0; i < MB_FEATURES && !err; i++) {
		if (feature(s, i)->turn)
			err = feature(s, i)->turn(s, s->state[i], e);
	}
	return err;
}

static int end_features(struct mb_session *s, struct mb_err *e)
{
	int err = 0;

	for (size_t i = 0; i < MB_FEATURES && !err; i++) {
		if (feature(s, i)->end)
			err = feature(s, i)->end(s, s->state[i], e);
	}
	return err;
}

/* ---- records ---- */

static void take(void *arg, const void *data, size_t len)
{
	struct mb_session *s = arg;

	for (size_t i = 0; i < MB_FEATURES; i++) {
		if (feature(s, i)->take && feature(s, i)->take(s->state[i], data, len))
			return;
	}
	if (!mb_cgroups_take(s->cgroups, data, len))
		mb_ingest(&s->ingest, MB_INGEST_EVENT, data, len);
}

/*
 * trace: the rings have been read and, after them, the ledgers, at began_ns or later. Drain what threads have sent
 * since then; after that, no event from before began_ns can arrive except those that are still unsent.
 */
static int show_events(struct mb_session *s, uint64_t began_ns, struct mb_err *e)
{
	uint64_t unsent_ns = s->model.unsent_ns, until_ns = unsent_ns < began_ns ? unsent_ns : began_ns;
	int n = 1;

	mb_kern_mark(s->kern);
	for (int turns = 0; n > 0 && turns < EVENT_TURNS; turns++)
		n = mb_kern_drain(s->kern, take, s);
	if (n < 0)
		return mb_err_set(e, MB_EXIT_FAILED, -n, "reading a ring failed");
	if (!mb_kern_rings_drained(s->kern) || until_ns < began_ns - MB_ORDER_MOST_NS)
		until_ns = began_ns - MB_ORDER_MOST_NS;
	mb_driver_events(&s->driver, until_ns);
	return 0;
}

/* A recording has one row per process, so write the last changes of a process that leaves the model. */
static void record_forgotten(void *arg, struct mb_model *m, struct mb_process *p)
{
	struct mb_session *s = arg;

	(void)m;
	mb_recorder_forget(s->cfg.recorder, p);
}

/* ---- the loop ---- */

/* Current RSS in bytes; getrusage() only knows the peak. MB_UNKNOWN if it cannot be read. */
static uint64_t own_rss_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages;
	bool known = f && fscanf(f, "%*u %llu", &pages) == 1;

	if (f)
		fclose(f);
	return known ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : MB_UNKNOWN;
}

/* Fill the sample metadata of the current point in time. */
static void sample_meta(struct mb_session *s, struct mb_sample_meta *at)
{
	struct rusage r;

	memset(at, 0, sizeof(*at));
	at->t_ns = mb_now_ns();
	at->since_start_ns = (s->end_ns ? s->end_ns : at->t_ns) - s->start_ns;
	mb_utc_now(at->time, sizeof(at->time));
	at->bpf_ns_known = mb_budget_bpf_ns(s->budget, s->kern, &at->bpf_ns);
	getrusage(RUSAGE_SELF, &r);
	at->self_cpu_ns =
		((uint64_t)r.ru_utime.tv_sec + (uint64_t)r.ru_stime.tv_sec) * MB_NS_PER_S +
		((uint64_t)r.ru_utime.tv_usec + (uint64_t)r.ru_stime.tv_usec) * 1000;
	at->self_rss_bytes = own_rss_bytes();
}

void mb_session_read_system(struct mb_session *s)
{
	struct mb_system system;

	mb_systemfs_read(s->systemfs, &system);
	mb_ingest(&s->ingest, MB_INGEST_SYSTEM, &system, sizeof(system));
}

/*
 * End a tick, when all events before drained_ns have been drained: ingest losses, process identities, the state of the
 * machine, and the tick itself.
 */
static int end_tick(struct mb_session *s, bool complete, uint64_t drained_ns, struct mb_err *e)
{
	struct mb_drop drops[MB_FAM_MAX][MB_DROP_REASONS];
	struct mb_tick tick = { .complete = complete };

	mb_kern_drops(s->kern, drops);
	drops[MB_FAM_task][MB_DROP_UNAWAITED] = s->unawaited;
	mb_ingest_drops(&s->ingest, drops);
	mb_procfs_identify(&s->ingest, s->cgroups);
	mb_session_read_system(s);
	for (size_t i = 0; i < MB_FEATURES; i++) {
		if (feature(s, i)->before_tick)
			feature(s, i)->before_tick(s, s->state[i]);
	}
	mb_lookup_ingest(s->lookup, &s->ingest);
	sample_meta(s, &tick.at);
	mb_ingest(&s->ingest, MB_INGEST_TICK, &tick, sizeof(tick));
	for (size_t i = 0; i < MB_FEATURES; i++) {
		if (feature(s, i)->ticked)
			feature(s, i)->ticked(s, s->state[i], drained_ns, tick.at.t_ns);
	}
	if (s->cfg.service && complete)
		return s->cfg.service->ticked(s->cfg.service->arg, s, &tick.at, e);
	if (!s->cfg.recorder)
		return 0;
	mb_procfs_memory(&s->ingest, true);
	return mb_recorder_tick(s->cfg.recorder, &s->model, &tick.at, e);
}

int mb_session_drain(struct mb_session *s, struct mb_err *e)
{
	int n = mb_kern_drain(s->kern, take, s);

	return n < 0 ? mb_err_set(e, MB_EXIT_FAILED, -n, "reading a ring failed") : 0;
}

int mb_session_collect(struct mb_session *s, struct mb_err *e)
{
	uint64_t began_ns = mb_now_ns();
	int n;

	s->tick_began_ns = began_ns;
	mb_kern_mark(s->kern);
	n = mb_kern_drain(s->kern, take, s);
	if (n >= 0)
		n = mb_kern_harvest(s->kern, take, s);
	if (n >= 0)
		n = mb_kern_drain(s->kern, take, s);
	if (n >= 0)
		n = mb_kern_tables(s->kern, take, s);
	if (n < 0)
		return mb_err_set(e, MB_EXIT_FAILED, n, "reading the kernel's events failed");
	if (s->cfg.show.events && show_events(s, began_ns, e))
		return -EIO;
	/* otherwise a ring may still hold earlier events */
	if (mb_kern_rings_drained(s->kern))
		s->drained_ns = began_ns;
	return end_tick(s, true, s->drained_ns, e);
}

void mb_session_summary(struct mb_session *s, struct mb_summary *sum)
{
	memset(sum, 0, sizeof(*sum));
	sample_meta(s, &sum->at);
	sum->command_status = s->command_status;
	sum->has_command = s->command != NULL;
	if (s->command)
		snprintf(sum->command, sizeof(sum->command), "%s", s->command);
}

static int show_interval(struct mb_session *s, struct mb_err *e)
{
	struct mb_sample_meta at;

	/* selected processes are shown even if they do nothing */
	mb_procfs_memory(&s->ingest, s->cfg.kern.select != MB_SELECT_PIDS);
	sample_meta(s, &at);
	return mb_driver_interval(&s->driver, &at, mb_now_ns(), e);
}

int mb_session_flush(struct mb_session *s, struct mb_err *e)
{
	mb_out_flush(&s->out);
	return mb_out_failed(&s->out, e);
}

/* A line that the next one overwrites; the last one is erased before the results. */
static void show_progress(const struct mb_session *s, bool ended)
{
	uint64_t now_s = (mb_now_ns() - s->start_ns + MB_NS_PER_S / 2) / MB_NS_PER_S;
	char of[48] = "";

	if (!s->cfg.progress || s->child || s->cfg.service || s->cfg.interval_ns || s->cfg.show.events || s->cfg.show.oom)
		return;
	if (s->cfg.duration_ns)
		snprintf(of, sizeof(of), " of %g", (double)s->cfg.duration_ns / 1e9);
	if (ended)
		fprintf(stderr, "\r\033[K");
	else
		fprintf(stderr, "\rtracing, %" PRIu64 "%s s; Ctrl-C ends it\033[K", now_s, of);
}

static int on_tick(struct mb_session *s, struct mb_err *e)
{
	int err;

	show_progress(s, false);
	if (mb_budget_skips_tick(s->budget))
		return 0;
	err = mb_session_collect(s, e);
	if (err)
		return err;
	err = turn_features(s, e);
	if (!err && s->cfg.interval_ns &&
	    mb_now_ns() - s->driver.interval_start_ns + s->cfg.tick_ns / 2 >= s->cfg.interval_ns)
		err = show_interval(s, e);
	return err ? err : mb_session_flush(s, e);
}

/* Handle a signal. It ends the session; if there is a command, forward the signal to it and wait for its end first. */
static int on_signal(void *arg, struct mb_err *e)
{
	struct mb_session *s = arg;
	struct signalfd_siginfo info;
	bool again = s->signal != 0;

	if (read(s->signals.fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (s->cfg.service && info.ssi_signo == SIGHUP)
		return s->cfg.service->reload(s->cfg.service->arg, s, e);
	s->signal = (int)info.ssi_signo;
	if (!s->child)
		return 1;
	mb_child_signal(s->child, again ? SIGKILL : s->signal);
	return 0;
}

static bool time_over(const struct mb_session *s)
{
	return s->cfg.duration_ns && mb_now_ns() - s->start_ns >= s->cfg.duration_ns;
}

int mb_session_start_timer(struct mb_session *s)
{
	struct itimerspec t = { 0 };

	t.it_interval.tv_sec = (time_t)(s->cfg.tick_ns / MB_NS_PER_S);
	t.it_interval.tv_nsec = (long)(s->cfg.tick_ns % MB_NS_PER_S);
	t.it_value = t.it_interval;
	return timerfd_settime(s->timer.fd, 0, &t, NULL) ? -errno : 0;
}

/* The earliest time at which there is something to do even if no descriptor becomes ready; 0: none. */
static uint64_t next_ns(const struct mb_session *s, uint64_t now)
{
	uint64_t next = s->cfg.duration_ns ? s->start_ns + s->cfg.duration_ns : 0;

	for (size_t i = 0; i < MB_FEATURES; i++) {
		uint64_t due = feature(s, i)->due_ns ? feature(s, i)->due_ns(s, s->state[i], now) : 0;

		if (due && (!next || due < next))
			next = due;
	}
	return next;
}

/* ms until then; -1: never. */
static int milliseconds_left(const struct mb_session *s)
{
	uint64_t now = mb_now_ns(), next = next_ns(s, now);
	int ms = -1, service = s->cfg.service ? s->cfg.service->wait_ms(s->cfg.service->arg) : -1;

	if (next && next <= now)
		return 0;
	if (next)
		ms = next - now < 60 * MB_NS_PER_S ? (int)((next - now) / 1000000 + 1) : 60000;
	return service >= 0 && (ms < 0 || service < ms) ? service : ms;
}

static int on_timer(void *arg, struct mb_err *e)
{
	struct mb_session *s = arg;
	uint64_t ticks;

	return read(s->timer.fd, &ticks, sizeof(ticks)) == sizeof(ticks) ? on_tick(s, e) : 0;
}

static int on_rings(void *arg, struct mb_err *e)
{
	struct mb_session *s = arg;
	int err = mb_session_drain(s, e);

	return err || !s->cfg.show.events ? err : mb_session_flush(s, e);
}

/* Only wakes the loop: features have their turn at the end of each turn of it. */
static int on_feature(void *arg, struct mb_err *e)
{
	(void)arg;
	(void)e;
	return 0;
}

static int on_child_end(void *arg, struct mb_err *e)
{
	struct mb_session *s = arg;

	(void)e;
	return mb_child_ended(s->child, &s->command_status);
}

static int on_budget(void *arg, struct mb_err *e)
{
	struct mb_session *s = arg;

	return mb_budget_turn(s->budget, e);
}

/* One turn of the loop. Returns 1 when the session is to end. */
static int turn(struct mb_session *s, struct mb_err *e)
{
	int err = mb_loop_turn(&s->loop, milliseconds_left(s), e);

	if (!err)
		err = turn_features(s, e);
	return err ? err : time_over(s);
}

int mb_session_run(struct mb_session *s, struct mb_err *e)
{
	int err = mb_session_start_timer(s);

	if (err)
		return mb_err_set(e, MB_EXIT_FAILED, err, "cannot start the timer");
	do {
		err = turn(s, e);
	} while (!err);
	show_progress(s, true);
	s->end_ns = mb_now_ns();
	return err < 0 ? err : 0;
}

static void child_mapped(void *arg, pid_t pid)
{
	struct mb_session *s = arg;

	for (size_t i = 0; i < MB_FEATURES; i++) {
		if (feature(s, i)->held)
			feature(s, i)->held(s->state[i], (uint32_t)pid);
	}
}

/* A young command may not live until the first tick: collect early, and when it ends. */
static void child_looked_at(void *arg)
{
	struct mb_session *s = arg;
	struct mb_err e = { 0 };

	if (mb_session_collect(s, &e))
		mb_verbose("%s", e.text);
}

static void child_runs(void *arg)
{
	struct mb_session *s = arg;

	if (mb_now_ns() - s->tick_began_ns >= YOUNG_TICK_NS)
		child_looked_at(s);
	else
		mb_kern_drain(s->kern, take, s);
}

int mb_session_release_child(struct mb_session *s, struct mb_err *e)
{
	const struct mb_hold hold = { .mapped = child_mapped, .idle = child_runs, .ends = child_looked_at, .arg = s };

	return mb_child_release_held(s->child, &hold, e);
}

void mb_session_end_child(struct mb_session *s)
{
	mb_warn("ending %s, which still runs", s->command);
	mb_child_end(s->child);
	mb_child_ended(s->child, &s->command_status);
}

static void record_end(struct mb_session *s, const struct mb_summary *sum)
{
	char text[16];

	mb_recorder_info(s->cfg.recorder, "end_time", sum->at.time);
	if (!sum->has_command)
		return;
	snprintf(text, sizeof(text), "%d", sum->command_status);
	mb_recorder_info(s->cfg.recorder, "command", sum->command);
	mb_recorder_info(s->cfg.recorder, "command_status", text);
}

/*
 * Wait for the last faults of the command's threads. On a busy machine some thread is always exiting, so those of
 * other processes are not waited for.
 */
static void await_exits(struct mb_session *s)
{
	uint64_t since = mb_now_ns();
	long long pending, alive;

	for (;;) {
		pending = mb_kern_pending_exits(s->kern, &alive);
		if (pending <= 0)
			return;
		if (mb_now_ns() - since >= (alive ? LATE_WAIT_ALIVE_NS : LATE_WAIT_NS))
			break;
		usleep(2000);
	}
	if (!alive)
		s->unawaited = (struct mb_drop){ (uint64_t)pending, since, mb_now_ns() };
}

int mb_session_finish(struct mb_session *s, struct mb_err *e)
{
	struct mb_summary sum;
	int err;

	if (s->child)
		await_exits(s);
	/*
	 * Collect accounts before detaching the hooks, which can take 0.1 s per trampoline; few events arrive in that
	 * time. An event stream must be stopped first, or it might never end. There are two collections because an
	 * entry of a ledger is shown only if it did not change for a tick.
	 */
	if (s->cfg.show.events) {
		mb_kern_detach(s->kern);
		err = mb_session_collect(s, e);
		if (err)
			return err;
	}
	err = mb_session_collect(s, e);
	if (err)
		return err;
	do {
		err = mb_kern_drain(s->kern, take, s);
	} while (err > 0);
	if (!err)
		err = mb_kern_tables(s->kern, take, s);
	if (err < 0)
		return mb_err_set(e, MB_EXIT_FAILED, err, "reading the kernel's events failed");
	err = end_tick(s, false, UINT64_MAX, e);
	if (err)
		return err;
	err = end_features(s, e);
	if (err || s->cfg.service)
		return err;
	mb_procfs_memory(&s->ingest, false);
	mb_session_summary(s, &sum);
	mb_ingest(&s->ingest, MB_INGEST_SUMMARY, &sum, sizeof(sum));
	if (s->cfg.recorder) {
		record_end(s, &sum);
		if (mb_recorder_tick(s->cfg.recorder, &s->model, &sum.at, e))
			return -EIO;
	}
	err = mb_driver_end(&s->driver, &sum, e);
	return err ? err : mb_session_flush(s, e);
}

/* ---- set-up ---- */

static int open_signals(struct mb_session *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	/* a background job of a shell inherits SIGINT as ignored, but SIGINT must end memblame */
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an ordinary write error */
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	s->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals.fd < 0 ? -errno : 0;
}

static int open_loop(struct mb_session *s)
{
	struct mb_watch *const watches[] = { &s->signals, &s->timer, &s->rings, &s->child_end, &s->budget_due };
	int err = mb_loop_open(&s->loop);

	s->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!err && s->timer.fd < 0)
		err = -errno;
	s->rings.fd = mb_kern_epoll_fd(s->kern);
	s->child_end.fd = s->child ? mb_child_fd(s->child) : -1;
	s->budget_due.fd = mb_budget_fd(s->budget);
	for (size_t i = 0; i < MB_ARRAY_SIZE(watches) && !err; i++) {
		watches[i]->arg = s;
		err = mb_loop_add(&s->loop, watches[i]);
	}
	for (size_t i = 0; i < MB_FEATURES && !err; i++) {
		s->features[i].fd = feature(s, i)->fd ? feature(s, i)->fd(s->state[i]) : -1;
		s->features[i].ready = on_feature;
		err = mb_loop_add(&s->loop, &s->features[i]);
	}
	return err;
}

/* When this process was started (man 5 proc, stat field 22, in clock ticks of 10 ms). */
static uint64_t process_start_ns(void)
{
	unsigned long long ticks = 0;
	FILE *f = fopen("/proc/self/stat", "re");

	if (f && fscanf(f,
			"%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
			"%*d %*d %*d %*d %*d %llu",
			&ticks) != 1)
		ticks = 0;
	if (f)
		fclose(f);
	return ticks * (MB_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* What is shown of the session as a whole. */
static void set_show(struct mb_session *s)
{
	struct mb_show_config *show = &s->cfg.show;

	show->families = UINT32_MAX;
	show->victims = &s->cfg.victims;
	show->pids = s->cfg.kern.pids;
	show->n_pids = s->cfg.kern.n_pids;
	show->history = !s->cfg.recorder;
}

int mb_session_open(struct mb_session *s, const struct mb_session_config *cfg,
		    struct mb_child *child, struct mb_err *e)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->cfg = *cfg;
	s->child = child;
	s->loop.fd = s->signals.fd = s->timer.fd = -1;
	s->signals.ready = on_signal;
	s->timer.ready = on_timer;
	s->rings.ready = on_rings;
	s->child_end.ready = on_child_end;
	s->budget_due.ready = on_budget;
	set_show(s);
	s->opened = true;
	mb_model_init(&s->model);
	if (mb_driver_open(&s->driver, &s->cfg.show, &s->model, &s->setup, &s->out))
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	s->driver.own_pid = (uint32_t)getpid();
	s->ingest.model = &s->model;
	if (cfg->recorder) {
		mb_recorder_watch(cfg->recorder, &s->model);
		s->ingest.keep = mb_recorder_keep;
		s->ingest.keep_arg = cfg->recorder;
	}
	s->model.on_forget = cfg->recorder ? record_forgotten : NULL;
	s->model.on_forget_arg = s;
	err = open_signals(s);
	if (err)
		return mb_err_set(e, MB_EXIT_FAILED, err, "cannot handle signals");
	err = mb_kern_check(e);
	if (!err)
		err = mb_out_open(&s->out, cfg->out_path, e);
	if (!err && cfg->text_to_stderr && !cfg->show.sink->json && !cfg->out_path)
		err = mb_out_to(&s->out, STDERR_FILENO, "standard error");
	if (!err)
		err = mb_kern_open(&s->kern, &cfg->kern, e);
	if (err)
		return err;
	s->cgroups = mb_cgroups_open();
	s->systemfs = mb_systemfs_open();
	s->lookup = mb_lookup_open();
	if (!s->lookup)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	err = open_features(s, e);
	if (err)
		return err;
	if (cfg->budget) {
		err = mb_budget_open(&s->budget, cfg->budget, s->kern, &s->ingest, e);
		if (err)
			return err;
	}
	err = open_loop(s);
	if (err)
		return mb_err_set(e, MB_EXIT_FAILED, err, "cannot set up the event loop");
	mb_session_set_up(s);
	if (cfg->recorder)
		mb_session_describe(s, cfg->recorder);
	s->model.history = mb_history_new(cfg->history);
	if (!s->model.history)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for the history");
	for (size_t i = 0; i < MB_FEATURES; i++) {
		if (feature(s, i)->opened)
			feature(s, i)->opened(s, s->state[i]);
	}
	if (cfg->service)
		err = cfg->service->attached(cfg->service->arg, s, e);
	if (!err)
		err = mb_kern_drop_privileges(s->kern, e);
	mb_kern_forget_types();
	if (err)
		return err;
	s->start_ns = mb_now_ns();
	err = mb_session_collect(s, e);
	if (!err)
		err = mb_session_collect(s, e);
	for (size_t i = 0; i < MB_FEATURES; i++) {
		if (feature(s, i)->attached)
			feature(s, i)->attached(s, s->state[i]);
	}
	mb_driver_begin(&s->driver, s->start_ns);
	mb_budget_start(s->budget);
	mb_verbose("attached in %.1f ms", (double)(mb_now_ns() - process_start_ns()) / 1e6);
	return err;
}

int mb_session_close(struct mb_session *s, struct mb_err *e)
{
	struct mb_history *history = s->model.history;
	int err;

	if (!s->opened)
		return 0;
	err = mb_out_close(&s->out, e);
	mb_budget_close(s->budget);
	mb_kern_close(s->kern);
	mb_cgroups_close(s->cgroups);
	mb_systemfs_close(s->systemfs);
	mb_lookup_close(s->lookup);
	close_features(s);
	mb_driver_close(&s->driver);
	mb_model_free(&s->model);
	mb_history_free(history);
	mb_loop_close(&s->loop);
	if (s->timer.fd >= 0)
		close(s->timer.fd);
	if (s->signals.fd >= 0)
		close(s->signals.fd);
	return err;
}
