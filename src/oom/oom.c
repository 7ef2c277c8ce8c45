// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Combines the events and log lines of OOM kills into one report per kill. */
#include "oom/oom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/longpath.h"
#include "model/model.h"

/*
 * SIGKILLs by one process within this time are one kill, because user-space OOM killers kill a
 * group of processes one by one.
 */
#define TOGETHER_NS (20 * 1000 * 1000ull)

/* Time after the last victim in which another victim of the same group may follow. */
#define QUIET_NS (10 * 1000 * 1000ull)

#define MOST_PAGES (1ull << 34) /* 64 TiB */

#define EARLY_TICK_NS (200 * 1000 * 1000ull)

/*
 * Memory is short when less than this part of it is left, in thousandths (earlyoom's default is
 * 100)...
 */
#define SHORT_PERMILLE 100
/*
 * ...or when tasks stall on memory for at least this part of the time (PSI "some" avg10, in basis
 * points) while less than PRESSED_PERMILLE is available. Pressure alone is not enough: tasks of a
 * cgroup at its limit stall too, no matter how much memory is available outside the cgroup.
 */
#define PRESSURE_BP 1000
#define PRESSED_PERMILLE 250

bool mb_oom_is_by_process(const struct mb_oom_kill *k)
{
	return k->first.h.type == MB_OOM_EVENT_SIGKILL;
}

/* ---- kills in progress ---- */

struct mb_oom_kill *mb_oom_find(struct mb_oom *o, uint64_t t_ns)
{
	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		struct mb_oom_kill *k = &o->kills[i];

		for (uint32_t v = 0; k->used && v < k->n_victims; v++) {
			if (k->victims[v].t_ns == t_ns)
				return k;
		}
	}
	return NULL;
}

struct mb_oom_kill *mb_oom_find_victim(struct mb_oom *o, uint32_t tgid, struct mb_oom_victim **victim)
{
	struct mb_oom_kill *found = NULL;

	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		struct mb_oom_kill *k = &o->kills[i];

		for (uint32_t v = 0; k->used && v < k->n_victims; v++) {
			if (k->victims[v].tgid != tgid || (found && found->last_ns > k->last_ns))
				continue;
			found = k;
			*victim = &k->victims[v];
		}
	}
	return found;
}

/* Returns a free slot, or the slot of the oldest report that has been shown. NULL: none. */
static struct mb_oom_kill *kill_new(struct mb_oom *o)
{
	struct mb_oom_kill *oldest = NULL;

	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		struct mb_oom_kill *k = &o->kills[i];

		if (!k->used)
			return k;
		if (k->shown && !k->changed && (!oldest || k->last_ns < oldest->last_ns))
			oldest = k;
	}
	return oldest;
}

static uint64_t at_most(uint64_t v, uint64_t most)
{
	return v < most ? v : most;
}

/* Names come from the kernel or a recording, so this function terminates the strings. */
static void take_first(struct mb_oom_kill *k, const struct mb_oom_event *e)
{
	k->first = *e;
	k->first.victim_comm[MB_COMM_LEN - 1] = k->first.trigger_comm[MB_COMM_LEN - 1] = '\0';
	k->first.total_pages = at_most(k->first.total_pages, MOST_PAGES);
}

static void add_victim(struct mb_oom_kill *k, const struct mb_oom_event *e)
{
	struct mb_oom_victim *v = &k->victims[k->n_victims];

	k->last_ns = e->h.t_ns;
	k->changed = k->shown;
	if (k->n_victims == MB_OOM_VICTIMS) {
		k->victims_left_out++;
		return;
	}
	k->n_victims++;
	memset(v, 0, sizeof(*v));
	v->t_ns = e->h.t_ns;
	v->tgid = e->victim_tgid;
	v->known = e->victim_start_ns != 0;
	v->start_ns = e->victim_start_ns;
	v->total_vm_pages = e->total_vm_pages;
	memcpy(v->rss_pages, e->rss_pages, sizeof(v->rss_pages));
	v->pgtables_bytes = e->pgtables_bytes;
	v->cgroup = e->victim_cgroup;
	v->inner_tgid = e->victim_inner_tgid;
	v->uid = e->victim_uid;
	v->oom_score_adj = e->oom_score_adj;
	memcpy(v->comm, e->victim_comm, sizeof(v->comm));
	v->comm[MB_COMM_LEN - 1] = '\0';
}

