// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The model: builds the accounts of processes from task records and events. */
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "model/detail.h"

/* Slots are assigned in the order of families and fields. */
static unsigned int field_slots(const struct mb_field *f)
{
	return f->kind == MB_FIELD_STALL ? 3 : 1;
}

unsigned int mb_slot(const struct mb_field *field)
{
	unsigned int slot = 0;
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			if (&fam[i]->fields[j] == field)
				return slot;
			slot += field_slots(&fam[i]->fields[j]);
		}
	}
	return slot; /* the number of slots, if the field is in no family */
}

unsigned int mb_slots(void)
{
	return mb_slot(NULL);
}

void mb_model_init(struct mb_model *m)
{
	memset(m, 0, sizeof(*m));
	m->retained_tail = &m->retained;
	m->unsent_ns = UINT64_MAX;
}

struct mb_process *mb_process_new(void)
{
	struct mb_process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->values = calloc(mb_slots(), sizeof(*p->values));
	p->before = calloc(mb_slots(), sizeof(*p->before));
	p->pss_bytes = p->uss_bytes = MB_UNKNOWN;
	if (p->values && p->before)
		return p;
	mb_process_free(p);
	return NULL;
}

void mb_process_free(struct mb_process *p)
{
	mb_details_free(p->details);
	free(p->exe);
	free(p->cgroup_path);
	free(p->values);
	free(p->before);
	free(p);
}

/* Only remove p from the hash if it is p that has the tgid now, and not a newer process. */
static void process_unhash(struct mb_model *m, struct mb_process *p)
{
	if (mb_model_find(m, p->tgid) == p)
		HASH_DEL(m->by_tgid, p);
}

static void derive(struct mb_model *m, struct mb_process *p)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		if (fam[i]->tick)
			fam[i]->tick(m, p);
	}
}

static void process_remove(struct mb_model *m, struct mb_process *p)
{
	process_unhash(m, p);
	mb_history_forget(m->history, p->series);
	DL_DELETE(m->all, p);
	m->n_processes--;
	mb_process_free(p);
}

static void drop_retained(struct mb_model *m)
{
	struct mb_retained_event *k;

	while ((k = m->retained)) {
		m->retained = k->next;
		free(k);
	}
	m->retained_tail = &m->retained;
	m->n_retained = 0;
}

void mb_model_free(struct mb_model *m)
{
	struct mb_thread *t, *tt;
	struct mb_shown *s, *ss;
	struct mb_shrinker *sh, *sht;

	free(m->uncounted_ns);
	mb_memcgs_free(&m->memcgs);
	HASH_ITER(hh, m->threads, t, tt)
	{
		HASH_DEL(m->threads, t);
		free(t);
	}
	HASH_ITER(hh, m->shown, s, ss)
	{
		HASH_DEL(m->shown, s);
		free(s);
	}
	HASH_ITER(hh, m->shrinkers, sh, sht)
	{
		HASH_DEL(m->shrinkers, sh);
		free(sh);
	}
	while (m->all)
		process_remove(m, m->all);
	mb_ended_free(m);
	mb_observers_free(m);
	mb_device_names_free(&m->devices);
	drop_retained(m);
	mb_model_init(m);
}

struct mb_process *mb_model_find(const struct mb_model *m, uint32_t tgid)
{
	struct mb_process *p;

	HASH_FIND(hh, m->by_tgid, &tgid, sizeof(tgid), p);
	return p;
}

struct mb_process *mb_model_find_exactly(const struct mb_model *m, uint32_t tgid, uint64_t start_ns)
{
	struct mb_process *p;

	p = mb_model_find(m, tgid);
	if (p && p->start_ns == start_ns)
		return p;
	/* an older process with that tgid */
	for (p = m->all; p; p = p->next) {
		if (p->tgid == tgid && p->start_ns == start_ns)
			return p;
	}
	return NULL;
}

struct mb_process *mb_model_account(struct mb_model *m, uint32_t tgid, uint64_t start_ns)
{
	struct mb_process *p = mb_model_find_exactly(m, tgid, start_ns);

	return p ? p : mb_ended_find(m, tgid, start_ns);
}

bool mb_cgroup_is_below(const char *path, const char *group)
{
	size_t n = strlen(group);

	n -= n && group[n - 1] == '/';
	return path && strncmp(path, group, n) == 0 && (!path[n] || path[n] == '/');
}

void mb_model_process_ref(struct mb_model *m, uint32_t tgid, uint64_t start_ns, struct mb_process_ref *ref)
{
	const struct mb_process *p = start_ns ? mb_model_find_exactly(m, tgid, start_ns) : NULL;

	memset(ref, 0, sizeof(*ref));
	ref->tgid = tgid;
	ref->start_ns = start_ns;
	if (p)
		memcpy(ref->comm, p->comm, sizeof(ref->comm));
}

