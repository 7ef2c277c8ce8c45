// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Looks up names of stack frames and the state of processes, and keeps what was looked up for a recording. */
#include "leaks/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "leaks/code.h"
#include "leaks/made.h"
#include "leaks/seen.h"
#include "symbols/kallsyms.h"
#include "symbols/mapping.h"
#include "symbols/runtimes.h"

/* Functions at one address, and bytes of their names and paths, in a recording; longer ones are cut. */
#define SOURCES_MAX 16u
#define NAME_MAX_BYTES 5000u
#define PATH_MAX_BYTES 1300u
#define NO_TEXT UINT32_MAX

/* Frames and processes that a replay keeps, far more than a session has. */
#define NAMES_MAX (1u << 20)
#define PROCESSES_MAX (1u << 16)

/* Which frame; no padding. Frames in files and in made code are numbered for all processes (code.h, made.h). */
struct frame_key {
	uint64_t space; /* KERNEL; 0: the frame says it all; else the mm of an address */
	uint64_t frame;
	uint64_t is_return;
};

#define KERNEL UINT64_MAX

struct frame {
	struct frame_key key;
	bool nameless; /* no name was known yet */
	unsigned int n; /* replay: what was looked up */
	struct mb_source_frame *sources;
	UT_hash_handle hh;
};

struct process_key {
	uint64_t start_ns, tgid;
};

struct process {
	struct process_key key;
	struct mb_leak_about about;
	UT_hash_handle hh;
};

struct mb_leak_lookup {
	struct frame *frames; /* session: those that are in the recording */
	struct process *processes; /* replay */
};

struct mb_leak_lookup *mb_leak_lookup_new(void)
{
	return calloc(1, sizeof(struct mb_leak_lookup));
}

void mb_leak_lookup_free(struct mb_leak_lookup *k)
{
	struct frame *f, *next_frame;
	struct process *p, *next_process;

	if (!k)
		return;
	HASH_ITER(hh, k->frames, f, next_frame)
	{
		HASH_DEL(k->frames, f);
		free(f->sources);
		free(f);
	}
	HASH_ITER(hh, k->processes, p, next_process)
	{
		HASH_DEL(k->processes, p);
		free(p);
	}
	free(k);
}

/* ---- names ---- */

static struct frame_key key_of(const struct mb_leak_stack *s, uint32_t i)
{
	uint64_t mm = s->key[0], frame = s->key[1 + i];
	bool numbered = mm && (frame & (MB_LEAK_FRAME_FILE | MB_LEAK_FRAME_MADE));

	return (struct frame_key){ .space = !mm	     ? KERNEL :
					    numbered ? 0 :
						       mm,
				   .frame = mm ? frame : s->ips[i],
				   .is_return = i > 0 };
}

static struct frame *frame_of(const struct mb_leak_lookup *k, const struct frame_key *key)
{
	struct frame *f;

	HASH_FIND(hh, k->frames, key, sizeof(*key), f);
	return f;
}

static struct frame *frame_get(struct mb_leak_lookup *k, const struct frame_key *key)
{
	struct frame *f = frame_of(k, key);

	if (f || HASH_COUNT(k->frames) >= NAMES_MAX)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->key = *key;
	HASH_ADD(hh, k->frames, key, sizeof(f->key), f);
	return f;
}

static const char *keep(const struct mb_leaks_session *l, const char *text)
{
	return mb_strings_keep(mb_modules_strings(l->modules), text);
}

static unsigned int resolve_kernel(const struct mb_leaks_session *l, uint64_t ip, struct mb_source_frame *source)
{
	char name[256];

	*source = (struct mb_source_frame){ .ip = ip, .module = "[kernel]" };
	if (*mb_kallsyms_name(l->kallsyms, ip, name, sizeof(name)))
		source->symbol = keep(l, name);
	return 1;
}

