// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The families of families.def, and lookups in them. */
#include "memblame/family.h"

#include <string.h>

#define MB_FAMILY(id, name, on, title) extern const struct mb_family mb_family_##name;
#include "memblame/families.def"
#undef MB_FAMILY

static const struct mb_family *const families[] = {
#define MB_FAMILY(id, name, on, title) &mb_family_##name,
#include "memblame/families.def"
#undef MB_FAMILY
};

#define MB_FAMILY(id, name, on, title) \
	_Static_assert((id) < MB_FAM_MAX, "raise MB_FAM_MAX for family " #name);
#include "memblame/families.def"
#undef MB_FAMILY

const struct mb_family *const *mb_families(size_t *n)
{
	*n = MB_ARRAY_SIZE(families);
	return families;
}

const struct mb_family *mb_family_by_id(unsigned int id)
{
	for (size_t i = 0; i < MB_ARRAY_SIZE(families); i++) {
		if (families[i]->id == id)
			return families[i];
	}
	return NULL;
}

const struct mb_family *mb_family_by_name(const char *name)
{
	for (size_t i = 0; i < MB_ARRAY_SIZE(families); i++) {
		if (strcmp(families[i]->name, name) == 0)
			return families[i];
	}
	return NULL;
}

const struct mb_field *mb_family_field(const struct mb_family *fam, const char *group, const char *name)
{
	for (size_t i = 0; i < fam->n_fields; i++) {
		const struct mb_field *f = &fam->fields[i];

		bool of_group = group ? f->group && !strcmp(f->group, group) : !f->group;

		if (of_group && f->name && !strcmp(f->name, name))
			return f;
	}
	return NULL;
}

const char *mb_family_title(unsigned int family)
{
	switch (family) {
#define MB_FAMILY(id, name, on, title) \
	case id:                       \
		return title;
#include "memblame/families.def"
#undef MB_FAMILY
	}
	return "";
}

bool mb_family_default_on(unsigned int family)
{
	switch (family) {
#define MB_FAMILY(id, name, on, title) \
	case id:                       \
		return on;
#include "memblame/families.def"
#undef MB_FAMILY
	}
	return false;
}

const struct mb_probe_point *mb_field_probe_point(const struct mb_family *fam, const struct mb_field *f)
{
	const char *name = f->probe_point ? strchr(f->probe_point, '.') : NULL;

	for (size_t i = 0; name && i < fam->n_probe_points; i++) {
		if (strcmp(fam->probe_points[i].name, name + 1) == 0)
			return &fam->probe_points[i];
	}
	return NULL;
}

enum mb_level mb_field_off_from(const struct mb_family *fam, const struct mb_field *f)
{
	const struct mb_probe_point *q = mb_field_probe_point(fam, f);

	return q ? q->off_from : MB_LEVEL_FULL;
}

const struct mb_event_kind *mb_event_kind_of(const struct mb_event *e)
{
	const struct mb_family *f = mb_family_by_id(e->family);

	for (size_t i = 0; f && i < f->n_events; i++) {
		const struct mb_event_kind *k = &f->events[i];

		if (k->type == e->type && (k->size == e->size || ((k->flags & MB_EVENT_STACK) && e->size > k->size)))
			return k;
	}
	return NULL;
}
