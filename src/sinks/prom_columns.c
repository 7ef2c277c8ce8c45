// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Maps the fields of families to metrics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "sinks/prom.h"

/*
 * Fields that form one metric and differ in a label. Every other field is a metric of its own, named after the field.
 * A rule for a field that no family has is harmless.
 */
struct rule {
	const char *group, *name;
	const char *metric, *label, *value; /* value NULL: the name of the field */
	const char *help;
};

#define CAUSE(name) { "faults", name, "faults_by_cause", "cause", NULL, CAUSE_HELP }
#define CAUSE_HELP "Page faults by cause; the causes add up to all faults."
#define FAULTS_HELP "Page faults, the kernel's own counts. Major ones waited for I/O."
#define MODE_HELP "Page faults by where they were taken: in user mode, or inside the kernel."
#define ACCESS_HELP "Page faults by what was tried: read, write, or fetching an instruction."
#define SEGV_HELP "Accesses that ended in SIGSEGV: nothing was mapped there, or the mapping forbids it."

static const struct rule rules[] = {
	{ "faults", "minor", "faults", "type", NULL, FAULTS_HELP },
	{ "faults", "major", "faults", "type", NULL, FAULTS_HELP },
	CAUSE("anon"),
	CAUSE("file"),
	CAUSE("cow"),
	CAUSE("shmem"),
	CAUSE("swap"),
	CAUSE("file_io"),
	CAUSE("mkwrite"),
	CAUSE("hugetlb"),
	CAUSE("numa"),
	CAUSE("userfault"),
	CAUSE("other"),
	{ "faults", "user", "faults_by_mode", "mode", NULL, MODE_HELP },
	{ "faults", "kernel", "faults_by_mode", "mode", NULL, MODE_HELP },
	{ "faults", "read", "faults_by_access", "access", NULL, ACCESS_HELP },
	{ "faults", "write", "faults_by_access", "access", NULL, ACCESS_HELP },
	{ "faults", "exec", "faults_by_access", "access", NULL, ACCESS_HELP },
	{ "faults", "segv_unmapped", "faults_segv", "reason", "unmapped", SEGV_HELP },
	{ "faults", "segv_access", "faults_segv", "reason", "access", SEGV_HELP },
};

/* Remove the unit words of the field name and append the base unit. */
static void plain_name(char *out, size_t size, const struct mb_field *f)
{
	static const char *const words[] = { "pages", "bytes", "ns" };
	const char *unit = f->unit == MB_UNIT_PAGES || f->unit == MB_UNIT_BYTES ? "_bytes" :
			   f->unit == MB_UNIT_NS				? "_seconds" :
										  "";
	size_t len = (size_t)snprintf(out, size, "memblame_%s", f->group);
	char name[48], *save = NULL;

	snprintf(name, sizeof(name), "%s", f->name);
	for (char *w = strtok_r(name, "_", &save); w; w = strtok_r(NULL, "_", &save)) {
		bool is_unit = false;

		for (size_t i = 0; unit[0] && i < MB_ARRAY_SIZE(words); i++)
			is_unit |= strcmp(w, words[i]) == 0;
		if (!is_unit && len < size)
			len += (size_t)snprintf(out + len, size - len, "_%s", w);
	}
	if (len < size)
		snprintf(out + len, size - len, "%s", unit);
}

static void set_unit(struct mb_prom_column *c, enum mb_unit unit)
{
	c->scale = unit == MB_UNIT_PAGES ? MB_PAGE_SIZE : 1;
	c->decimals = unit == MB_UNIT_NS ? 9 : 0;
}

static void name_column(struct mb_prom_column *c)
{
	const struct mb_field *f = c->field;

	set_unit(c, f->unit);
	for (size_t i = 0; i < MB_ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];

		if (strcmp(r->group, f->group) != 0 || strcmp(r->name, f->name) != 0)
			continue;
		snprintf(c->metric, sizeof(c->metric), "memblame_%s", r->metric);
		snprintf(c->labels, sizeof(c->labels), "%s=\"%s\"", r->label, r->value ? r->value : f->name);
		snprintf(c->help, sizeof(c->help), "%s", r->help);
		return;
	}
	plain_name(c->metric, sizeof(c->metric), f);
	/* begin with the field's name in JSON and docs/families, because the text was written to follow it */
	snprintf(c->help, sizeof(c->help), "%s.%s: %s.", f->group, f->name, f->help);
}

/* The column of a stall's time (slot + 1), or of its count (slot). */
static void stall_column(struct mb_prom_column *c, bool time)
{
	snprintf(c->metric, sizeof(c->metric), time ? "memblame_stall_seconds" : "memblame_stalls");
	snprintf(c->labels, sizeof(c->labels), "kind=\"%s\"", c->field->name);
	snprintf(c->help, sizeof(c->help), "%s",
		 time ? "Time that threads lost in stalls, by kind. Kinds exclude one another and add up." :
			"Stalls that have ended, by kind.");
	c->slot += time;
	set_unit(c, time ? MB_UNIT_NS : MB_UNIT_COUNT);
}

static bool same_metric(const struct mb_prom_column *a, const struct mb_prom_column *b)
{
	return strcmp(a->metric, b->metric) == 0;
}

/*
 * Insert c after the columns of its metric, or at the end. Skip it if it is already there: dirtied pages and dirtied
 * bytes are the same number after conversion.
 */
static size_t insert(struct mb_prom_column *all, size_t n, const struct mb_prom_column *c)
{
	size_t at = n;

	for (size_t i = 0; i < n; i++) {
		if (!same_metric(&all[i], c))
			continue;
		if (strcmp(all[i].labels, c->labels) == 0)
			return n;
		at = i + 1;
	}
	memmove(all + at + 1, all + at, (n - at) * sizeof(*all));
	all[at] = *c;
	return n + 1;
}

static size_t add_field(struct mb_prom_column *all, size_t n, const struct mb_family *fam, const struct mb_field *f)
{
	struct mb_prom_column c = { .family = fam, .field = f, .slot = mb_slot(f) }, time = c;

	switch (f->kind) {
	case MB_FIELD_STALL:
		stall_column(&time, true);
		stall_column(&c, false);
		return insert(all, insert(all, n, &time), &c);
	case MB_FIELD_SIGNED:
		c.type = MB_PROM_GAUGE;
		name_column(&c);
		return insert(all, n, &c);
	case MB_FIELD_COUNTER:
	case MB_FIELD_DERIVED:
		name_column(&c);
		return insert(all, n, &c);
	case MB_FIELD_HIST:
	case MB_FIELD_ROWS:
		break;
	}
	return n;
}

struct mb_prom_column *mb_prom_columns(size_t *n)
{
	size_t families;
	const struct mb_family *const *fam = mb_families(&families);
	struct mb_prom_column *all = calloc(mb_slots(), sizeof(*all)); /* each column has its own slot */

	*n = 0;
	for (size_t i = 0; all && i < families; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			if (fam[i]->fields[j].group)
				*n = add_field(all, *n, fam[i], &fam[i]->fields[j]);
		}
	}
	return all;
}
