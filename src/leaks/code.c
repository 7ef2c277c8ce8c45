// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The files with code of a session, and which addresses of a process are in them. */
#include "leaks/code.h"
#include "leaks/made.h"

#include <stdlib.h>
#include <string.h>

#define PROT_EXEC_ARG 4u /* include/uapi/asm-generic/mman-common.h: values of the kernel ABI, not of libc */
#define MAP_ANONYMOUS_ARG 0x20u

struct mb_leak_code {
	struct mb_file_id id;
	uint32_t number;
	struct mb_module *module; /* NULL: the file no longer existed when it was to be opened */
	const char *path; /* NULL: not known */
	UT_hash_handle hh;
};

struct mb_leak_code_due {
	uint64_t t_ns;
	const struct mb_leak_code *code;
	uint32_t tgid;
};

void mb_leak_codes_free(struct mb_leak_codes *c)
{
	struct mb_leak_code *code, *tmp;

	if (!c)
		return;
	HASH_ITER(hh, c->by_id, code, tmp)
	{
		HASH_DEL(c->by_id, code);
		mb_module_put(code->module);
		free(code);
	}
	free(c->due);
	free(c);
}

static struct mb_leak_code *code_get(struct mb_leaks_session *l, const struct mb_file_id *id)
{
	struct mb_leak_codes *c = l->codes;
	struct mb_leak_code *code;

	HASH_FIND(hh, c->by_id, id, sizeof(*id), code);
	if (code)
		return code;
	code = c->n + 1 < MB_LEAK_CODES ? calloc(1, sizeof(*code)) : NULL;
	if (!code) {
		c->left_out++;
		return NULL;
	}
	code->id = *id;
	code->number = ++c->n;
	c->list[code->number] = code;
	HASH_ADD(hh, c->by_id, id, sizeof(code->id), code);
	return code;
}

static struct mb_file_id id_of(const struct mb_region_code_event *e)
{
	return (struct mb_file_id){ e->ino, e->bytes, e->mtime_s, e->mtime_ns };
}

/* The path of an event, whose components are in reverse order. */
static const char *path_of(struct mb_leaks_session *l, const struct mb_region_code_event *e)
{
	char path[MB_CODE_PATH + 2];
	size_t at = sizeof(path) - 1, used = e->path_bytes;

	if (!used || used > MB_CODE_PATH || e->path[used - 1])
		return NULL;
	path[at] = '\0';
	for (size_t from = 0; from < used;) {
		size_t len = strlen(e->path + from);

		at -= len;
		memcpy(path + at, e->path + from, len);
		path[--at] = '/';
		from += len + 1;
	}
	return mb_strings_keep(mb_modules_strings(l->modules), path + at);
}

static void add_due(struct mb_leak_codes *c, const struct mb_leak_code *code, const struct mb_event *e)
{
	if (c->n_due == c->room_due) {
		size_t room = c->room_due ? c->room_due * 2 : 64;
		struct mb_leak_code_due *bigger = realloc(c->due, room * sizeof(*bigger));

		if (!bigger) {
			c->left_out++;
			return;
		}
		c->due = bigger;
		c->room_due = room;
	}
	c->due[c->n_due++] = (struct mb_leak_code_due){ e->t_ns, code, e->tgid };
}

void mb_leak_code_done(struct mb_leaks_session *l, uint64_t until_ns)
{
	struct mb_leak_codes *c = l->codes;
	size_t n = 0;

	for (size_t i = 0; i < c->n_due; i++) {
		if (c->due[i].t_ns >= until_ns)
			c->due[n++] = c->due[i];
	}
	c->n_due = n;
}

void mb_leak_code_seen(struct mb_leaks_session *l, const struct mb_region_code_event *e)
{
	struct mb_file_id id = id_of(e);
	struct mb_leak_code *code = code_get(l, &id);

	if (code)
		add_due(l->codes, code, &e->h);
	if (!code || code->module)
		return;
	if (!code->path)
		code->path = path_of(l, e);
	if (code->path)
		code->module = mb_maps_open(l->modules, e->h.tgid, code->path, &id);
}

void mb_leak_code_event(struct mb_leaks_session *l, const struct mb_region_code_event *e)
{
	struct mb_file_id id = id_of(e);
	const struct mb_leak_code *code = code_get(l, &id);

	l->codes->next.t_ns = e->h.t_ns;
	l->codes->next.tid = e->h.tid;
	l->codes->next.code = code ? code->number : 0;
}