static unsigned int resolve_recorded(const struct mb_leaks_session *l, const struct frame_key *key, uint64_t ip,
				     struct mb_source_frame *sources, unsigned int max)
{
	const struct frame *f = frame_of(l->lookup, key);
	unsigned int n = f && f->n < max ? f->n : f ? max : 0;

	for (unsigned int i = 0; i < n; i++) {
		sources[i] = f->sources[i];
		sources[i].ip = ip;
	}
	if (!n)
		sources[0] = (struct mb_source_frame){ .ip = ip };
	return n ? n : 1;
}

unsigned int mb_leak_resolve(struct mb_leaks_session *l, const struct mb_leak_stack *s, uint32_t i,
			     struct mb_source_frame *sources, unsigned int max)
{
	struct frame_key key = key_of(s, i);

	if (l->source.replays)
		return resolve_recorded(l, &key, s->ips[i], sources, max);
	if (!s->key[0])
		return resolve_kernel(l, s->ips[i], sources);
	return mb_leak_code_resolve(l, mb_leak_space_at(l, s->key[0]), key.frame, s->ips[i], i > 0, sources, max);
}

/* ---- processes ---- */

static bool is_runtime(const struct mb_mapping *m)
{
	return mb_runtime_of(m->path);
}

static void about_recorded(const struct mb_leaks_session *l, const struct mb_leak_space *sp, struct mb_leak_about *out)
{
	struct process_key key = { .start_ns = sp->start_ns, .tgid = sp->tgid };
	const struct process *p;

	HASH_FIND(hh, l->lookup->processes, &key, sizeof(key), p);
	if (p)
		*out = p->about;
}

void mb_leak_about(const struct mb_leaks_session *l, const struct mb_leak_space *sp, struct mb_leak_about *out)
{
	const struct mb_mapping *m;

	memset(out, 0, sizeof(*out));
	if (l->source.replays) {
		about_recorded(l, sp, out);
		return;
	}
	mb_leak_seen_of(l, sp->tgid, &out->seen);
	out->code_known = sp->code;
	if (!sp->code)
		return;
	out->has_names = mb_address_space_has_names(sp->code);
	out->unread_name_bytes = sp->made_frames ? mb_address_space_unread_names(sp->code) : 0;
	m = mb_address_space_find(sp->code, is_runtime);
	out->runtime_path = m ? m->path : NULL;
}

/* ---- in a recording ---- */

/* A name: struct name_head, then for each function struct source_head and three texts. */
struct name_head {
	struct frame_key key;
	uint64_t n;
};

struct source_head {
	uint64_t module_offset;
	uint32_t line, code, inlined;
	uint32_t lens[3]; /* of symbol, module and file; NO_TEXT: NULL */
};

/* A process: this, then for each allocator struct allocator_head and its text, then the text of runtime_path. */
struct process_head {
	struct process_key key;
	uint64_t since_ns, before_bytes, left_out, unread_name_bytes;
	uint32_t how, before_known, n_later, code_known, has_names, runtime_len;
};

struct allocator_head {
	uint64_t dev, ino, since_ns, found_ns, mapped_ns, unseen_ns;
	uint32_t unseen_known, held, first, file_len;
};

#define RECORD_MAX \
	(sizeof(struct name_head) + SOURCES_MAX * (sizeof(struct source_head) + NAME_MAX_BYTES + 2 * PATH_MAX_BYTES))

struct writer {
	char bytes[RECORD_MAX];
	size_t len;
};

_Static_assert(sizeof(struct process_head) +
			       (MB_LEAK_ALLOCATORS + 1) * (sizeof(struct allocator_head) + PATH_MAX_BYTES) <=
		       RECORD_MAX,
	       "a process fits as well");
_Static_assert(RECORD_MAX <= MB_LEAK_PIECE, "they are not taken to pieces");

static void put(struct writer *w, const void *data, size_t len)
{
	memcpy(w->bytes + w->len, data, len);
	w->len += len;
}

static uint32_t text_len(const char *text, uint32_t max)
{
	return text ? (uint32_t)strnlen(text, max) : NO_TEXT;
}

