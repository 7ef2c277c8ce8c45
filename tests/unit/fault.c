// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The arithmetic of the fault family: the last fault of a ledger, causes that add up, no fault counted twice. */
#include <string.h>

#include "memblame/family.h"
#include "model/model.h"
#include "unit.h"

enum { FILE_PAGES = 1, ANON = 2, SWAP = 4, SHMEM = 8 };
enum {
	OWN = MB_FAULT_KIND_KNOWN | MB_FAULT_KIND_ANON,
	SHARED = MB_FAULT_KIND_KNOWN | MB_FAULT_KIND_SHARED,
	PRIVATE_FILE = MB_FAULT_KIND_KNOWN,
	NOTHING = MB_FAULT_KIND_NOWHERE,
	READONLY = MB_FAULT_KIND_KNOWN | MB_FAULT_KIND_READONLY,
};

/* One row per measured cause (docs/families/fault.md). */
static const struct {
	const char *what;
	uint32_t error;
	uint32_t moved;
	bool major;
	enum mb_fault_class class;
	uint32_t kind; /* what is mapped there; 0: not known */
} causes[] = {
	{ "first write", MB_PF_WRITE, ANON, false, MB_FAULT_ANON },
	{ "first read: zero page", 0, 0, false, MB_FAULT_ANON, OWN },
	{ "first read of nobody knows what", 0, 0, false, MB_FAULT_OTHER, 0 },
	{ "file page that another thread has just mapped", 0, 0, false, MB_FAULT_OTHER,
	  PRIVATE_FILE },
	{ "write over the zero page", MB_PF_PROT | MB_PF_WRITE, ANON, false, MB_FAULT_COW },
	{ "private file page written", MB_PF_PROT | MB_PF_WRITE, ANON | FILE_PAGES, false,
	  MB_FAULT_COW },
	{ "copy after fork", MB_PF_PROT | MB_PF_WRITE, 0, false, MB_FAULT_COW, OWN },
	{ "page of a file copied before", MB_PF_PROT | MB_PF_WRITE, 0, false, MB_FAULT_COW,
	  PRIVATE_FILE },
	{ "clean page of a shared file", MB_PF_PROT | MB_PF_WRITE, 0, false, MB_FAULT_MKWRITE,
	  SHARED },
	{ "the same, as 5.10 counts it", MB_PF_PROT | MB_PF_WRITE, 0, true, MB_FAULT_MKWRITE, SHARED },
	{ "write to nobody knows what", MB_PF_PROT | MB_PF_WRITE, 0, false, MB_FAULT_OTHER, 0 },
	{ "huge page of the pool", 0, 0, false, MB_FAULT_HUGETLB, OWN | MB_FAULT_KIND_HUGETLB },
	{ "its copy", MB_PF_PROT | MB_PF_WRITE, 0, false, MB_FAULT_HUGETLB,
	  OWN | MB_FAULT_KIND_HUGETLB },
	{ "NUMA hint", 0, 0, false, MB_FAULT_NUMA, MB_FAULT_KIND_NUMA },
	{ "answered by another thread", MB_PF_WRITE, 0, false, MB_FAULT_USERFAULT,
	  OWN | MB_FAULT_KIND_USERFAULT },
	{ "the same, as 5.10 counts it", MB_PF_WRITE, 0, true, MB_FAULT_USERFAULT,
	  OWN | MB_FAULT_KIND_USERFAULT },
	{ "file read from cache", 0, FILE_PAGES, false, MB_FAULT_FILE },
	{ "shared memory written", MB_PF_WRITE, SHMEM, false, MB_FAULT_SHMEM },
	{ "swap-in from the swap cache", 0, ANON | SWAP, false, MB_FAULT_SWAP },
	{ "swap-in from the device", 0, ANON | SWAP, true, MB_FAULT_SWAP },
	{ "file read from its device", 0, FILE_PAGES, true, MB_FAULT_FILE_IO },
	{ "shared memory from swap", 0, SHMEM | SWAP, true, MB_FAULT_SWAP },
	{ "page there already", MB_PF_WRITE, 0, false, MB_FAULT_OTHER },
};

