// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A process's address space: unwinds stacks through it and resolves addresses. */
#include "symbols/address_space.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbols/expr.h"
#include "symbols/frame.h"
#include "symbols/jit.h"
#include "symbols/maps.h"
#include "symbols/open.h"

#define REFRESH_NS 100000000ull

/* Maximum number of bytes read from a perf map. */
#define JIT_BYTES (64u << 20)

struct mb_address_space {
	struct mb_modules *modules;
	uint32_t pid;
	uint64_t started; /* start time; distinguishes the process from a later one with the same pid */
	uint64_t read_ns;
	bool wanted; /* a refresh was requested too early */
	bool gone;
	struct mb_maps maps;
	/* set if the caller tracks the mappings, else NULL */
	bool (*admit)(void *arg, const struct mb_mapping *m);
	void *arg;
	struct mb_jit jit;
};

static bool read_maps(struct mb_address_space *s)
{
	return s->admit ? mb_maps_add(&s->maps, s->modules, s->pid, s->admit, s->arg) :
			  mb_maps_read(&s->maps, s->modules, s->pid);
}

struct mb_address_space *mb_address_space_new(struct mb_modules *m, uint32_t pid)
{
	return mb_address_space_follow(m, pid, NULL, NULL);
}

struct mb_address_space *mb_address_space_follow(struct mb_modules *m, uint32_t pid,
						 bool (*admit)(void *arg, const struct mb_mapping *m), void *arg)
{
	struct mb_address_space *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->modules = m;
	s->pid = pid;
	s->admit = admit;
	s->arg = arg;
	s->started = mb_start_time(pid);
	s->read_ns = mb_now_ns();
	mb_jit_init(&s->jit);
	mb_jit_allow(&s->jit, JIT_BYTES);
	if (!s->started || !read_maps(s)) {
		mb_address_space_free(s);
		return NULL;
	}
	if (s->maps.anonymous)
		mb_jit_open(&s->jit, pid);
	return s;
}

void mb_address_space_free(struct mb_address_space *s)
{
	if (!s)
		return;
	mb_maps_free(&s->maps);
	mb_jit_free(&s->jit);
	free(s);
}

bool mb_address_space_refresh(struct mb_address_space *s)
{
	uint64_t now = mb_now_ns();

	if (s->gone)
		return false;
	if (now - s->read_ns < REFRESH_NS) {
		s->wanted = true;
		return false;
	}
	s->read_ns = now;
	s->wanted = false;
	if (mb_start_time(s->pid) != s->started) {
		s->gone = true;
		return false;
	}
	if (!read_maps(s))
		return false;
	if (s->maps.anonymous)
		mb_jit_open(&s->jit, s->pid);
	return true;
}

/*
 * The mapping of an address. *asked: the maps have already been read again during this unwind or
 * resolve, so do not do it a second time.
 */
static const struct mb_mapping *find(struct mb_address_space *s, uint64_t address, bool *asked)
{
	const struct mb_mapping *m = mb_maps_find(&s->maps, address);

	if (m || *asked)
		return m;
	*asked = true;
	return mb_address_space_refresh(s) ? mb_maps_find(&s->maps, address) : NULL;
}

/* ---- unwinding ---- */

static const struct mb_cfi_row *row_of(const struct mb_mapping *m, uint64_t pc)
{
	const struct mb_cfi_row *row;
	uint64_t address;

	if (!m || !m->module || !mb_module_address(m->module, pc - m->start + m->offset, &address))
		return NULL;
	row = mb_module_row(m->module, address);
	return row->known ? row : NULL;
}

/* Unwind one step with the frame pointer, if the result points to code. */
static enum mb_step step_by_pointer(struct mb_address_space *s, struct mb_frame *f, const struct mb_stack *stack,
				    bool *asked)
{
	struct mb_frame caller = *f;
	enum mb_step step = mb_frame_by_pointer(&caller, stack);

	if (step != MB_STEP_DONE)
		return step;
	if (!find(s, caller.v[MB_CFI_RA] - 1, asked))
		return MB_STEP_LOST;
	*f = caller;
	return MB_STEP_DONE;
}