static void put_text(struct writer *w, const char *text, uint32_t len)
{
	if (text)
		put(w, text, len);
}

struct reader {
	const char *at;
	size_t left;
	bool failed;
};

static void get(struct reader *r, void *to, size_t len)
{
	r->failed |= len > r->left;
	if (r->failed) {
		memset(to, 0, len);
		return;
	}
	memcpy(to, r->at, len);
	r->at += len;
	r->left -= len;
}

static const char *get_text(struct reader *r, const struct mb_leaks_session *l, uint32_t len)
{
	char text[NAME_MAX_BYTES + 1];

	if (len == NO_TEXT)
		return NULL;
	r->failed |= len > NAME_MAX_BYTES;
	if (r->failed)
		return NULL;
	get(r, text, len);
	text[len] = '\0';
	return keep(l, text);
}

/* Look up one frame, and ingest its names. */
static void record_frame(struct mb_leaks_session *l, const struct mb_leak_stack *s, uint32_t i, struct frame *f)
{
	struct mb_source_frame sources[SOURCES_MAX];
	struct name_head head = { .key = f->key };
	struct writer w;

	w.len = 0;
	head.n = mb_leak_resolve(l, s, i, sources, SOURCES_MAX);
	put(&w, &head, sizeof(head));
	for (size_t k = 0; k < head.n; k++) {
		const struct mb_source_frame *p = &sources[k];
		struct source_head source = { .module_offset = p->module_offset,
					      .line = p->line,
					      .code = p->code,
					      .inlined = p->inlined,
					      .lens = { text_len(p->symbol, NAME_MAX_BYTES),
							text_len(p->module, PATH_MAX_BYTES),
							text_len(p->file, PATH_MAX_BYTES) } };

		put(&w, &source, sizeof(source));
		put_text(&w, p->symbol, source.lens[0]);
		put_text(&w, p->module, source.lens[1]);
		put_text(&w, p->file, source.lens[2]);
	}
	f->nameless = !sources[0].symbol;
	mb_leak_source_tell(&l->source, MB_LEAK_FACT_NAME, 0, w.bytes, w.len);
}

static void record_stack(struct mb_leaks_session *l, const struct mb_leak_stack *s, bool again)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct frame_key key = key_of(s, i);
		struct frame *f = frame_of(l->lookup, &key);

		if (f && !(again && f->nameless))
			continue;
		f = frame_get(l->lookup, &key);
		if (f)
			record_frame(l, s, i, f);
	}
}

static void record_process(struct mb_leaks_session *l, struct mb_leak_space *sp)
{
	struct process_head head = { .key = { sp->start_ns, sp->tgid } };
	struct mb_leak_about about;
	struct writer w;
	uint64_t hash;

	w.len = 0;
	mb_leak_about(l, sp, &about);
	head.since_ns = about.seen.since_ns;
	head.before_bytes = about.seen.before_bytes;
	head.left_out = about.seen.left_out;
	head.unread_name_bytes = about.unread_name_bytes;
	head.how = about.seen.how;
	head.before_known = about.seen.before_known;
	head.n_later = (uint32_t)about.seen.n_later;
	head.code_known = about.code_known;
	head.has_names = about.has_names;
	head.runtime_len = text_len(about.runtime_path, PATH_MAX_BYTES);
	put(&w, &head, sizeof(head));
	for (size_t i = 0; i < about.seen.n_later; i++) {
		const struct mb_leak_allocator *a = &about.seen.later[i];
		struct allocator_head allocator = { .dev = a->dev,
						    .ino = a->ino,
						    .since_ns = a->since_ns,
						    .found_ns = a->found_ns,
						    .mapped_ns = a->mapped_ns,
						    .unseen_ns = a->unseen_ns,
						    .unseen_known = a->unseen_known,
						    .held = a->held,
						    .first = a->first,
						    .file_len = text_len(a->file, PATH_MAX_BYTES) };

		put(&w, &allocator, sizeof(allocator));
		put_text(&w, a->file, allocator.file_len);
	}
	put_text(&w, about.runtime_path, head.runtime_len);
	hash = mb_hash(MB_HASH_BEGIN, w.bytes, w.len);
	if (hash == sp->about_hash)
		return;
	sp->about_hash = hash;
	mb_leak_source_tell(&l->source, MB_LEAK_FACT_PROCESS, 0, w.bytes, w.len);
}

