// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* What a level leaves out: by the tables of families, over time, and for a process that lived only at such a level. */
#include <string.h>

#include "model/model.h"
#include "unit.h"

/* The first level at which a program that an answer needs is off; MB_LEVEL_FULL: no level turns one off. */
static enum mb_level programs_off_from(const struct mb_family *fam, const struct mb_hook *h)
{
	enum mb_level from = MB_LEVEL_FULL;

	for (size_t i = 0; h->programs[i]; i++) {
		for (size_t j = 0; j < fam->n_hot; j++) {
			if (!strcmp(fam->hot[j].program, h->programs[i]) &&
			    (!from || fam->hot[j].from < from))
				from = fam->hot[j].from;
		}
	}
	return from;
}

/* A question is off where its program is detached. Except pauses: their program only reports the end sooner. */
static void questions_agree_with_hooks(void **state)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_probe_points; j++) {
			const struct mb_probe_point *q = &fam[i]->probe_points[j];
			enum mb_level from = MB_LEVEL_FULL;

			for (size_t k = 0; k < q->n_hooks && !from; k++)
				from = programs_off_from(fam[i], &q->hooks[k]);
			if (q->on_request || !strcmp(q->name, "pause"))
				continue;
			/* from level "counts" on nothing is timed, though the programs stay attached */
			if (!strcmp(q->name, "latency"))
				assert_int_equal(q->off_from, MB_LEVEL_COUNTS);
			else
				assert_int_equal(q->off_from, from);
		}
	}
}

static void step(struct mb_model *m, uint64_t t_ns, enum mb_level to)
{
	struct mb_level_event e = { .h = { .t_ns = t_ns,
					   .family = MB_FAM_task,
					   .type = MB_TASK_EVENT_LEVEL,
					   .size = sizeof(e) },
				    .from = (uint16_t)m->levels.now,
				    .to = (uint16_t)to,
				    .tick_divisor = 1 };

	mb_model_level(m, &e);
}

static const struct mb_field *field(const char *group, const char *name,
				    const struct mb_family **of)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			*of = fam[i];
			if (f->group && !strcmp(f->group, group) && !strcmp(f->name, name))
				return f;
		}
	}
	fail_msg("no field %s.%s", group, name);
	return NULL;
}

static bool known(struct mb_model *m, struct mb_process *p, const char *group, const char *name)
{
	const struct mb_family *fam = NULL;
	const struct mb_field *f = field(group, name, &fam);

	return mb_process_field_known(m, p, fam, f);
}

static void who_lived_in_a_gap(void **state)
{
	struct mb_process *before, *in, *after;
	struct mb_model m;

	(void)state;
	mb_model_init(&m);
	step(&m, 100, MB_LEVEL_FULL);
	before = mb_model_process(&m, 1, 150);
	step(&m, 200, MB_LEVEL_COUNTS);
	step(&m, 300, MB_LEVEL_ITERATOR);
	in = mb_model_process(&m, 2, 350);
	assert_true(known(&m, before, "writeback", "dirtied_pages"));
	assert_false(known(&m, in, "writeback", "dirtied_pages"));
	assert_false(known(&m, in, "stalls", "file_io"));
	assert_true(known(&m, in, "stalls", "fsync"));
	assert_true(known(&m, in, "faults", "anon"));
	in->exited = true;
	step(&m, 400, MB_LEVEL_FULL);
	after = mb_model_process(&m, 3, 450);
	assert_false(known(&m, in, "writeback", "dirtied_pages"));
	assert_true(known(&m, after, "writeback", "dirtied_pages"));
	assert_int_equal(mb_levels_off_ns(&m.levels, MB_LEVEL_ITERATOR, 500), 100);
	assert_int_equal(mb_levels_off_ns(&m.levels, MB_LEVEL_COUNTS, 500), 200);
	mb_model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_agree_with_hooks),
		cmocka_unit_test(who_lived_in_a_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