/*
 * Unwind out of a file that has no call-frame information (musl on Debian, stripped code) and whose
 * functions keep no frame pointers: search the stack for the first word that is a return address
 * after a call in another file. This can be a stale word from an earlier call, but without the
 * search the chain would end here.
 */
static enum mb_step step_by_search(struct mb_address_space *s, const struct mb_module *here, struct mb_frame *f,
				   const struct mb_stack *stack)
{
	uint64_t at = f->v[MB_CFI_SP], word;

	if (!here)
		return MB_STEP_LOST;
	for (; mb_stack_read(stack, at, 8, &word); at += 8) {
		const struct mb_mapping *m = mb_maps_find(&s->maps, word - 1);

		if (!m || m->module == here || !row_of(m, word - 1) ||
		    !mb_module_calls_before(m->module, word - m->start + m->offset))
			continue;
		f->v[MB_CFI_SP] = at + 8;
		f->v[MB_CFI_RA] = word;
		return MB_STEP_DONE;
	}
	return MB_STEP_LOST;
}

unsigned int mb_address_space_unwind(struct mb_address_space *s, const struct mb_user_regs *regs,
				     const struct mb_stack *stack, uint64_t *ips, unsigned int max, bool *whole)
{
	struct mb_frame f = {
		.v = { [MB_CFI_BX] = regs->bx, [MB_CFI_BP] = regs->bp, [MB_CFI_SP] = regs->sp,
		       [MB_CFI_R12] = regs->r12, [MB_CFI_R13] = regs->r13, [MB_CFI_R14] = regs->r14,
		       [MB_CFI_R15] = regs->r15, [MB_CFI_RA] = regs->ip },
		.valid = (1u << MB_CFI_REGS) - 1,
	};
	bool asked = false, exact = true;
	unsigned int n = 0;

	*whole = false;
	if (s->wanted)
		mb_address_space_refresh(s);
	while (n < max) {
		uint64_t pc = f.v[MB_CFI_RA] - !exact;
		const struct mb_mapping *here = find(s, pc, &asked);
		const struct mb_module *module = here ? here->module : NULL;
		const struct mb_cfi_row *row = row_of(here, pc);
		enum mb_step step;

		ips[n++] = f.v[MB_CFI_RA];
		step = row ? mb_frame_by_cfi(&f, stack, row) : step_by_pointer(s, &f, stack, &asked);
		/* here may be stale, as the maps may have been read again */
		if (!row && step == MB_STEP_LOST)
			step = step_by_search(s, module, &f, stack);
		if (step != MB_STEP_DONE) {
			*whole = step == MB_STEP_OUTERMOST;
			break;
		}
		exact = row && row->signal;
	}
	return n;
}

/* ---- names ---- */

bool mb_mapping_is_made(const struct mb_mapping *m)
{
	return !m->path || !strncmp(m->path, "[anon", 5) || !strcmp(m->path, "[heap]") ||
	       !strncmp(m->path, "[stack", 6) || !strncmp(m->path, "/memfd:", 7) ||
	       !strncmp(m->path, "//anon", 6) || !strncmp(m->path, "/dev/zero", 9);
}

static void resolve_made(struct mb_address_space *s, const struct mb_mapping *m, uint64_t pc, struct mb_source_frame *p)
{
	const char *name, *other;

	mb_jit_open(&s->jit, s->pid);
	name = mb_jit_find(&s->jit, pc, &other);
	if (!name) {
		mb_jit_look(&s->jit, mb_now_ns());
		mb_jit_at(&s->jit, UINT64_MAX);
		name = mb_jit_find(&s->jit, pc, &other);
	}
	p->symbol = mb_strings_keep(mb_modules_strings(s->modules), name);
	p->module = name || mb_mapping_is_made(m) ? "[jit]" : m->path;
}

static unsigned int resolve_file(const struct mb_mapping *m, uint32_t pid, uint64_t address, bool is_return,
				 struct mb_source_frame *places, unsigned int max)
{
	const struct mb_sources *a;
	unsigned int n;

