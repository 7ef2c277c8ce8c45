// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The two points in time that are compared (--diff): what each group had then, and whose view it
 * was. The latter must be saved at that time, because memory that is freed later no longer has
 * addresses from which to derive it.
 */
#include "leaks/diff.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "leaks/show.h"

/* Array of all rows by number, both those that stand for themselves and views. */
static const struct mb_leak_row **by_number(const struct mb_leaks_view *v)
{
	const struct mb_leak_row **rows = calloc(v->n_rows + v->n_evidence + 1, sizeof(*rows));

	for (size_t i = 0; rows && i < v->n_rows; i++)
		rows[v->rows[i].id] = &v->rows[i];
	for (size_t i = 0; rows && i < v->n_evidence; i++)
		rows[v->evidence[i].id] = &v->evidence[i];
	return rows;
}

/* For each group that is a view now, save the key of the group that it is a view of. */
static int keep_owners(struct mb_leaks_session *l)
{
	const struct mb_leak_row **rows;
	struct mb_leaks_view v;
	int err = mb_leaks_view_make(l, &v);

	if (err)
		return err;
	rows = by_number(&v);
	for (struct mb_leak_group *g = l->leaks->groups; rows && g; g = g->hh.next) {
		const struct mb_leak_row *r = g->row < v.n_rows + v.n_evidence ? rows[g->row] : NULL;

		if (!r || g->bytes <= 0)
			continue; /* keep what was saved earlier */
		g->is_view = r->owner != MB_LEAK_NO_OWNER;
		if (g->is_view)
			g->view_of = rows[r->owner]->sum.key;
	}
	err = rows ? 0 : -ENOMEM;
	free(rows);
	mb_leaks_view_free(&v);
	return err;
}

static void mark(struct mb_leaks_session *l, bool second)
{
	mb_leaks_mark(l->leaks, second);
	if (l->leaks->compares && keep_owners(l))
		mb_warn("no memory to see which groups are about the same memory: they are shown one by one");
}

void mb_leak_diff_tick(struct mb_leaks_session *l, uint64_t since_start_ns)
{
	if (!l->marked && since_start_ns >= l->cfg->diff_from_ns) {
		l->marked = true;
		l->marked_ns = since_start_ns;
		mark(l, false);
	}
	if (!l->marked_to && l->cfg->diff_to_ns && since_start_ns >= l->cfg->diff_to_ns) {
		l->marked_to = true;
		l->marked_to_ns = since_start_ns;
		mark(l, true);
	}
}

int64_t mb_leak_diff_second(const struct mb_leaks_session *l, const struct mb_leak_group *g)
{
	return l->marked_to ? g->second_bytes : g->bytes;
}

bool mb_leak_diff_shows(const struct mb_leaks_session *l, const struct mb_leak_group *g)
{
	return l->leaks->compares ? g->first_bytes > 0 || mb_leak_diff_second(l, g) > 0 : g->bytes > 0;
}

/* Is row other in the chain of owners that starts at row (including row itself)? */
static bool stands_for(const struct mb_leaks_view *v, uint32_t row, uint32_t other)
{
	for (size_t n = 0; n < v->n_rows && row != MB_LEAK_NO_OWNER; n++) {
		if (row == other)
			return true;
		row = v->rows[row].owner;
	}
	return false;
}

void mb_leak_diff_owners(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	for (struct mb_leak_group *g = l->leaks->compares ? l->leaks->groups : NULL; g; g = g->hh.next) {
		struct mb_leak_group *owner;

		if (!g->is_view || g->row >= v->n_rows || v->rows[g->row].owner != MB_LEAK_NO_OWNER)
			continue;
		HASH_FIND(hh, l->leaks->groups, &g->view_of, sizeof(g->view_of), owner);
		if (owner && owner->row < v->n_rows && !stands_for(v, owner->row, g->row))
			v->rows[g->row].owner = owner->row;
	}
}