static struct mb_shrinker *shrinker_get(struct mb_model *m, uint64_t address)
{
	struct mb_shrinker *s;

	HASH_FIND(hh, m->shrinkers, &address, sizeof(address), s);
	if (s || HASH_COUNT(m->shrinkers) >= MB_MODEL_SHRINKERS || !(s = calloc(1, sizeof(*s))))
		return s;
	s->address = address;
	HASH_ADD(hh, m->shrinkers, address, sizeof(s->address), s);
	return s;
}

const char *mb_model_shrinker(struct mb_model *m, uint64_t address)
{
	const struct mb_shrinker *s = shrinker_get(m, address);

	return s && s->name[0] ? s->name : NULL;
}

void mb_model_name_shrinker(struct mb_model *m, uint64_t address, const char *name)
{
	struct mb_shrinker *s = shrinker_get(m, address);

	if (!s)
		return;
	s->asked = true;
	snprintf(s->name, sizeof(s->name), "%s", name);
}

/*
 * Cgroup path of a process that leaves before the tick at which its path would have been read: use
 * that of its parent or of other ended processes, if the cgroup id is equal.
 */
static void inherit_cgroup_path(struct mb_model *m, struct mb_process *p)
{
	const struct mb_process *parent;
	const char *path = NULL;

	if (!p->cgroup || p->cgroup_path)
		return;
	parent = mb_model_find(m, p->ppid);
	if (parent && parent->cgroup == p->cgroup)
		path = parent->cgroup_path;
	if (!path)
		path = mb_ended_cgroup_path(m, p->cgroup);
	if (path)
		p->cgroup_path = strdup(path);
}

static void process_forget(struct mb_model *m, struct mb_process *p)
{
	if (!m->recorded)
		derive(m, p);
	inherit_cgroup_path(m, p);
	if (m->on_forget)
		m->on_forget(m->on_forget_arg, m, p);
}

/* No more records about the process can arrive. */
static bool has_ended(const struct mb_process *p)
{
	return p->exited && !p->live_threads && !p->pending_exits;
}

/* At the limit: fold the oldest ended process into the row of its program. */
static bool evict_one(struct mb_model *m)
{
	struct mb_process *p;

	DL_FOREACH(m->all, p)
	{
		if (has_ended(p)) {
			process_forget(m, p);
			mb_history_end_process(m, p);
			if (!m->forgets && !mb_ended_fold(m, p, 1))
				m->lost.processes_evicted++;
			process_remove(m, p);
			return true;
		}
	}
	return false;
}

struct mb_process *mb_model_process(struct mb_model *m, uint32_t tgid, uint64_t start_ns)
{
	struct mb_process *p = mb_model_find(m, tgid);

	if (p && p->start_ns == start_ns)
		return p;
	if (m->n_processes >= MB_MODEL_PROCESSES && !evict_one(m))
		return NULL;
	if (p) { /* the tgid was reused */
		p->exited = true;
		HASH_DEL(m->by_tgid, p);
	}
	p = mb_process_new();
	if (!p)
		return NULL;
	p->tgid = tgid;
	p->start_ns = start_ns;
	p->seen_tick = m->tick;
	HASH_ADD(hh, m->by_tgid, tgid, sizeof(p->tgid), p);
	DL_APPEND(m->all, p);
	m->n_processes++;
	return p;
}

/* Change whether the iterator lists the thread. pending_exit_ns: since when it does not; 0: it does. */
static void thread_list(struct mb_thread *t, uint64_t pending_exit_ns)
{
	*(t->pending_exit_ns ? &t->process->pending_exits : &t->process->live_threads) -= 1;
	t->pending_exit_ns = pending_exit_ns;
	*(t->pending_exit_ns ? &t->process->pending_exits : &t->process->live_threads) += 1;
}

static struct mb_thread *thread_get(struct mb_model *m, const struct mb_task_ledger *l,
				    struct mb_process *p)
{
	struct mb_thread_key key = { .born_ns = l->born_ns, .born_tid = l->born_tid };
	struct mb_thread *t;

	HASH_FIND(hh, m->threads, &key, sizeof(key), t);
	if (t)
		return t;
	if (HASH_COUNT(m->threads) >= MB_MODEL_THREADS || !(t = calloc(1, sizeof(*t)))) {
		m->lost.threads_evicted++;
		return NULL;
	}
	t->key = key;
	t->process = p;
	HASH_ADD(hh, m->threads, key, sizeof(t->key), t);
	p->live_threads++;
	return t;
}