static struct mb_task_record record(uint32_t error, uint32_t moved, bool major)
{
	struct mb_task_record r;

	memset(&r, 0, sizeof(r));
	r.info.h = (struct mb_event){ 1, 5, 5, MB_FAM_task, MB_TASK_EVENT_HARVEST, sizeof(r) };
	r.info.start_ns = 1;
	r.ledger.task.born_tid = 5;
	r.ledger.fault.pending.seq = 1;
	r.ledger.fault.pending.error = error | MB_PF_USER;
	r.ledger.fault.pending.moved = (__u8)moved;
	r.info.maj_flt = major;
	r.info.min_flt = !major;
	return r;
}

static uint64_t sum_of_causes(const struct mb_process *p, const struct mb_family *f,
			      const char *only)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < f->n_fields; i++) {
		const char *n = f->fields[i].name;
		bool cause = n && (!strcmp(n, "anon") || !strcmp(n, "file") || !strcmp(n, "cow") ||
				   !strcmp(n, "shmem") || !strcmp(n, "swap") ||
				   !strcmp(n, "file_io") || !strcmp(n, "other") ||
				   !strcmp(n, "mkwrite") || !strcmp(n, "hugetlb") ||
				   !strcmp(n, "numa") || !strcmp(n, "userfault"));

		if (cause && !strcmp(f->fields[i].group, "faults") && (!only || !strcmp(n, only)))
			sum += mb_process_value(p, mb_slot(&f->fields[i]));
	}
	return sum;
}

static void each_cause_is_reported(void **state)
{
	static const char *const names[] = { "anon",	"file",	   "cow",   "shmem",
					     "swap",	"file_io", "other", "failed",
					     "mkwrite", "hugetlb", "numa",  "userfault" };
	const struct mb_family *fault = mb_family_by_name("fault");

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_SIZE(causes); i++) {
		struct mb_task_record r = record(causes[i].error, causes[i].moved, causes[i].major);
		struct mb_model m;

		r.ledger.fault.pending.kind = causes[i].kind;
		mb_model_init(&m);
		m.has_swap = true;
		mb_model_event(&m, &r, sizeof(r));
		mb_model_tick(&m, 1000, true);
		if (sum_of_causes(mb_model_find(&m, 5), fault, names[causes[i].class]) != 1)
			fail_msg("%s is not %s", causes[i].what, names[causes[i].class]);
		assert_int_equal(sum_of_causes(mb_model_find(&m, 5), fault, NULL), 1);
		mb_model_free(&m);
	}
}

/*
 * The kernel also counts faults that it takes on its own behalf. Such a fault right after a failed one must not make
 * the failed one look successful.
 */
static void a_failed_fault_stays_failed(void **state)
{
	struct mb_fault_pending p = { .error = MB_PF_USER | MB_PF_WRITE,
				      .moved = ANON,
				      .failed = 1 };

	(void)state;
	assert_int_equal(mb_fault_classify(&p, false, false),
			 MB_FAULT_FAILED); /* the fault ended in a signal */
	p = (struct mb_fault_pending){ .error = MB_PF_WRITE, .kind = NOTHING }; /* EFAULT */
	assert_int_equal(mb_fault_classify(&p, false, false), MB_FAULT_FAILED);
	p.kind = READONLY;
	assert_int_equal(mb_fault_classify(&p, false, false), MB_FAULT_FAILED);
	p.error = MB_PF_WRITE | MB_PF_PROT;
	assert_int_equal(mb_fault_classify(&p, false, false), MB_FAULT_FAILED);
	p.error = 0; /* reading it is allowed */
	assert_int_equal(mb_fault_classify(&p, false, false), MB_FAULT_OTHER);
	/* a failed fault in user mode would have ended in a signal, so the mapping has gone since */
	p = (struct mb_fault_pending){ .error = MB_PF_USER, .kind = NOTHING };
	assert_int_equal(mb_fault_classify(&p, false, false), MB_FAULT_OTHER);
}

