// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Records of builds from before some causes of faults were separate: what they have in common with those of this build
 * arrives at its new place, and what they do not have is unknown.
 */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "record/upgrade.h"
#include "unit.h"

#define FAULT offsetof(struct mb_task_record, ledger.fault)
#define BEHIND (sizeof(struct mb_task_record) - FAULT - sizeof(struct mb_fault_ledger))
/* the earlier ledger began with 8 classes, 8 kinds of access and 2 counts of SIGSEGV */
#define EARLIER_SWAP_IN (18 * sizeof(uint64_t))

static size_t earlier_fault_bytes(void)
{
	return mb_upgrade_task_record_bytes() - FAULT - BEHIND;
}

static unsigned int slot_of(const char *group, const char *name)
{
	const struct mb_field *f = mb_family_field(mb_family_by_id(MB_FAM_fault), group, name);

	assert_non_null(f);
	return mb_slot(f);
}

static bool is_unknown(const struct mb_setup *s, unsigned int slot)
{
	return s->unknown_slots[slot / 64] >> slot % 64 & 1;
}

/* The setup of such a build: the slots of the separate causes and of the stall for userfaultfd were not there. */
static struct mb_setup earlier_setup(void)
{
	struct mb_setup s = { .sample_1_in = 7 };

	s.slots = mb_slots() - (slot_of("faults", "other") - slot_of("faults", "mkwrite")) - 3;
	return s;
}

static void of_this_build(void **state)
{
	struct mb_setup s = { .slots = mb_slots() };
	struct mb_task_record r = { .info.h.family = MB_FAM_task };
	struct mb_upgrade u = { 0 };
	size_t len = sizeof(r);

	(void)state;
	assert_true(mb_upgrade_setup(&u, &s));
	assert_false(u.earlier);
	assert_ptr_equal(mb_upgrade_event(&u, &r, &len), &r);
	assert_int_equal(len, sizeof(r));
}

static void of_no_known_build(void **state)
{
	struct mb_upgrade u = { 0 };

	(void)state;
	for (unsigned int slots = 0; slots < 2 * mb_slots(); slots++) {
		struct mb_setup s = { .slots = slots };

		if (slots != mb_slots() && slots != earlier_setup().slots)
			assert_false(mb_upgrade_setup(&u, &s));
	}
	assert_false(u.earlier);
}

/* What was unknown then is unknown at its new slot, and so is all that is new. */
static void unknown_slots_move(void **state)
{
	unsigned int causes = slot_of("faults", "mkwrite"), other = slot_of("faults", "other");
	unsigned int stall = slot_of("stalls", "userfault"), last = mb_slots() - 1;
	struct mb_setup s = earlier_setup();
	struct mb_upgrade u = { 0 };

	(void)state;
	assert_true(causes < other && other < stall && stall + 3 <= last);
	s.unknown_slots[causes / 64] |= 1ull << causes % 64; /* "other" had this slot */
	s.unknown_slots[(s.slots - 1) / 64] |= 1ull << (s.slots - 1) % 64;
	assert_true(mb_upgrade_setup(&u, &s));
	assert_true(u.earlier);
	assert_int_equal(s.slots, mb_slots());
	assert_int_equal(s.sample_1_in, 7);
	for (unsigned int slot = 0; slot < mb_slots(); slot++) {
		bool is_new = (slot >= causes && slot < other) || (slot >= stall && slot < stall + 3);

		assert_int_equal(is_unknown(&s, slot), is_new || slot == other || slot == last);
	}
}

static void put(char *bytes, size_t at, uint64_t v)
{
	memcpy(bytes + at, &v, sizeof(v));
}

