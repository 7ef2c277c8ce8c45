// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Stack frames in code generated at run time, by the names valid when the stack was recorded. */
#include "leaks/made.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Bytes of a perf map read per tick. */
#define MAP_BYTES (8u << 20)

/* Either space and pc are set, or name. No padding, as keys are compared as bytes. */
struct made_key {
	const struct mb_leak_space *space; /* NULL: the key is name */
	uint64_t pc;
	const char *name;
};

struct made {
	struct made_key key;
	uint64_t t_ns; /* without a name: when it was first seen */
	uint32_t number;
	const char *name, *module;
	uint64_t offset; /* has_offset: module offset = address - offset */
	bool has_offset;
	UT_hash_handle hh;
};

struct mb_leak_made {
	struct made *list; /* indexed by number */
	uint32_t n;
	struct made *known; /* by key: entries with a name, and entries that wait for one */
	uint64_t left_out;
};

struct mb_leak_made *mb_leak_made_new(void)
{
	struct mb_leak_made *made = calloc(1, sizeof(*made));

	/* pages become resident only as it fills */
	if (made)
		made->list = calloc(MB_LEAK_MADE, sizeof(*made->list));
	if (made && !made->list) {
		free(made);
		return NULL;
	}
	return made;
}

void mb_leak_made_free(struct mb_leak_made *made)
{
	if (!made)
		return;
	HASH_CLEAR(hh, made->known);
	free(made->list);
	free(made);
}

static struct made *get(struct mb_leak_made *made, const struct made_key *key)
{
	struct made *x;

	HASH_FIND(hh, made->known, key, sizeof(*key), x);
	if (x)
		return x;
	if (made->n == MB_LEAK_MADE) {
		made->left_out++;
		return NULL;
	}
	x = &made->list[made->n];
	x->key = *key;
	x->number = made->n++;
	HASH_ADD(hh, made->known, key, sizeof(x->key), x);
	return x;
}

/* The name as of t_ns. Returns NULL if not known. */
static const char *name_of(const struct mb_leak_space *sp, uint64_t pc, uint64_t t_ns)
{
	const char *other, *name = mb_address_space_made_name(sp->code, pc, t_ns, &other);
	struct mb_strings *strings = mb_modules_strings(sp->session->modules);
	char both[1024];

	if (!name || !other)
		return mb_strings_keep(strings, name);
	snprintf(both, sizeof(both), "%.500s or %.500s", name,
		 *other ? other : "what was there before");
	return mb_strings_keep(strings, both);
}

uint64_t mb_leak_made_frame(struct mb_leak_space *sp, const struct mb_mapping *m, uint64_t ip,
			    bool is_return)
{
	const char *name = name_of(sp, ip - is_return, sp->session->now_ns);
	struct made_key key = { .space = name ? NULL : sp,
				.pc = name ? 0 : ip - is_return,
				.name = name };
	struct made *x = get(sp->session->made, &key);

	if (mb_mapping_is_made(m)) {
		sp->made_frames++;
		sp->made_nameless += !name;
	}
	if (!x)
		return ip;
	if (!x->t_ns)
		x->t_ns = sp->session->now_ns;
	x->name = name;
	x->module = "[jit]";
	if (!name && !mb_mapping_is_made(m)) {
		x->module = m->path;
		x->has_offset = m->path != NULL;
		x->offset = m->start - m->offset;
	}
	return MB_LEAK_FRAME_MADE | x->number;
}

void mb_leak_made_resolve(const struct mb_leaks_session *l, uint64_t frame, struct mb_source_frame *source)
{
	uint32_t number = (uint32_t)frame;
	const struct made *x = number < l->made->n ? &l->made->list[number] : NULL;

	if (!x)
		return;
	source->symbol = x->name;
	source->module = x->name ? "[jit]" : x->module;
	if (x->has_offset && !x->name)
		source->module_offset = source->ip - x->offset;
}

void mb_leak_made_begin(struct mb_leak_space *sp)
{
	if (sp->code)
		mb_address_space_look(sp->code, MAP_BYTES);
}

/* Use the names known as of t_ns for addresses that were seen before. */
static void name_those(const struct mb_leak_space *sp, uint64_t t_ns)
{
	struct mb_leak_made *made = sp->session->made;
	struct made *x, *tmp;

	HASH_ITER(hh, made->known, x, tmp)
	{
		if (x->key.space != sp || x->t_ns > t_ns)
			continue;
		x->name = name_of(sp, x->key.pc, t_ns);
		if (x->name)
			HASH_DEL(made->known, x);
	}
}

/*
 * Do not read what was written to the map since the last tick; only the events of this tick need
 * it. Read the older part that was not allowed to be read before, look by look: the first name that
 * appears for an address is that of the code that was there; the names of later code follow it in
 * the file.
 */
void mb_leak_made_look(struct mb_leaks_session *l)
{
	for (struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next) {
		uint64_t look_ns = mb_now_ns();

		if (!sp->made_frames || !sp->code)
			continue;
		while (mb_address_space_read_names(sp->code, look_ns - 1))
			name_those(sp, look_ns);
		mb_address_space_look(sp->code, MAP_BYTES);
	}
}

void mb_leak_made_tick(struct mb_leaks_session *l, uint64_t until_ns)
{
	for (struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next) {
		if (sp->made_nameless && sp->code && mb_address_space_has_names(sp->code))
			name_those(sp, until_ns);
	}
}

void mb_leak_made_cut(struct mb_leak_space *sp, uint64_t start, uint64_t end)
{
	struct mb_leak_made *made = sp->session->made;
	struct made *x, *tmp;

	if (!sp->made_frames)
		return;
	HASH_ITER(hh, made->known, x, tmp)
	{
		if (x->key.space == sp && x->key.pc - start < end - start)
			HASH_DEL(made->known, x);
	}
}

uint64_t mb_leak_made_left_out(const struct mb_leak_made *made)
{
	return made->left_out;
}