/* Looking up the mapping costs time in each fault, so only faults do it whose cause the counters do not show. */
static void a_mapping_is_asked_for_where_needed(void **state)
{
	struct mb_fault_pending p = { .error = MB_PF_USER | MB_PF_WRITE, .moved = ANON };

	(void)state;
	assert_false(mb_fault_asks_mapping(&p));
	p.moved = 0;
	assert_true(mb_fault_asks_mapping(&p));
	p.error |= MB_PF_PROT;
	p.moved = FILE_PAGES; /* a huge mapping of a shared file is split first */
	assert_true(mb_fault_asks_mapping(&p));
	p.moved = ANON;
	assert_false(mb_fault_asks_mapping(&p));
	p.moved = 0;
	p.kind = SHARED;
	assert_false(mb_fault_asks_mapping(&p));
}

/* A fault first read as pending and later classified by the kernel side is one fault. */
static void a_pending_fault_counts_once(void **state)
{
	const struct mb_family *fault = mb_family_by_name("fault");
	struct mb_task_record r = record(MB_PF_WRITE, ANON, false);
	struct mb_model m;

	(void)state;
	mb_model_init(&m);
	mb_model_event(&m, &r, sizeof(r));
	r.ledger.fault.by_class[MB_FAULT_ANON] = 1;
	r.ledger.fault.pending.flt = 1;
	r.ledger.fault.pending.seq = 2; /* a new one, not counted by the kernel yet */
	mb_model_event(&m, &r, sizeof(r));
	mb_model_tick(&m, 1000, true);
	assert_int_equal(sum_of_causes(mb_model_find(&m, 5), fault, "anon"), 1);
	assert_int_equal(sum_of_causes(mb_model_find(&m, 5), fault, NULL), 1);
	mb_model_free(&m);
}

/* The hooks are detached after a fault: it keeps its cause, and the faults that follow have no known cause. */
static void a_settled_fault_is_not_counted_again(void **state)
{
	const struct mb_family *fault = mb_family_by_name("fault");
	struct mb_task_record r = record(MB_PF_WRITE, ANON, false);
	struct mb_level_event gap = { .h = { 7, 1, 1, MB_FAM_task, MB_TASK_EVENT_LEVEL,
					     sizeof(gap) },
				      .from = MB_LEVEL_COUNTS,
				      .to = MB_LEVEL_ITERATOR,
				      .tick_divisor = 1 };
	struct mb_process *p;
	struct mb_model m;

	(void)state;
	mb_model_init(&m);
	mb_model_event(&m, &r, sizeof(r));
	mb_model_event(&m, &gap, sizeof(gap));
	/* the ledger as the iterator leaves it */
	r.ledger.fault.by_class[MB_FAULT_ANON] = 1;
	r.ledger.fault.pending.settled = 1;
	mb_model_event(&m, &r, sizeof(r));
	/* ten more faults that no hook sees, then one that a hook sees */
	r.info.min_flt = 11;
	mb_model_event(&m, &r, sizeof(r));
	mb_model_tick(&m, 1000, true);
	p = mb_model_find(&m, 5);
	assert_int_equal(sum_of_causes(p, fault, "anon"), 1);
	assert_int_equal(sum_of_causes(p, fault, "other"), 10);
	r.info.min_flt = 12;
	r.ledger.fault.pending.settled = 0;
	r.ledger.fault.pending.flt = 11;
	r.ledger.fault.pending.seq = 2;
	mb_model_event(&m, &r, sizeof(r));
	mb_model_tick(&m, 2000, true);
	assert_int_equal(sum_of_causes(p, fault, "anon"), 2);
	assert_int_equal(sum_of_causes(p, fault, "other"), 10);
	for (size_t i = 0; i < fault->n_fields; i++)
		assert_int_equal(mb_field_known(&m, fault, &fault->fields[i]),
				 !fault->fields[i].is_rest);
	assert_int_equal(m.levels.partial_ns, 7);
	mb_model_free(&m);
}

static unsigned int shown;
static uint32_t last_seq;

static void count(void *arg, struct mb_model *m, const struct mb_event *e)
{
	(void)arg;
	(void)m;
	if (e->family == MB_FAM_fault) {
		shown++;
		assert_true(((const struct mb_fault_event *)e)->seq == last_seq + 1);
		last_seq++;
	}
}