void mb_leak_record_lookups(struct mb_leaks_session *l, bool at_end)
{
	for (struct mb_leak_stack *s = l->leaks->stacks; s; s = s->hh.next) {
		if (!s->recorded || at_end)
			record_stack(l, s, at_end);
		s->recorded = true;
	}
	for (struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next)
		record_process(l, sp);
}

void mb_leak_replay_name(struct mb_leaks_session *l, const void *data, size_t len)
{
	struct reader r = { .at = data, .left = len };
	struct mb_source_frame *sources;
	struct name_head head;
	struct frame *f;

	get(&r, &head, sizeof(head));
	sources = !r.failed && head.n && head.n <= SOURCES_MAX ? calloc(head.n, sizeof(*sources)) : NULL;
	for (size_t i = 0; sources && i < head.n; i++) {
		struct source_head source;

		get(&r, &source, sizeof(source));
		sources[i].module_offset = source.module_offset;
		sources[i].line = source.line;
		sources[i].code = source.code;
		sources[i].inlined = source.inlined;
		sources[i].symbol = get_text(&r, l, source.lens[0]);
		sources[i].module = get_text(&r, l, source.lens[1]);
		sources[i].file = get_text(&r, l, source.lens[2]);
	}
	f = sources && !r.failed ? frame_get(l->lookup, &head.key) : NULL;
	if (!f) {
		free(sources);
		return;
	}
	free(f->sources);
	f->sources = sources;
	f->n = (unsigned int)head.n;
}

static struct process *process_get(struct mb_leak_lookup *k, const struct process_key *key)
{
	struct process *p;

	HASH_FIND(hh, k->processes, key, sizeof(*key), p);
	if (p || HASH_COUNT(k->processes) >= PROCESSES_MAX)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->key = *key;
	HASH_ADD(hh, k->processes, key, sizeof(p->key), p);
	return p;
}

void mb_leak_replay_process(struct mb_leaks_session *l, const void *data, size_t len)
{
	struct reader r = { .at = data, .left = len };
	struct mb_leak_about about = { .code_known = false };
	struct process_head head;
	struct process *p;

	get(&r, &head, sizeof(head));
	if (r.failed || head.n_later > MB_LEAK_ALLOCATORS || head.how > MB_HEAP_SEEN_FORKED)
		return;
	about.seen.how = (enum mb_heap_seen)head.how;
	about.seen.since_ns = head.since_ns;
	about.seen.before_known = head.before_known;
	about.seen.before_bytes = head.before_bytes;
	about.seen.left_out = head.left_out;
	about.seen.n_later = head.n_later;
	about.code_known = head.code_known;
	about.has_names = head.has_names;
	about.unread_name_bytes = head.unread_name_bytes;
	for (size_t i = 0; i < head.n_later; i++) {
		struct mb_leak_allocator *a = &about.seen.later[i];
		struct allocator_head allocator;

		get(&r, &allocator, sizeof(allocator));
		*a = (struct mb_leak_allocator){ .file = get_text(&r, l, allocator.file_len),
						 .dev = allocator.dev,
						 .ino = allocator.ino,
						 .since_ns = allocator.since_ns,
						 .found_ns = allocator.found_ns,
						 .mapped_ns = allocator.mapped_ns,
						 .unseen_ns = allocator.unseen_ns,
						 .unseen_known = allocator.unseen_known,
						 .held = allocator.held,
						 .first = allocator.first };
	}
	about.runtime_path = get_text(&r, l, head.runtime_len);
	p = r.failed ? NULL : process_get(l->lookup, &head.key);
	if (p)
		p->about = about;
}