/*
 * Returns the kill that this victim belongs to: a SIGKILL shortly after another by the same
 * process, or memory.oom.group, which kills a whole cgroup. NULL: it is a new kill.
 */
static struct mb_oom_kill *kill_with(struct mb_oom *o, const struct mb_oom_event *e)
{
	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		struct mb_oom_kill *k = &o->kills[i];

		if (!k->used || k->first.h.type != e->h.type || k->first.h.tid != e->h.tid)
			continue;
		if (mb_oom_is_by_process(k) ? e->h.t_ns - k->last_ns < TOGETHER_NS && !k->shown :
					      e->chosen_tgid && e->chosen_tgid != e->victim_tgid &&
						      e->chosen_tgid == k->first.victim_tgid)
			return k;
	}
	return NULL;
}

/*
 * If a thread of a victim runs out of memory too, the kernel gives it access to memory reserves and
 * marks its process as a victim again, before or after the kill. Both marks are one report, based
 * on the event that has the reason for the kill.
 */
static bool is_marked_again(struct mb_oom *o, const struct mb_oom_event *e)
{
	struct mb_oom_victim *v = NULL;
	struct mb_oom_kill *k = mb_oom_find_victim(o, e->victim_tgid, &v);

	if (!k || mb_oom_is_by_process(k) || v->start_ns != e->victim_start_ns ||
	    e->h.t_ns > v->t_ns + MB_OOM_SETTLE_NS)
		return false;
	if (k->first.total_pages || !e->total_pages || k->n_victims > 1)
		return true;
	take_first(k, e);
	memset(k->paths, 0, sizeof(k->paths));
	v->t_ns = e->h.t_ns;
	k->first_task = o->n_tasks;
	k->looked_up = false;
	k->changed = k->shown;
	return true;
}

/*
 * Makes the history record a point at the next tick even if its step is not over; but not after
 * each of many kills in quick succession.
 */
static void wake_history(struct mb_history *h, uint64_t t_ns)
{
	if (h && t_ns > h->last_ns + EARLY_TICK_NS)
		h->last_ns = 0;
}

/*
 * Returns the report to which the victim was added. NULL: it was already known, or there is no free
 * slot.
 */
static struct mb_oom_kill *take_kill(struct mb_oom *o, const struct mb_oom_event *e)
{
	struct mb_oom_kill *k = kill_with(o, e);

	if (!k && e->h.type == MB_OOM_EVENT_KILL && is_marked_again(o, e))
		return NULL;
	if (!k) {
		k = kill_new(o);
		if (!k) {
			o->kills_left_out++;
			return NULL;
		}
		if (o->logged == k)
			o->logged = NULL;
		memset(k, 0, sizeof(*k));
		k->used = true;
		take_first(k, e);
		k->first_task = o->n_tasks;
	}
	add_victim(k, e);
	return k;
}

/* ---- a kill by a process ---- */

/* Returns permille thousandths of whole, rounded up, without overflow for large numbers. */
static uint64_t part_of(uint64_t whole, uint64_t permille)
{
	return whole / 1000 * permille + (whole % 1000 * permille + 999) / 1000;
}

static bool part_at_most(uint64_t part, uint64_t whole, uint64_t permille)
{
	return part != MB_UNKNOWN && whole != MB_UNKNOWN && whole && part <= part_of(whole, permille);
}

/*
 * Usage of the cgroup without its page cache as of the last tick, because page cache is reclaimed
 * before anything has to be killed.
 */
static uint64_t used_without_cache(const struct mb_model *m, const struct mb_oom_event *e)
{
	struct mb_memcg_split s;
	uint64_t cache = 0;

	if (mb_memcg_at(mb_memcg_find(&m->memcgs, e->memcg), e->h.t_ns, &s) && s.pages[MB_MEMCG_FILE] != MB_UNKNOWN)
		cache = s.pages[MB_MEMCG_FILE];
	return e->memcg_usage_pages > cache ? e->memcg_usage_pages - cache : 0;
}

/*
 * Finds which memory was short: that of the victim's cgroup or of the machine. A SIGKILL without a
 * shortage is not reported.
 */
static enum mb_oom_short was_short(const struct mb_model *m, const struct mb_oom_event *e)
{
	const uint64_t *now = m->system.now.values;
	uint64_t available = now[MB_SYS_memory_available_bytes], total = now[MB_SYS_memory_total_bytes];
	uint64_t pressure = now[MB_SYS_psi_memory_some_avg10_bp];

