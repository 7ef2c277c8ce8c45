// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * fault: page faults by cause. minor and major are the kernel's own counters; the causes come from
 * the ledgers, and "other" is the remainder, so that the causes always add up to the counters.
 */
#include <string.h>

#include "memblame/family.h"
#include "model/model.h"

static const char *const class_names[MB_FAULT_CLASSES] = {
	[MB_FAULT_ANON] = "anon",	[MB_FAULT_FILE] = "file",
	[MB_FAULT_COW] = "cow",		[MB_FAULT_SHMEM] = "shmem",
	[MB_FAULT_SWAP] = "swap",	[MB_FAULT_FILE_IO] = "file_io",
	[MB_FAULT_OTHER] = "other",	[MB_FAULT_FAILED] = "failed",
	[MB_FAULT_MKWRITE] = "mkwrite", [MB_FAULT_HUGETLB] = "hugetlb",
	[MB_FAULT_NUMA] = "numa",	[MB_FAULT_USERFAULT] = "userfault",
};

/* Bits of the error code, in order; bit 3 (reserved bit set) is a kernel error. */
static const char *const error_names[] = { "present", "write", "user", NULL, "exec" };

#define CLASS(name, id, text)                                                          \
	{                                                                              \
		"faults", name, text, MB_LEDGER(fault.by_class[id]), MB_FIELD_COUNTER, \
			MB_UNIT_COUNT, "fault.cause"                                   \
	}
#define DERIVED(name, text, probe_point)                                              \
	{                                                                          \
		"faults", name, text, 0, MB_FIELD_DERIVED, MB_UNIT_COUNT, probe_point \
	}

enum {
	F_MINOR,
	F_MAJOR,
	F_ANON,
	F_FILE,
	F_COW,
	F_SHMEM,
	F_SWAP,
	F_FILE_IO,
	F_MKWRITE,
	F_HUGETLB,
	F_NUMA,
	F_USERFAULT,
	F_OTHER,
	F_SEGV_UNMAPPED,
	F_SEGV_ACCESS,
	F_USER,
	F_KERNEL,
	F_READ,
	F_WRITE,
	F_EXEC,
	F_ACCESS,
	F_LATENCY = F_ACCESS + 8,
	F_SWAP_IN,
	F_FILE_IO_STALL,
	F_USERFAULT_STALL,
	F_FIELDS
};

#define ACCESS(i)                                                                           \
	[F_ACCESS + (i)] = {                                                                \
		NULL,	       NULL, NULL, MB_LEDGER(fault.by_access[i]), MB_FIELD_COUNTER, \
		MB_UNIT_COUNT, NULL                                                         \
	}