/* JIT code is overwritten by a new mapping, or unmapped. */
static void cut_made(struct mb_leak_space *sp, const struct mb_region_event *e)
{
	uint64_t start = e->args[0], end = e->args[0] + e->args[1];

	if (!sp->made_frames || (e->op != MB_VMA_MUNMAP && e->op != MB_VMA_MREMAP &&
				 (e->op != MB_VMA_MMAP || !mb_regions_range(e, &start, &end))))
		return;
	if (mb_address_space_has_code(sp->code, start, end))
		mb_leak_made_cut(sp, start, end);
}

bool mb_leak_code_region(struct mb_leak_space *sp, const struct mb_region_event *e)
{
	const struct mb_leak_codes *c = sp->session->codes;
	struct mb_mapping m = { .offset = e->args[5] };
	const struct mb_leak_code *code = NULL;

	if (!sp->code)
		return false;
	if (c->next.t_ns == e->h.t_ns && c->next.tid == e->h.tid)
		code = c->list[c->next.code];
	cut_made(sp, e);
	if (e->op == MB_VMA_MUNMAP || e->op == MB_VMA_MREMAP) {
		/* the new mapping is read from /proc when it is needed */
		mb_address_space_unmap(sp->code, e->args[0], e->args[0] + e->args[1]);
	} else if (e->op == MB_VMA_MMAP && mb_regions_range(e, &m.start, &m.end)) {
		mb_address_space_unmap(sp->code, m.start, m.end);
		if (!(e->args[2] & PROT_EXEC_ARG) || !code)
			return false;
		m.module = code->module;
		m.path = code->path;
		m.code = code->number;
		mb_address_space_map(sp->code, &m);
		return true;
	}
	return false;
}

/* The number of the file behind a mapping; 0: none. */
static uint32_t number_of(struct mb_leaks_session *l, const struct mb_mapping *m)
{
	struct mb_leak_code *code;
	struct mb_file_id id;

	if (m->code || !m->module)
		return m->code;
	id = mb_module_id(m->module);
	code = code_get(l, &id);
	if (!code)
		return 0;
	if (!code->module) {
		code->module = mb_module_share(m->module);
		code->path = m->path;
	}
	return code->number;
}

void mb_leak_code_frames(struct mb_leak_space *sp, const uint64_t *ips, uint32_t n,
			 uint64_t *frames)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct mb_mapping *m = sp->code ? mb_address_space_at(sp->code, ips[i] - (i > 0)) :
							NULL;
		uint32_t code = m && !mb_mapping_is_made(m) ? number_of(sp->session, m) : 0;

		frames[i] = ips[i] & ~(MB_LEAK_FRAME_FILE | MB_LEAK_FRAME_MADE);
		if (m && !code)
			frames[i] = mb_leak_made_frame(sp, m, frames[i], i > 0);
		else if (code)
			frames[i] = MB_LEAK_FRAME_FILE | (uint64_t)code << 48 |
				    ((ips[i] - m->start + m->offset) & MB_LEAK_FRAME_OFFSET);
	}
}

unsigned int mb_leak_code_resolve(struct mb_leaks_session *l, struct mb_leak_space *sp,
				  uint64_t frame, uint64_t ip, bool is_return,
				  struct mb_source_frame *sources, unsigned int max)
{
	uint32_t number = (uint32_t)(frame >> 48) & (MB_LEAK_CODES - 1);
	const struct mb_leak_code *code = frame & MB_LEAK_FRAME_FILE ? l->codes->list[number] :
								       NULL;
	struct mb_mapping m = { 0 };
	unsigned int n;

	sources[0] = (struct mb_source_frame){ .ip = ip };
	if (!code && frame & MB_LEAK_FRAME_MADE)
		mb_leak_made_resolve(l, frame, sources);
	if (!code)
		return 1;
	m.module = code->module;
	m.path = code->path;
	n = mb_mapping_resolve(&m, sp ? sp->tgid : 0, frame & MB_LEAK_FRAME_OFFSET, is_return,
			       sources, max);
	for (unsigned int i = 0; i < n; i++)
		sources[i].code = number;
	return n;
}

bool mb_leak_code_was_there(void *arg, const struct mb_mapping *m)
{
	const struct mb_leak_space *sp = arg;
	const struct mb_leak_codes *c = sp->session->codes;
	struct mb_file_id id;

	if (!m->module)
		return true;
	id = mb_module_id(m->module);
	for (size_t i = 0; i < c->n_due; i++) {
		const struct mb_leak_code_due *d = &c->due[i];

		if (d->tgid == sp->tgid && d->t_ns > sp->session->now_ns && !memcmp(&id, &d->code->id, sizeof(id)))
			return false; /* mapped after the event being processed */
	}
	return true;
}