	if (e->memcg && used_without_cache(m, e) >= part_of(e->memcg_limit_pages, 1000 - SHORT_PERMILLE))
		return MB_OOM_SHORT_CGROUP;
	if (!m->system.known)
		return MB_OOM_NOT_SHORT;
	if (part_at_most(available, total, SHORT_PERMILLE))
		return MB_OOM_SHORT_MACHINE;
	if (pressure != MB_UNKNOWN && pressure >= PRESSURE_BP && part_at_most(available, total, PRESSED_PERMILLE))
		return MB_OOM_SHORT_PRESSURE;
	return MB_OOM_NOT_SHORT;
}

static void take_sigkill(struct mb_model *m, const struct mb_oom_event *e)
{
	enum mb_oom_short what = was_short(m, e);
	struct mb_oom_kill *k = what ? take_kill(mb_oom_of(m), e) : NULL;
	uint64_t available = m->system.now.values[MB_SYS_memory_available_bytes];

	if (!k || k->was_short)
		return;
	k->was_short = what;
	k->available_pages = m->system.known && available != MB_UNKNOWN ? available / MB_PAGE_SIZE : MB_UNKNOWN;
	k->pressure_bp = m->system.known ? m->system.now.values[MB_SYS_psi_memory_some_avg10_bp] : MB_UNKNOWN;
}

/* ---- events ---- */

/*
 * Limits the numbers, because a recording may come from anyone and impossible numbers would
 * overflow the sums.
 */
static void take_numbers(struct mb_oom_task_event *to, const struct mb_oom_task_event *e)
{
	*to = *e;
	to->comm[MB_COMM_LEN - 1] = '\0';
	for (int i = 0; i < 4; i++)
		to->rss_pages[i] = at_most(e->rss_pages[i], MOST_PAGES);
	to->pgtables_bytes = at_most(e->pgtables_bytes, MOST_PAGES);
	to->oom_score_adj = e->oom_score_adj < -1000 ? -1000 : e->oom_score_adj > 1000 ? 1000 : e->oom_score_adj;
}

static void take_task(struct mb_model *m, const struct mb_oom_task_event *e)
{
	struct mb_oom *o = mb_oom_of(m);
	struct mb_oom_kill *k = mb_oom_find(o, e->kill_t_ns);
	uint64_t rss_pages[4];
	struct mb_process *p;

	if (!k)
		return;
	if (!k->n_tasks)
		k->first_task = o->n_tasks;
	take_numbers(&o->tasks[o->n_tasks++ % MB_OOM_TASKS], e);
	k->n_tasks++;
	/* the values at the kill are newer than those of the last tick */
	p = m->history ? mb_model_find_exactly(m, e->tgid, e->start_ns) : NULL;
	if (p)
		p->oom_kill_ns = k->first.h.t_ns;
	memcpy(rss_pages, o->tasks[(o->n_tasks - 1) % MB_OOM_TASKS].rss_pages, sizeof(rss_pages));
	if (p)
		mb_history_note(m, p, e->h.t_ns, rss_pages);
}

static void take_zone(struct mb_oom *o, const struct mb_oom_zone_event *e)
{
	struct mb_oom_kill *k = mb_oom_find(o, e->kill_t_ns);

	if (!k || k->n_zones == MB_OOM_ZONES)
		return;
	k->zones[k->n_zones] = *e;
	k->zones[k->n_zones++].name[MB_OOM_ZONE_NAME_LEN - 1] = '\0';
}

static void take_complete(struct mb_oom *o, const struct mb_oom_complete_event *e)
{
	struct mb_oom_kill *k = mb_oom_find(o, e->kill_t_ns);

	if (!k)
		return;
	k->candidates_complete = true;
	k->tasks_left_out = e->tasks_left_out;
}

static void take_stack(struct mb_oom *o, const struct mb_oom_stack_event *e)
{
	struct mb_oom_kill *k = mb_oom_find(o, e->kill_t_ns);

	if (!k || k->stack_complete || e->h.tgid != k->first.victim_tgid)
		return;
	k->stack_complete = true;
	memcpy(k->victim_stack, e->user_stack, sizeof(k->victim_stack));
	k->looked_up = false;
	k->changed = k->shown;
}