static const struct mb_field fields[F_FIELDS] = {
	[F_MINOR] = DERIVED("minor", "minor faults, the kernel's own count", NULL),
	[F_MAJOR] = DERIVED("major", "major faults (they waited for I/O), the kernel's own count",
			    NULL),
	[F_ANON] = CLASS("anon", MB_FAULT_ANON, "first touch of anonymous memory"),
	[F_FILE] = CLASS("file", MB_FAULT_FILE, "file page found in the page cache"),
	[F_COW] = CLASS("cow", MB_FAULT_COW,
			"write to a private page that is shared: copied, or had alone by now"),
	[F_SHMEM] = CLASS("shmem", MB_FAULT_SHMEM, "shared memory or tmpfs page"),
	[F_SWAP] = CLASS("swap", MB_FAULT_SWAP, "page brought back from swap"),
	[F_FILE_IO] = CLASS("file_io", MB_FAULT_FILE_IO, "file page read from its device"),
	[F_MKWRITE] = CLASS("mkwrite", MB_FAULT_MKWRITE,
			    "page of a shared mapping made writable, nothing is copied"),
	[F_HUGETLB] = CLASS("hugetlb", MB_FAULT_HUGETLB, "page of hugetlbfs or MAP_HUGETLB"),
	[F_NUMA] = CLASS("numa", MB_FAULT_NUMA,
			 "NUMA hint: the page was there, where is it used from?"),
	[F_USERFAULT] = { "faults", "userfault", "another thread answered it (userfaultfd)",
			  MB_LEDGER(fault.by_class[MB_FAULT_USERFAULT]), MB_FIELD_COUNTER,
			  MB_UNIT_COUNT, "fault.userfault" },
	[F_OTHER] = DERIVED("other", "any other cause, and pages the kernel touched for itself",
			    "fault.cause"),
	[F_SEGV_UNMAPPED] = { "faults", "segv_unmapped", "SIGSEGV: nothing is mapped there",
			      MB_LEDGER(fault.segv_unmapped), MB_FIELD_COUNTER, MB_UNIT_COUNT,
			      "fault.segv" },
	[F_SEGV_ACCESS] = { "faults", "segv_access", "SIGSEGV: the mapping forbids the access",
			    MB_LEDGER(fault.segv_access), MB_FIELD_COUNTER, MB_UNIT_COUNT,
			    "fault.segv" },
	[F_USER] = DERIVED("user", "faults taken in user mode", "fault.cause"),
	[F_KERNEL] = { "faults", "kernel", "faults taken inside the kernel, e.g. in read(2)", 0,
		       MB_FIELD_DERIVED, MB_UNIT_COUNT, "fault.cause", .is_rest = true },
	[F_READ] = DERIVED("read", "faults on a read", "fault.cause"),
	[F_WRITE] = DERIVED("write", "faults on a write", "fault.cause"),
	[F_EXEC] = DERIVED("exec", "faults on an instruction fetch", "fault.cause"),
	ACCESS(0),
	ACCESS(1),
	ACCESS(2),
	ACCESS(3),
	ACCESS(4),
	ACCESS(5),
	ACCESS(6),
	ACCESS(7),
	[F_LATENCY] = { "faults", "latency", "how long faults took", 0, MB_FIELD_HIST, MB_UNIT_NS,
			"fault.latency" },
	[F_SWAP_IN] = MB_STALL(fault, swap_in, "fault.end", "major faults that read from swap"),
	[F_FILE_IO_STALL] = MB_STALL(fault, file_io, "fault.end", "major faults that read a file"),
	[F_USERFAULT_STALL] = MB_STALL(fault, userfault, "fault.userfault",
				       "faults that waited for another thread (userfaultfd)"),
};

static const struct mb_event_field fault_fields[] = {
	{ "class", MB_MEMBER(mb_fault_event, class_id), MB_VALUE_ENUM16, MB_UNIT_COUNT, class_names,
	  false, 0, MB_ARRAY_SIZE(class_names) },
	{ "major", MB_MEMBER(mb_fault_event, major), MB_VALUE_U16, MB_UNIT_COUNT, NULL, false, 0 },
	{ "addr", MB_MEMBER(mb_fault_event, addr), MB_VALUE_HEX64, MB_UNIT_COUNT, NULL, false, 0 },
	{ "ip", MB_MEMBER(mb_fault_event, ip), MB_VALUE_HEX64, MB_UNIT_COUNT, NULL, true, 0 },
	{ NULL, MB_MEMBER(mb_fault_event, error), MB_VALUE_FLAGS32, MB_UNIT_COUNT, error_names,
	  false, 0, MB_ARRAY_SIZE(error_names) },
	{ "latency_ns", MB_MEMBER(mb_fault_event, latency_ns), MB_VALUE_U64, MB_UNIT_NS, NULL, true,
	  0 },
};

static const struct mb_event_kind events[] = {
	{ MB_FAULT_EVENT_FAULT, "fault", sizeof(struct mb_fault_event), fault_fields,
	  MB_ARRAY_SIZE(fault_fields), 0 },
	{ MB_FAULT_EVENT_BATCH, "batch", sizeof(struct mb_fault_batch_event), NULL, 0,
	  MB_EVENT_INTERNAL },
	/* for leaks (src/leaks/leaks.c) */
	{ MB_FAULT_EVENT_PAGE, "page", sizeof(struct mb_page_event), NULL, 0, MB_EVENT_INTERNAL | MB_EVENT_STACK },
	{ MB_FAULT_EVENT_SAMPLE, "sample", sizeof(struct mb_fault_event), fault_fields,
	  MB_ARRAY_SIZE(fault_fields), MB_EVENT_INTERNAL },
};

/*
 * Kernels with this struct (before 6.2) fire rss_stat once per 64 changes, so it says nothing about
 * single faults.
 */
#define RSS_STAT_BATCHED "mm_rss_stat"

/*
 * Where rss_stat fires for each change, fault_moved detects pages from swap, and covers the faults
 * for which the kernel skipped fault_end.
 */