static void task_records_move(void **state)
{
	size_t len = mb_upgrade_task_record_bytes();
	char *bytes = calloc(1, len);
	struct mb_setup s = earlier_setup();
	struct mb_upgrade u = { 0 };
	struct mb_event h = { .family = MB_FAM_task, .type = MB_TASK_EVENT_EXIT, .size = (uint16_t)len, .tgid = 42 };
	const struct mb_task_record *r;
	const char *end;

	(void)state;
	assert_non_null(bytes);
	assert_true(mb_upgrade_setup(&u, &s));
	memcpy(bytes, &h, sizeof(h));
	for (size_t i = 0; i < 18; i++)
		put(bytes, FAULT + i * sizeof(uint64_t), 100 + i);
	put(bytes, FAULT + EARLIER_SWAP_IN, 7); /* count, then ns */
	put(bytes, FAULT + EARLIER_SWAP_IN + sizeof(uint64_t), 700);
	put(bytes, FAULT + EARLIER_SWAP_IN + sizeof(struct mb_stall), 9);
	memset(bytes + FAULT + earlier_fault_bytes(), 0x5a, BEHIND);
	r = mb_upgrade_event(&u, bytes, &len);
	assert_int_equal(len, sizeof(*r));
	assert_int_equal(r->info.h.size, sizeof(*r));
	assert_int_equal(r->info.h.tgid, 42);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(r->ledger.fault.by_class[i], 100 + i);
		assert_int_equal(r->ledger.fault.by_access[i], 108 + i);
	}
	for (size_t i = 8; i < MB_FAULT_CLASS_ROOM; i++)
		assert_int_equal(r->ledger.fault.by_class[i], 0);
	assert_int_equal(r->ledger.fault.segv_unmapped, 116);
	assert_int_equal(r->ledger.fault.segv_access, 117);
	assert_int_equal(r->ledger.fault.swap_in.count, 7);
	assert_int_equal(r->ledger.fault.swap_in.ns, 700);
	assert_int_equal(r->ledger.fault.file_io.count, 9);
	assert_int_equal(r->ledger.fault.userfault.count, 0);
	end = (const char *)r + FAULT + sizeof(struct mb_fault_ledger);
	for (size_t i = 0; i < BEHIND; i++)
		assert_int_equal(end[i], 0x5a);
	free(bytes);
}

/* Of another size, or of another family: not such a record. */
static void other_events_stay(void **state)
{
	struct mb_event h = { .family = MB_FAM_fault, .size = sizeof(h) };
	struct mb_setup s = earlier_setup();
	struct mb_upgrade u = { 0 };
	size_t len = sizeof(h);

	(void)state;
	assert_true(mb_upgrade_setup(&u, &s));
	assert_ptr_equal(mb_upgrade_event(&u, &h, &len), &h);
	h.family = MB_FAM_task;
	h.type = MB_TASK_EVENT_EXIT;
	assert_ptr_equal(mb_upgrade_event(&u, &h, &len), &h);
	len = 3;
	assert_ptr_equal(mb_upgrade_event(&u, &h, &len), &h);
	assert_int_equal(len, 3);
}

/* Stalls are named by their place in the ledger. */
static void stalls_move(void **state)
{
	const size_t fault = offsetof(struct mb_ledger, fault), behind = fault + sizeof(struct mb_fault_ledger);
	const size_t cases[][2] = {
		{ 0, 0 },
		{ fault + EARLIER_SWAP_IN, MB_LEDGER(fault.swap_in) },
		{ fault + EARLIER_SWAP_IN + sizeof(struct mb_stall), MB_LEDGER(fault.file_io) },
		{ fault + earlier_fault_bytes(), behind },
		{ fault + earlier_fault_bytes() + 24, behind + 24 },
	};
	struct mb_setup s = earlier_setup();
	struct mb_upgrade u = { 0 };

	(void)state;
	assert_true(mb_upgrade_setup(&u, &s));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mb_stalls_event e = { .h = { .family = MB_FAM_task, .type = MB_TASK_EVENT_STALLS } };
		const struct mb_stalls_event *got;
		size_t len = sizeof(e);

		e.key.slot = (uint32_t)cases[i][0];
		got = mb_upgrade_event(&u, &e, &len);
		assert_int_equal(len, sizeof(e));
		assert_int_equal(got->key.slot, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_this_build),      cmocka_unit_test(of_no_known_build),
		cmocka_unit_test(unknown_slots_move), cmocka_unit_test(task_records_move),
		cmocka_unit_test(other_events_stay),  cmocka_unit_test(stalls_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
