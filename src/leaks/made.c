// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Frames in code that was made at run time, by the names of their time. */
#include "leaks/made.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Of a perf map, each tick. */
#define MAP_BYTES (8u << 20)

/* Known by one or the other; no padding, as it is compared as bytes. */
struct made_key {
	const struct mb_leak_space *space; /* NULL: by name */
	uint64_t pc;
	const char *name;
};

struct made {
	struct made_key key;
	uint64_t t_ns; /* without a name: when it was seen first */
	uint32_t number;
	const char *name, *module;
	uint64_t offset; /* of the address less this in the module, where that has a path */
	bool has_offset;
	UT_hash_handle hh;
};

struct mb_leak_made {
	struct made *list; /* by number */
	uint32_t n;
	struct made *known; /* by key: with a name, or waiting for one */
	uint64_t left_out;
};

struct mb_leak_made *mb_leak_made_new(void)
{
	struct mb_leak_made *made = calloc(1, sizeof(*made));

	if (made)
		made->list = calloc(MB_LEAK_MADE, sizeof(*made->list)); /* touched as it fills */
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

/* The name as of that time; NULL: none is known. */
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

void mb_leak_made_resolve(const struct mb_leaks_session *l, uint64_t frame, struct mb_source_frame *place)
{
	uint32_t number = (uint32_t)frame;
	const struct made *x = number < l->made->n ? &l->made->list[number] : NULL;

	if (!x)
		return;
	place->symbol = x->name;
	place->module = x->name ? "[jit]" : x->module;
	if (x->has_offset && !x->name)
		place->module_offset = place->ip - x->offset;
}

void mb_leak_made_begin(struct mb_leak_space *sp)
{
	if (sp->code)
		mb_address_space_look(sp->code, MAP_BYTES);
}

/* Names that have come, as of t_ns, for what was seen before. */
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
 * What the map has written since the last tick is not read but for events of this one. What was not allowed to be read
 * before is, look by look: the first name that comes is that of the code that was there, what took its place comes behind.
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