static void take_reaper(struct mb_oom *o, uint32_t tid, uint32_t outcome)
{
	struct mb_oom_victim *v;
	struct mb_oom_kill *k = mb_oom_find_victim(o, tid, &v);

	/*
	 * the last result counts: a process that shares its mm with another may be skipped first
	 * and reaped later
	 */
	if (!k || v->reaper == outcome)
		return;
	v->reaper = outcome;
	k->changed = k->shown;
}

void mb_oom_event(struct mb_model *m, const struct mb_event *e)
{
	switch (e->type) {
	case MB_OOM_EVENT_KILL:
		wake_history(m->history, e->t_ns);
		take_kill(mb_oom_of(m), (const struct mb_oom_event *)e);
		break;
	case MB_OOM_EVENT_SIGKILL:
		take_sigkill(m, (const struct mb_oom_event *)e);
		break;
	case MB_OOM_EVENT_TASK:
		take_task(m, (const struct mb_oom_task_event *)e);
		break;
	case MB_OOM_EVENT_ZONE:
		take_zone(mb_oom_of(m), (const struct mb_oom_zone_event *)e);
		break;
	case MB_OOM_EVENT_CANDIDATES_COMPLETE:
		take_complete(mb_oom_of(m), (const struct mb_oom_complete_event *)e);
		break;
	case MB_OOM_EVENT_STACK:
		take_stack(mb_oom_of(m), (const struct mb_oom_stack_event *)e);
		break;
	case MB_OOM_EVENT_REAPER:
		take_reaper(mb_oom_of(m), ((const struct mb_oom_reaper_event *)e)->victim_tid,
			    ((const struct mb_oom_reaper_event *)e)->outcome);
		break;
	}
}

/* ---- names ---- */

void mb_oom_symbol(struct mb_oom *o, uint64_t kill_t_ns, enum mb_oom_stack_of of, uint32_t frame,
		   const char *name)
{
	struct mb_oom_kill *k = mb_oom_find(o, kill_t_ns);

	if (k && of < MB_OOM_STACKS && frame < MB_OOM_STACK)
		snprintf(k->symbols[of][frame], MB_OOM_SYMBOL_LEN, "%s", name);
}

void mb_oom_path(struct mb_oom *o, uint64_t kill_t_ns, uint64_t cgroup, const char *path)
{
	struct mb_oom_kill *k = mb_oom_find(o, kill_t_ns);

	for (uint32_t i = 0; k && i < MB_OOM_PATHS; i++) {
		if (k->paths[i].cgroup && k->paths[i].cgroup != cgroup)
			continue;
		k->paths[i].cgroup = cgroup;
		mb_shorten(k->paths[i].path, sizeof(k->paths[i].path), path, cgroup);
		return;
	}
}

void mb_oom_stat(struct mb_oom *o, uint64_t kill_t_ns, const char *text, size_t len)
{
	struct mb_oom_kill *k = mb_oom_find(o, kill_t_ns);

	if (!k)
		return;
	len = len < sizeof(k->stat) - 1 ? len : sizeof(k->stat) - 1;
	memcpy(k->stat, text, len);
	k->stat[len] = '\0';
}

const char *mb_oom_cgroup_path(const struct mb_model *m, const struct mb_oom_kill *k, uint64_t cgroup)
{
	if (!cgroup)
		return NULL;
	for (uint32_t i = 0; i < MB_OOM_PATHS; i++) {
		if (k->paths[i].cgroup == cgroup)
			return k->paths[i].path[0] ? k->paths[i].path : NULL;
	}
	for (const struct mb_process *p = m->all; p; p = p->next) {
		if (p->cgroup == cgroup && p->cgroup_path)
			return p->cgroup_path;
	}
	return NULL;
}

const char *mb_oom_task_path(const struct mb_model *m, const struct mb_oom_kill *k,
			     const struct mb_oom_task_event *t)
{
	const struct mb_process *p = mb_model_find_exactly(m, t->tgid, t->start_ns);

	if (p && p->cgroup == t->cgroup && t->cgroup && p->cgroup_path)
		return p->cgroup_path;
	return mb_oom_cgroup_path(m, k, t->cgroup);
}

uint64_t mb_oom_free_pages(const struct mb_oom_kill *k)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < k->n_zones; i++)
		sum += k->zones[i].free_pages;
	return sum;
}

/* ---- when to show a report ---- */

struct mb_oom_kill *mb_oom_needs_lookup(struct mb_oom *o)
{
	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		if (o->kills[i].used && !o->kills[i].looked_up)
			return &o->kills[i];
	}
	return NULL;
}

