// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The numbers of a process as columns, built from the family descriptions and named as in JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "memblame/family.h"
#include "model/model.h"
#include "record/db.h"

static void add(struct mb_column *c, size_t *n, const struct mb_family *fam, const struct mb_field *f,
		const char *suffix, unsigned int offset)
{
	struct mb_column *to = &c[(*n)++];

	snprintf(to->name, sizeof(to->name), "%s_%s%s", f->group, f->name, suffix);
	to->slot = mb_slot(f) + offset;
	to->family = fam;
	to->field = f;
	to->is_max = offset == 2;
}

const struct mb_column *mb_columns(size_t *n)
{
	static struct mb_column *columns;
	static size_t count;
	size_t families;
	const struct mb_family *const *fam = mb_families(&families);

	*n = count;
	if (columns)
		return columns;
	columns = calloc(mb_slots() + 1, sizeof(*columns));
	for (size_t i = 0; columns && i < families; i++) {
		for (size_t j = 0; j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];

			if (!f->group) /* internal field, never shown */
				continue;
			switch (f->kind) {
			case MB_FIELD_COUNTER:
			case MB_FIELD_SIGNED:
			case MB_FIELD_DERIVED:
				add(columns, &count, fam[i], f, "", 0);
				break;
			case MB_FIELD_STALL:
				add(columns, &count, fam[i], f, "_count", 0);
				add(columns, &count, fam[i], f, "_ns", 1);
				add(columns, &count, fam[i], f, "_max_ns", 2);
				break;
			case MB_FIELD_HIST:
			case MB_FIELD_ROWS:
				break; /* in table detail */
			}
		}
	}
	*n = count;
	return columns;
}