static void thread_remove(struct mb_model *m, struct mb_thread *t)
{
	*(t->pending_exit_ns ? &t->process->pending_exits : &t->process->live_threads) -= 1;
	HASH_DEL(m->threads, t);
	free(t);
}

static uint64_t at(const struct mb_ledger *l, size_t offset)
{
	uint64_t v;

	memcpy(&v, (const char *)l + offset, sizeof(v));
	return v;
}

/* Add the increase of a thread's ledger since the last record to its process. */
static void add_ledger(uint64_t *values, const struct mb_ledger *now, const struct mb_ledger *last)
{
	uint64_t *v = values;
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];
			size_t o = f->offset;

			if (f->kind == MB_FIELD_COUNTER || f->kind == MB_FIELD_SIGNED)
				v[0] += at(now, o) - at(last, o);
			if (f->kind == MB_FIELD_STALL) {
				v[0] += at(now, o) - at(last, o);
				v[1] += at(now, o + 8) - at(last, o + 8);
				if (at(now, o + 16) > v[2])
					v[2] = at(now, o + 16);
			}
			v += field_slots(f);
		}
	}
}

static void take_process_info(struct mb_process *p, const struct mb_task_record *r)
{
	const struct mb_task_info *i = &r->info;

	if (r->ledger.task.born && r->ledger.task.born_tid == i->h.tgid)
		p->born = true;
	if (i->peak_pages > p->peak_pages)
		p->peak_pages = i->peak_pages;
	if (i->late)
		return;
	p->ppid = i->ppid;
	if (!p->born_of)
		p->born_of = i->ppid;
	if (p->cgroup != i->cgroup)
		p->looked_up = false; /* it has moved to another cgroup */
	p->cgroup = i->cgroup;
	memcpy(p->comm, i->comm, sizeof(p->comm));
	p->comm[MB_COMM_LEN - 1] = '\0';
	if (i->threads)
		p->threads = i->threads;
	if (i->inner_tgid)
		p->inner_tgid = i->inner_tgid;
	if (i->host_name[0]) /* an exited first thread has left its namespaces */
		memcpy(p->host_name, i->host_name, sizeof(p->host_name) - 1);
	if (!i->has_mm)
		return;
	p->has_memory = true;
	p->mm = i->mm;
	p->total_vm_pages = i->total_vm_pages;
	memcpy(p->rss_pages, i->rss_pages, sizeof(p->rss_pages));
}

void mb_model_unsent(struct mb_model *m, uint64_t t_ns)
{
	if (t_ns && t_ns < m->unsent_ns)
		m->unsent_ns = t_ns;
}

/* Stalls are reported when they end, with their start time. */
static void note_open_stalls(struct mb_model *m, const struct mb_task_ledger *l)
{
	for (uint32_t i = 0; m->stream && i < l->depth && i < MB_STALL_DEPTH; i++)
		mb_model_unsent(m, l->stack[i].start_ns);
}

/* Add the increase of thread t since its last record to p. */
static void add_gains(struct mb_model *m, struct mb_process *p, struct mb_thread *t, struct mb_task_record *r)
{
	uint64_t min, maj;
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		if (fam[i]->prepare)
			fam[i]->prepare(m, &t->last, r);
	}
	t->seen_tick = m->tick;
	if (t->pending_exit_ns)
		thread_list(t, 0);
	add_ledger(p->values, &r->ledger, &t->last);
	min = r->info.min_flt - r->ledger.task.min_base;
	maj = r->info.maj_flt - r->ledger.task.maj_base;
	p->minor += min - t->min_flt;
	p->major += maj - t->maj_flt;
	t->min_flt = min;
	t->maj_flt = maj;
	t->last = r->ledger;
}

/*
 * All 8,192 processes are alive. Ledgers are cumulative, and no earlier record of this thread was
 * counted, so its last record contains everything, and is added to the row of its program directly.
 * Other records are ignored until then.
 */
static void take_without_room(struct mb_model *m, struct mb_task_record *r)
{
	struct mb_process *p = r->info.h.type == MB_TASK_EVENT_EXIT && !m->forgets ? mb_process_new() : NULL;
	struct mb_thread none = { 0 };

	if (!p) {
		m->no_room += r->info.h.tid == r->info.h.tgid;
		m->lost.processes_evicted += r->info.h.type == MB_TASK_EVENT_EXIT && r->info.group_dead;
		return;
	}
	p->tgid = r->info.h.tgid;
	p->start_ns = r->info.start_ns;
	p->exited = true;
	take_process_info(p, r);
	add_gains(m, p, &none, r);
	process_forget(m, p);
	if (!mb_ended_fold(m, p, r->info.group_dead))
		m->lost.processes_evicted += r->info.group_dead;
	mb_process_free(p);
}