static bool all_have_ended(struct mb_model *m, const struct mb_oom_kill *k)
{
	for (uint32_t i = 0; i < k->n_victims; i++) {
		const struct mb_oom_victim *v = &k->victims[i];
		const struct mb_process *p = v->known ? mb_model_find_exactly(m, v->tgid, v->start_ns) :
							 mb_model_find(m, v->tgid);

		if (!p || !p->exited)
			return false;
	}
	return true;
}

static bool all_are_logged(const struct mb_oom_kill *k)
{
	for (uint32_t i = 0; i < k->n_victims; i++) {
		if (!k->victims[i].logged)
			return false;
	}
	return true;
}

static bool has_lines(const struct mb_oom *o, const struct mb_oom_kill *k)
{
	return !o->has_log || mb_oom_kill_outcome(o, k) == MB_OOM_WAS_ENDING || all_are_logged(k);
}

/*
 * Has the BPF program reached the end of its list of processes? It may have been preempted on the
 * way.
 */
static bool has_tasks(const struct mb_oom_kill *k)
{
	return k->candidates_complete || !k->first.total_pages;
}

static bool is_complete(struct mb_model *m, const struct mb_oom_kill *k)
{
	return has_tasks(k) && all_have_ended(m, k) && has_lines(mb_oom_of(m), k) && k->stack_complete;
}

/* Is it time to show the kill? passed: ns since its last victim. */
static bool is_due(struct mb_model *m, const struct mb_oom_kill *k, uint64_t passed)
{
	if (mb_oom_is_by_process(k))
		return passed >= TOGETHER_NS;
	if (passed >= MB_OOM_WAIT_NS)
		return (has_lines(mb_oom_of(m), k) || passed >= MB_OOM_LOG_WAIT_NS) &&
		       (has_tasks(k) || passed >= MB_OOM_TASKS_WAIT_NS);
	return passed >= QUIET_NS && is_complete(m, k);
}

struct mb_oom_kill *mb_oom_ready(struct mb_model *m, uint64_t now_ns)
{
	struct mb_oom_kill *best = NULL;

	for (uint32_t i = 0; mb_oom_of(m) && i < MB_OOM_KILLS; i++) {
		struct mb_oom_kill *k = &mb_oom_of(m)->kills[i];
		uint64_t passed = k->used && now_ns > k->last_ns ? now_ns - k->last_ns : 0;

		if (!k->used || (k->shown && !k->changed))
			continue;
		/* later data is written once, when no more can arrive */
		k->settled = passed >= MB_OOM_SETTLE_NS;
		if (k->shown ? !k->settled : !is_due(m, k, passed))
			continue;
		if (!best || k->first.h.t_ns < best->first.h.t_ns)
			best = k;
	}
	return best;
}

uint64_t mb_oom_next_ns(const struct mb_oom *o, uint64_t now_ns)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		const struct mb_oom_kill *k = &o->kills[i];
		uint64_t at = k->last_ns + (k->shown ? MB_OOM_SETTLE_NS : QUIET_NS);

		if (!k->used || (k->shown && !k->changed))
			continue;
		if (at <= now_ns) /* the missing data may arrive at any time */
			at = now_ns + QUIET_NS / 4;
		if (!next || at < next)
			next = at;
	}
	return next;
}

bool mb_oom_in_kernel_stack(const struct mb_oom_kill *k, const char *name)
{
	for (uint32_t i = 0; i < MB_OOM_STACK; i++) {
		const char *symbol = k->symbols[MB_OOM_OF_TRIGGER_KERNEL][i];

		if (symbol[0] && !strncmp(symbol, name, strlen(name)))
			return true;
	}
	return false;
}

enum mb_oom_kill_outcome mb_oom_kill_outcome(const struct mb_oom *o, const struct mb_oom_kill *k)
{
	if (mb_oom_is_by_process(k) || k->victims[0].logged || mb_oom_in_kernel_stack(k, "__oom_kill_process"))
		return MB_OOM_KILLED;
	/* out_of_memory() marks a task that runs out of memory while it is already exiting */
	if (mb_oom_in_kernel_stack(k, "out_of_memory") && !mb_oom_in_kernel_stack(k, "oom_kill_process"))
		return MB_OOM_WAS_ENDING;
	return o->has_log && k->settled ? MB_OOM_WAS_ENDING : MB_OOM_OUTCOME_NOT_KNOWN;
}