/* Faults seen in the ledger of an idle thread come again in its next batch, and must be shown only once. */
static void no_fault_is_shown_twice(void **state)
{
	struct mb_task_record r = record(MB_PF_WRITE, ANON, false);
	struct mb_fault_batch_event b = { .h = { 1, 5, 5, MB_FAM_fault, MB_FAULT_EVENT_BATCH,
						 sizeof(b) } };
	struct mb_model m;

	(void)state;
	shown = last_seq = 0;
	mb_model_init(&m);
	m.stream = 1u << MB_FAM_fault;
	m.on_event = count;
	/* three faults are over, the kernel has counted the fourth; the thread is idle since the last tick */
	for (uint32_t i = 0; i < 3; i++)
		r.ledger.fault.batch[i].seq = i + 1;
	r.ledger.fault.n_batch = 3;
	r.ledger.fault.pending.seq = 4;
	r.ledger.fault.pending.flt = 3;
	r.ledger.fault.pending.start_ns = 1;
	r.info.min_flt = 4;
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(shown, 0); /* the thread may be running: wait for one tick */
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(shown, 4);
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(shown, 4);
	/* the thread goes on: the batch fills up and is sent */
	for (uint32_t i = 0; i < MB_FAULT_BATCH; i++)
		b.batch[i].seq = i + 1;
	mb_model_event(&m, &b, sizeof(b));
	assert_int_equal(shown, MB_FAULT_BATCH);
	/* the thread ends, with one more fault pending */
	r.info.h.type = MB_TASK_EVENT_EXIT;
	r.ledger.fault.n_batch = 0;
	r.ledger.fault.pending.seq = MB_FAULT_BATCH + 1;
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(shown, MB_FAULT_BATCH + 1);
	for (int i = 0; i < 4; i++)
		mb_model_tick(&m, 1000, true);
	assert_null(m.shown);
	mb_model_free(&m);
}

static void tally(void *arg, struct mb_model *m, const struct mb_event *e)
{
	(void)arg;
	(void)m;
	(void)e;
	shown++;
}

/* The exit record is in the ring that is read first, so the older batch arrives after it. */
static void a_batch_behind_the_exit_is_not_shown_again(void **state)
{
	struct mb_task_record r = record(MB_PF_WRITE, ANON, false);
	struct mb_fault_batch_event b = { .h = { 1, 5, 5, MB_FAM_fault, MB_FAULT_EVENT_BATCH, sizeof(b) } };
	struct mb_model m;

	(void)state;
	shown = 0;
	mb_model_init(&m);
	m.stream = 1u << MB_FAM_fault;
	m.on_event = tally;
	r.ledger.fault.pending.seq = 4;
	r.ledger.fault.pending.flt = 3;
	r.ledger.fault.pending.start_ns = 1;
	r.ledger.fault.n_batch = 3;
	for (uint32_t i = 0; i < MB_FAULT_BATCH; i++)
		b.batch[i].seq = r.ledger.fault.batch[i].seq = i + 1;
	r.info.min_flt = 4;
	mb_model_event(&m, &r, sizeof(r));
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(shown, 4);
	r.info.h.type = MB_TASK_EVENT_EXIT;
	r.ledger.fault.n_batch = 0;
	r.ledger.fault.pending.seq = MB_FAULT_BATCH + 1;
	mb_model_event(&m, &r, sizeof(r));
	assert_int_equal(shown, 5);
	mb_model_event(&m, &b, sizeof(b));
	assert_int_equal(shown, MB_FAULT_BATCH + 1);
	mb_model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_cause_is_reported),
		cmocka_unit_test(a_failed_fault_stays_failed),
		cmocka_unit_test(a_mapping_is_asked_for_where_needed),
		cmocka_unit_test(a_pending_fault_counts_once),
		cmocka_unit_test(a_settled_fault_is_not_counted_again),
		cmocka_unit_test(no_fault_is_shown_twice),
		cmocka_unit_test(a_batch_behind_the_exit_is_not_shown_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