void mb_model_record(struct mb_model *m, struct mb_task_record *r)
{
	struct mb_process *p = mb_model_process(m, r->info.h.tgid, r->info.start_ns);
	struct mb_thread *t;

	if (!p) {
		take_without_room(m, r);
		return;
	}
	p->seen_tick = m->tick;
	take_process_info(p, r);
	t = thread_get(m, &r->ledger.task, p);
	if (!t)
		return;
	add_gains(m, p, t, r);
	if (r->info.h.type != MB_TASK_EVENT_EXIT) {
		note_open_stalls(m, &r->ledger.task);
		return;
	}
	thread_remove(m, t);
	if (!r->info.group_dead)
		return;
	p->exited = true;
	p->exit_known = true;
	p->exit_code = r->info.exit_code;
}

/* Was the process born during the current period at this level or above? */
static bool born_within(const struct mb_levels *l, enum mb_level level, const struct mb_process *p)
{
	return l->off_since_ns[level] && p->start_ns >= l->off_since_ns[level];
}

/*
 * The level is about to change: mark processes that were born and ended during the current period
 * at a level.
 */
static void note_untraced(struct mb_model *m)
{
	struct mb_process *p;

	DL_FOREACH(m->all, p)
	{
		for (enum mb_level level = MB_LEVEL_FULL + 1; level < MB_LEVELS; level++) {
			if (p->exited && born_within(&m->levels, level, p))
				p->untraced |= (uint8_t)(1u << level);
		}
	}
}

void mb_model_level(struct mb_model *m, const struct mb_level_event *e)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	note_untraced(m);
	mb_levels_add(&m->levels, e);
	if (!m->levels.partial_ns)
		return;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			if (fam[i]->fields[j].is_rest)
				mb_field_set_unknown(m->unknown_slots, &fam[i]->fields[j]);
		}
	}
}

void mb_model_keep(struct mb_model *m, const struct mb_event *e)
{
	struct mb_retained_event *k;

	if (m->n_retained >= MB_MODEL_RETAINED_EVENTS) { /* drop the oldest */
		k = m->retained;
		m->retained = k->next;
		free(k);
		m->n_retained--;
		m->lost.events_not_retained++;
	}
	k = malloc(sizeof(*k) + e->size);
	if (!k) {
		m->lost.events_not_retained++;
		return;
	}
	k->next = NULL;
	memcpy(k->data, e, e->size);
	if (!m->retained)
		m->retained_tail = &m->retained;
	*m->retained_tail = k;
	m->retained_tail = &k->next;
	m->n_retained++;
}

void mb_model_show(struct mb_model *m, const struct mb_event *e)
{
	if (m->on_event && (m->stream & (1u << e->family)))
		m->on_event(m->on_event_arg, m, e);
}

void mb_model_event(struct mb_model *m, const void *data, size_t len)
{
	const struct mb_event *e = data;
	const struct mb_event_kind *kind;

	if (len < sizeof(*e) || e->size > len || !(kind = mb_event_kind_of(e))) {
		m->lost.undecodable++;
		return;
	}
	m->events++;
	if (mb_family_by_id(e->family)->consume)
		mb_family_by_id(e->family)->consume(m, e);
	mb_observers_event(m, e);
	if (kind->flags & MB_EVENT_KEEP)
		mb_model_keep(m, e);
	if ((kind->flags & MB_EVENT_ALWAYS) && m->on_event)
		m->on_event(m->on_event_arg, m, e);
	else if (!(kind->flags & MB_EVENT_INTERNAL))
		mb_model_show(m, e);
}

/* Compute everything that concerns all processes together. */
static void end_tick(struct mb_model *m, uint64_t t_ns)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		if (fam[i]->ticked)
			fam[i]->ticked(m);
	}
	m->lost.not_blamed = m->devices.evicted + m->mounts.evicted; /* observers add their own losses */
	mb_observers_tick(m, t_ns);
	m->lost.processes_waiting = m->no_room;
	m->no_room = 0;
}

static void retire_threads(struct mb_model *m, uint64_t t_ns)
{
	struct mb_thread *t, *tmp;

	HASH_ITER(hh, m->threads, t, tmp)
	{
		/* a thread missing in one pass may have its exit record still in the ring */
		if (!t->pending_exit_ns && t->seen_tick + 1 < m->tick)
			thread_list(t, t_ns);
		else if (t->pending_exit_ns && t_ns - t->pending_exit_ns > MB_MODEL_PENDING_EXIT_NS)
			thread_remove(m, t);
	}
}