#define TASK_WORK "bpf_task_work_schedule_resume_impl"
#define CAUSE_MISSING                                                                                    \
	"a read of anonymous memory that finds its page just mapped by another thread counts as anon; "  \
	"faults the kernel takes for itself (exec arguments, mlock, MAP_POPULATE, process_vm_writev) "   \
	"count as other; a first write to a private file page counts as anon; what another thread maps " \
	"there before the next fault decides whether a write to a page that was there is cow or mkwrite"

static const struct mb_hook cause_hooks[] = {
	{ .name = "fexit",
	  .programs = { "fault_begin_user", "fault_begin_kernel", "fault_end", "fault_moved" },
	  .lacks_type = RSS_STAT_BATCHED,
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "faults the kernel takes for itself (exec arguments, mlock, MAP_POPULATE) "
		     "count as other; a first write to a private file page counts as anon" },
	{ .name = "fexit alone",
	  .programs = { "fault_begin_user", "fault_begin_kernel", "fault_end", "fault_swap" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "faults the kernel takes for itself (exec arguments, mlock, MAP_POPULATE) "
		     "count as other; a first write to a private file page counts as anon" },
	{ .name = "tp_btf+work",
	  .programs = { "fault_begin_user_waits", "fault_begin_kernel_waits", "fault_moved",
			"fault_remap" },
	  .kfunc = TASK_WORK,
	  .lacks_type = RSS_STAT_BATCHED,
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = CAUSE_MISSING },
	{ .name = "tp_btf",
	  .programs = { "fault_begin_user", "fault_begin_kernel", "fault_moved" },
	  .optional = { "fault_remap" },
	  .lacks_type = RSS_STAT_BATCHED,
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = CAUSE_MISSING },
};

static const struct mb_hook segv_hooks[] = {
	{ .name = "tp_btf", .programs = { "fault_signal" }, .quality = MB_QUALITY_FULL },
};

static const struct mb_hook latency_hooks[] = {
	{ .name = "fexit",
	  .programs = { "fault_end" },
	  .times_every_fault = true,
	  .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf",
	  .programs = { "fault_moved", "fault_filemap" },
	  .lacks_type = RSS_STAT_BATCHED,
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "minor faults are sampled, and timed from entry until the page is accounted "
		     "to the process, which leaves out the last 0.1 to 0.3 us; those that move no "
		     "page counter (zero page, copy after fork) are not timed" },
};

static const struct mb_hook major_hooks[] = {
	{ .name = "perf",
	  .programs = { "fault_major_end" },
	  .requires = { "fault_begin_user", "fault_begin_user_waits" }, /* where the start time is recorded */
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_hook userfault_hooks[] = {
	{ .name = "fexit",
	  .programs = { "fault_wait_begin", "fault_wait_end" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "work",
	  .requires = { "fault_begin_user_waits" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing =
		  "address spaces that were given to userfaultfd before tracing began: their faults count as other; "
		  "faults the kernel takes for itself; a wait in a system call that sleeps again is not timed" },
};

static const struct mb_hot hot[] = {
	{ "fault_begin_user_waits", MB_LEVEL_ITERATOR },
	{ "fault_begin_kernel_waits", MB_LEVEL_ITERATOR },
	{ "fault_wait_begin", MB_LEVEL_ITERATOR },
	{ "fault_begin_user", MB_LEVEL_ITERATOR },
	{ "fault_begin_kernel", MB_LEVEL_ITERATOR },
	{ "fault_moved", MB_LEVEL_ITERATOR },
	{ "fault_remap", MB_LEVEL_ITERATOR },
	{ "fault_end", MB_LEVEL_ITERATOR },
	{ "fault_swap", MB_LEVEL_ITERATOR },
	{ "fault_filemap", MB_LEVEL_COUNTS },
	{ "fault_major_end", MB_LEVEL_COUNTS },
};

static const struct mb_probe_point probe_points[] = {
	{ "cause", "why did this fault happen?", cause_hooks, MB_ARRAY_SIZE(cause_hooks),
	  "faults are counted, not explained", .off_from = MB_LEVEL_ITERATOR, .has_rest = true },
	{ "segv", "did an access end in SIGSEGV, and why?", segv_hooks, 1,
	  "invalid accesses are not counted" },
	{ "latency", "how long did a minor fault take?", latency_hooks, 2,
	  "minor faults are not timed", .off_from = MB_LEVEL_COUNTS },
	{ "end", "when did this major fault end?", major_hooks, 1,
	  "major faults and swap-ins are not timed", .off_from = MB_LEVEL_COUNTS },
	{ "userfault",
	  "did another thread answer this fault, and how long did that take (userfaultfd)?",
	  userfault_hooks, MB_ARRAY_SIZE(userfault_hooks),
	  "faults that another thread answers count as other, and are not timed", .off_from = MB_LEVEL_ITERATOR },
};

static const struct mb_missed missed[] = {
	{ "fault_end", false, MB_DROP_UNTIMED },
};

/*
 * Streaming. A thread sends its faults in batches, so the last few faults of a thread that has
 * stopped faulting remain in its ledger. They are shown from there, and the sequence number of the
 * last one is remembered, so that none is shown again when the thread continues.
 */
static struct mb_shown *shown_find(struct mb_model *m, uint32_t tid)
{
	struct mb_shown *s = NULL;

	if (m->shown)
		HASH_FIND(hh, m->shown, &tid, sizeof(tid), s);
	return s;
}

static void show_fault(struct mb_model *m, const struct mb_event *from,
		       const struct mb_fault_record *r)
{
	struct mb_fault_event e = {
		.h = { r->t_ns, from->tgid, from->tid, MB_FAM_fault, MB_FAULT_EVENT_FAULT,
		       sizeof(e) },
		.addr = r->addr,
		.ip = r->ip,
		.latency_ns = r->latency_ns,
		.error = r->error,
		.seq = r->seq,
		.class_id = r->class_id,
		.major = r->major,
	};

	m->events++;
	mb_model_show(m, &e.h);
}

static void show_batch(struct mb_model *m, const struct mb_fault_batch_event *e)
{
	struct mb_shown *s = shown_find(m, e->h.tid);

	for (int i = 0; i < MB_FAULT_BATCH; i++) {
		if (!s || e->batch[i].seq > s->seq)
			show_fault(m, &e->h, &e->batch[i]);
	}
	m->events--; /* the batch itself is not an event */
}

static void show_rest(struct mb_model *m, const struct mb_task_record *r,
		      const struct mb_fault_record *last)
{
	const struct mb_fault_ledger *f = &r->ledger.fault;
	struct mb_shown *s = shown_find(m, r->info.h.tid);
	uint32_t after = s ? s->seq : 0;

	for (uint64_t i = 0; i < f->n_batch && i < MB_FAULT_BATCH; i++) {
		if (f->batch[i].seq > after)
			show_fault(m, &r->info.h, &f->batch[i]);
	}
	if (last && last->seq > after)
		show_fault(m, &r->info.h, last);
	if (r->info.h.type == MB_TASK_EVENT_EXIT) {
		/* the urgent ring is read first: older batches may still arrive, and must not be shown again */
		if (s)
			s->exit_tick = m->tick + 1;
		return;
	}
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return;
		s->tid = r->info.h.tid;
		HASH_ADD(hh, m->shown, tid, sizeof(s->tid), s);
	}
	s->seq = last ? last->seq : f->pending.seq - 1;
}

/* Faults that the thread has not sent yet, or that are shown at a later tick. */
static void note_unsent(struct mb_model *m, const struct mb_task_record *r)
{
	const struct mb_fault_ledger *f = &r->ledger.fault;
	const struct mb_shown *s = shown_find(m, r->info.h.tid);
	uint32_t after = s ? s->seq : 0;

	for (uint64_t i = 0; i < f->n_batch && i < MB_FAULT_BATCH; i++) {
		if (f->batch[i].seq > after)
			mb_model_unsent(m, f->batch[i].t_ns);
	}
	if (f->pending.seq > after)
		mb_model_unsent(m, f->pending.start_ns);
}

/* Add the increase of the thread's histogram of minor faults to its process's histogram. */
static void add_latency(struct mb_model *m, const struct mb_fault_ledger *before,
			const struct mb_task_record *r)
{
	const struct mb_fault_ledger *f = &r->ledger.fault;
	struct mb_process *p = mb_model_find(m, r->info.h.tgid);

	for (unsigned int i = 0; p && i < MB_FAULT_BUCKETS; i++) {
		uint32_t n = f->latency[i] - before->latency[i];
		uint64_t upper = mb_hist_upper(i + (MB_FAULT_MIN_BITS - 1) * MB_HIST_SUB);

		if (n)
			mb_process_hist_add(p, &fields[F_LATENCY],
					    upper < f->latency_max_ns ? upper : f->latency_max_ns,
					    (uint64_t)n * m->sample_1_in, m->sample_1_in);
	}
}

/*
 * The kernel has counted the thread's last fault, but no program has classified it yet: classify it
 * in this copy. When the thread's next fault does so in the ledger, the sum stays the same.
 */
static void prepare(struct mb_model *m, const struct mb_ledger *before, struct mb_task_record *r)
{
	struct mb_fault_ledger *f = &r->ledger.fault;
	const struct mb_fault_pending *p = &f->pending;
	bool counted = r->info.min_flt + r->info.maj_flt > p->flt;
	bool gone = r->info.h.type == MB_TASK_EVENT_EXIT;
	struct mb_fault_record last = {
		.t_ns = p->start_ns,
		.addr = p->addr,
		.ip = p->ip,
		.seq = p->seq,
		.latency_ns = p->mapped_ns ? p->mapped_ns - p->start_ns : 0,
		.error = (__u8)p->error,
		.major = r->info.maj_flt != p->maj,
	};

	if (!p->seq)
		return;
	add_latency(m, &before->fault, r);
	last.class_id = counted ? (__u8)mb_fault_classify(p, last.major, m->has_swap) :
				  MB_FAULT_FAILED;
	if (!p->settled)
		f->by_class[last.class_id]++;
	if (counted && !p->settled)
		f->by_access[MB_FAULT_ACCESS(p->error)]++;
	if (!(m->stream & (1u << MB_FAM_fault)))
		return;
	/*
	 * a running thread changes its ledger while it is read: show only threads that were idle
	 * for a tick
	 */
	if (gone || before->fault.pending.seq == p->seq)
		show_rest(m, r, (counted || gone) && p->start_ns ? &last : NULL);
	else
		note_unsent(m, r);
}

static void consume(struct mb_model *m, const struct mb_event *event)
{
	const struct mb_fault_event *e = (const struct mb_fault_event *)event;
	struct mb_process *p;

	if (event->type == MB_FAULT_EVENT_BATCH) {
		show_batch(m, (const struct mb_fault_batch_event *)event);
		return;
	}
	p = mb_model_find(m, e->h.tgid);
	if (event->type == MB_FAULT_EVENT_SAMPLE && p)
		mb_process_hist_add(p, &fields[F_LATENCY], e->latency_ns, 1, m->sample_1_in);
}

static uint64_t access_sum(const uint64_t *v, unsigned int mask, unsigned int want)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < 8; i++)
		sum += (i & mask) == want ? v[i] : 0;
	return sum;
}

/*
 * Remainder of a total. The ledger of a thread that is running while it is read may be ahead by one
 * fault; the remainder must not shrink for that, or an interval would have a negative value.
 */
static uint64_t rest(const struct mb_process *p, uint64_t was, uint64_t total, uint64_t part)
{
	uint64_t is = total > part ? total - part : 0;

	return p->exited || is > was ? is : was;
}

static void tick(struct mb_model *m, struct mb_process *p)
{
	uint64_t *v = p->values + mb_slot(&fields[0]);
	uint64_t total = p->minor + p->major, known = 0;

	(void)m;
	for (int i = F_ANON; i < F_OTHER; i++)
		known += v[i];
	v[F_MINOR] = p->minor;
	v[F_MAJOR] = p->major;
	v[F_OTHER] = rest(p, v[F_OTHER], total, known);
	v[F_USER] = access_sum(v + F_ACCESS, 2, 2);
	v[F_KERNEL] = rest(p, v[F_KERNEL], total, v[F_USER]);
	v[F_WRITE] = access_sum(v + F_ACCESS, 1, 1);
	v[F_EXEC] = access_sum(v + F_ACCESS, 4, 4);
	v[F_READ] = access_sum(v + F_ACCESS, 5, 0);
}

/* Everything that a thread sent before its exit record has been read by now. */
static void ticked(struct mb_model *m)
{
	struct mb_shown *s, *tmp;

	HASH_ITER(hh, m->shown, s, tmp)
	{
		if (!s->exit_tick || s->exit_tick + 2 > m->tick)
			continue;
		HASH_DEL(m->shown, s);
		free(s);
	}
}

const struct mb_family mb_family_fault = {
	.id = MB_FAM_fault,
	.name = "fault",
	MB_TABLE(fields),
	MB_TABLE(events),
	MB_TABLE(probe_points),
	MB_TABLE(hot),
	MB_TABLE(missed),
	.prepare = prepare,
	.consume = consume,
	.tick = tick,
	.ticked = ticked,
};