	a = mb_module_sources(m->module, address, pid);
	n = a && a->n ? a->n : 1;
	for (unsigned int i = 0; i < n && i < max; i++) {
		places[i] = (struct mb_source_frame){ .ip = places[0].ip, .module = m->path, .inlined = i + 1 < n };
		places[i].module_offset = address + is_return;
		if (!a || !a->n)
			break;
		places[i].symbol = a->sources[i].function;
		places[i].file = a->sources[i].file;
		places[i].line = a->sources[i].line;
	}
	return n < max ? n : max;
}

unsigned int mb_address_space_resolve(struct mb_address_space *s, uint64_t ip, bool is_return, struct mb_source_frame *places,
				      unsigned int max)
{
	uint64_t pc = ip - is_return, address;
	const struct mb_mapping *m;
	bool asked = false;

	if (!max)
		return 0;
	if (s->wanted)
		mb_address_space_refresh(s);
	places[0] = (struct mb_source_frame){ .ip = ip };
	m = find(s, pc, &asked);
	if (!m)
		return 1;
	if (m->module && mb_module_address(m->module, pc - m->start + m->offset, &address))
		return resolve_file(m, s->pid, address, is_return, places, max);
	resolve_made(s, m, pc, &places[0]);
	if (m->path && !mb_mapping_is_made(m))
		places[0].module_offset = ip - m->start + m->offset;
	return 1;
}

/* ---- tracking mappings ---- */

void mb_address_space_map(struct mb_address_space *s, const struct mb_mapping *m)
{
	mb_maps_put(&s->maps, m);
}

void mb_address_space_unmap(struct mb_address_space *s, uint64_t start, uint64_t end)
{
	mb_maps_cut(&s->maps, start, end);
}

const struct mb_mapping *mb_address_space_at(struct mb_address_space *s, uint64_t address)
{
	bool asked = false;

	return find(s, address, &asked);
}

unsigned int mb_mapping_resolve(const struct mb_mapping *m, uint32_t pid, uint64_t offset, bool is_return,
				struct mb_source_frame *places, unsigned int max)
{
	uint64_t address;

	if (!max)
		return 0;
	if (m->module && mb_module_address(m->module, offset - is_return, &address))
		return resolve_file(m, pid, address, is_return, places, max);
	places[0].module = m->path;
	places[0].module_offset = offset;
	return 1;
}

void mb_address_space_look(struct mb_address_space *s, uint64_t bytes)
{
	mb_jit_open(&s->jit, s->pid);
	mb_jit_allow(&s->jit, bytes);
	mb_jit_look(&s->jit, mb_now_ns());
}

bool mb_address_space_read_names(struct mb_address_space *s, uint64_t t_ns)
{
	uint64_t look_ns = mb_jit_behind(&s->jit);

	if (!look_ns || look_ns > t_ns)
		return false;
	mb_jit_at(&s->jit, look_ns);
	return mb_jit_behind(&s->jit) != look_ns;
}

const char *mb_address_space_made_name(struct mb_address_space *s, uint64_t address, uint64_t t_ns, const char **other)
{
	uint64_t look_ns = mb_jit_behind(&s->jit);

	*other = NULL;
	if (look_ns && look_ns <= t_ns) /* the part of the file written by then has not been read */
		return NULL;
	mb_jit_at(&s->jit, t_ns);
	return mb_jit_find(&s->jit, address, other);
}

bool mb_address_space_has_names(const struct mb_address_space *s)
{
	return s->jit.fd >= 0;
}

uint64_t mb_address_space_unread_names(const struct mb_address_space *s)
{
	return mb_jit_unread(&s->jit);
}

const struct mb_mapping *mb_address_space_find(const struct mb_address_space *s, bool (*is_it)(const struct mb_mapping *m))
{
	for (size_t i = 0; i < s->maps.n; i++) {
		if (is_it(&s->maps.list[i]))
			return &s->maps.list[i];
	}
	return NULL;
}

bool mb_address_space_has_code(const struct mb_address_space *s, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < s->maps.n && s->maps.list[i].start < end; i++) {
		if (s->maps.list[i].end > start)
			return true;
	}
	return false;
}