void mb_model_tick(struct mb_model *m, uint64_t t_ns, bool complete)
{
	struct mb_process *p;

	if (complete)
		retire_threads(m, t_ns);
	DL_FOREACH(m->all, p)
	{
		if (complete && !p->live_threads && p->seen_tick + 1 < m->tick)
			p->exited = true;
		derive(m, p);
	}
	DL_FOREACH(m->ended.rows, p)
	derive(m, p);
	end_tick(m, t_ns);
	if (m->history)
		mb_history_tick(m, t_ns);
	if (m->history && m->history->last_ns == t_ns)
		mb_memcg_tick(m, t_ns);
	m->tick++;
	m->unsent_ns = UINT64_MAX;
}

void mb_model_forget_ended(struct mb_model *m, uint32_t keep)
{
	struct mb_process *p, *tmp;
	uint32_t ended = 0;

	DL_FOREACH(m->all, p)
	ended += has_ended(p);
	DL_FOREACH_SAFE(m->all, p, tmp)
	{
		if (ended <= keep)
			break;
		if (has_ended(p)) {
			process_forget(m, p);
			process_remove(m, p);
			ended--;
		}
	}
	drop_retained(m);
}

void mb_model_interval(struct mb_model *m)
{
	struct mb_process *p;

	DL_FOREACH(m->all, p)
	memcpy(p->before, p->values, mb_slots() * sizeof(*p->before));
	DL_FOREACH(m->ended.rows, p)
	memcpy(p->before, p->values, mb_slots() * sizeof(*p->before));
	m->system.before = m->system.now;
	mb_observers_interval(m);
}

uint64_t mb_values_sum(uint64_t a, uint64_t b)
{
	return a == MB_NO_VALUE ? b : b == MB_NO_VALUE ? a : a + b;
}

uint64_t mb_values_max(uint64_t a, uint64_t b)
{
	if (a == MB_NO_VALUE || b == MB_NO_VALUE)
		return MB_NO_VALUE;
	return (int64_t)a > (int64_t)b ? a : b;
}

uint64_t mb_process_value(const struct mb_process *p, unsigned int slot)
{
	return p->values[slot];
}

uint64_t mb_process_delta(const struct mb_process *p, unsigned int slot)
{
	return p->values[slot] - p->before[slot];
}

void mb_field_set_unknown(uint64_t unknown_slots[4], const struct mb_field *f)
{
	unsigned int slot = mb_slot(f);

	if (slot < 256)
		unknown_slots[slot / 64] |= 1ull << (slot % 64);
}

void mb_model_uncounted(struct mb_model *m, unsigned int slot, uint64_t ns)
{
	if (!m->uncounted_ns && ns)
		m->uncounted_ns = calloc(mb_slots(), sizeof(*m->uncounted_ns));
	if (m->uncounted_ns)
		m->uncounted_ns[slot] = ns;
}

uint64_t mb_field_untraced_ns(const struct mb_model *m, const struct mb_family *fam, const struct mb_field *f,
			      uint64_t now_ns)
{
	enum mb_level from = mb_field_off_from(fam, f);
	uint64_t off = from ? mb_levels_off_ns(&m->levels, from, now_ns) : 0;
	uint64_t uncounted = m->uncounted_ns ? m->uncounted_ns[mb_slot(f)] : 0;

	return off + uncounted;
}

bool mb_field_known(const struct mb_model *m, const struct mb_family *fam, const struct mb_field *f)
{
	unsigned int slot = mb_slot(f);

	if (m->off & (1u << fam->id))
		return false;
	return slot >= 256 || !(m->unknown_slots[slot / 64] & (1ull << (slot % 64)));
}

bool mb_process_field_known(const struct mb_model *m, const struct mb_process *p, const struct mb_family *fam,
			    const struct mb_field *f)
{
	enum mb_level from = mb_field_off_from(fam, f);
	bool untraced = from && ((p->untraced >> from & 1) || born_within(&m->levels, from, p));

	if (untraced && !mb_field_probe_point(fam, f)->has_rest)
		return false;
	return mb_field_known(m, fam, f);
}

uint64_t mb_lost_total(const struct mb_lost *l)
{
	uint64_t sum =
		l->processes_evicted + l->processes_waiting + l->threads_evicted + l->events_not_retained + l->undecodable +
		l->not_blamed + l->not_recorded;

	for (int f = 0; f < MB_FAM_MAX; f++) {
		for (int r = 0; r < MB_DROP_REASONS; r++)
			sum += l->kernel[f][r].count;
	}
	return sum;
}
