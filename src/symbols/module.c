// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Files with code, each opened once, with caches of what was looked up for their addresses. */
#include "symbols/module.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uthash.h>
#include <utlist.h>

#include "symbols/demangle.h"
#include "symbols/open.h"

#define MODULES 2048 /* also limited to half of RLIMIT_NOFILE */
#define ROWS (256u << 10) /* for all modules together */
#define ROWS_OF_ONE (16u << 10)
#define ANSWERS (128u << 10)
#define ANSWERS_OF_ONE (16u << 10)
#define DEBUG_BYTES (1ull << 30)
#define FUNCTIONS 32 /* inlined into each other */
#define NAME_BYTES (16u << 10)

struct row {
	uint64_t address;
	struct mb_cfi_row row;
	UT_hash_handle hh;
};

struct answer {
	uint64_t address;
	UT_hash_handle hh;
	struct mb_sources answer;
};

/* Identifies a file. No padding, as identities are compared as bytes. */
struct identity {
	uint64_t dev, ino, size, mtime_s, mtime_ns;
};

struct mb_module {
	struct mb_modules *all;
	struct identity id;
	UT_hash_handle hh;
	struct mb_module *prev, *next;
	unsigned int users;
	int fd;
	bool elf, cfi_read, debug_read;
	struct mb_image image;
	const char *path;
	struct mb_cfi *cfi;
	struct row *rows;
	struct mb_debuginfo *debug;
	size_t debug_cost;
	uint64_t debug_used; /* value of mb_modules.debug_clock at the last use */
	struct answer *answers;
};

struct mb_modules {
	struct mb_module *by_id;
	struct mb_module *list; /* the one released longest ago first */
	struct mb_strings strings;
	unsigned int room; /* maximum number of modules */
	size_t n_rows, n_selected;
	uint64_t debug_bytes, debug_clock;
	struct mb_cfi_row scratch;
	char name[NAME_BYTES];
};

struct mb_strings *mb_modules_strings(struct mb_modules *m)
{
	return &m->strings;
}

struct mb_modules *mb_modules_new(void)
{
	struct mb_modules *m = calloc(1, sizeof(*m));
	struct rlimit files;

	if (!m)
		return NULL;
	m->room = MODULES;
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur / 2 < m->room)
		m->room = (unsigned int)(files.rlim_cur / 2);
	return m;
}

static void close_debug(struct mb_module *mod)
{
	mb_debuginfo_close(mod->debug);
	mod->debug = NULL;
	mod->debug_read = false;
	mod->all->debug_bytes -= mod->debug_cost;
	mod->debug_cost = 0;
}

static void free_module(struct mb_module *mod)
{
	struct mb_modules *m = mod->all;
	struct answer *a, *next_a;
	struct row *r, *next_r;

	HASH_ITER(hh, mod->rows, r, next_r)
	{
		HASH_DEL(mod->rows, r);
		free(r);
		m->n_rows--;
	}
	HASH_ITER(hh, mod->answers, a, next_a)
	{
		HASH_DEL(mod->answers, a);
		free(a);
		m->n_selected--;
	}
	close_debug(mod);
	mb_cfi_close(mod->cfi);
	mb_image_close(&mod->image);
	close(mod->fd);
	HASH_DEL(m->by_id, mod);
	DL_DELETE(m->list, mod);
	free(mod);
}

void mb_modules_free(struct mb_modules *m)
{
	struct mb_module *mod, *next;

	if (!m)
		return;
	DL_FOREACH_SAFE(m->list, mod, next)
		free_module(mod);
	mb_strings_free(&m->strings);
	free(m);
}

/* Make room for one more file. Returns false if all are in use. */
static bool make_room(struct mb_modules *m)
{
	struct mb_module *mod;

	if (HASH_COUNT(m->by_id) < m->room)
		return true;
	DL_FOREACH(m->list, mod) {
		if (!mod->users) {
			free_module(mod);
			return true;
		}
	}
	return false;
}

struct mb_module *mb_module_get(struct mb_modules *m, int fd, const struct stat *st, const char *path)
{
	struct identity id = { st->st_dev, st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
			       (uint64_t)st->st_mtim.tv_nsec };
	struct mb_module *mod;

	HASH_FIND(hh, m->by_id, &id, sizeof(id), mod);
	if (mod) {
		close(fd);
		return mb_module_share(mod);
	}
	mod = make_room(m) ? calloc(1, sizeof(*mod)) : NULL;
	if (!mod) {
		close(fd);
		return NULL;
	}
	mod->all = m;
	mod->id = id;
	mod->users = 1;
	mod->fd = fd;
	mod->path = mb_strings_keep(&m->strings, path);
	mod->elf = mb_image_open(&mod->image, fd) == 0;
	HASH_ADD(hh, m->by_id, id, sizeof(mod->id), mod);
	DL_APPEND(m->list, mod);
	return mod;
}

struct mb_file_id mb_module_id(const struct mb_module *mod)
{
	return (struct mb_file_id){ mod->id.ino, mod->id.size, mod->id.mtime_s, mod->id.mtime_ns };
}

struct mb_module *mb_module_share(struct mb_module *mod)
{
	mod->users++;
	return mod;
}

void mb_module_put(struct mb_module *mod)
{
	if (!mod || --mod->users)
		return;
	DL_DELETE(mod->all->list, mod);
	DL_APPEND(mod->all->list, mod);
}

bool mb_module_address(const struct mb_module *mod, uint64_t offset, uint64_t *address)
{
	*address = offset;
	return mod->elf && mb_image_address(&mod->image, offset, address);
}

/* ---- unwinding ---- */

/* A row to fill in; reuses the oldest one if the limit is reached. Returns NULL if there is none. */
static struct row *new_row(struct mb_module *mod)
{
	struct mb_modules *m = mod->all;
	struct row *r;

	if (HASH_COUNT(mod->rows) < ROWS_OF_ONE && m->n_rows < ROWS) {
		r = malloc(sizeof(*r));
		m->n_rows += r != NULL;
		return r;
	}
	r = mod->rows; /* the oldest */
	if (r)
		HASH_DEL(mod->rows, r);
	return r;
}

/* call rel32, and call r/m with its forms of 2 to 7 bytes (Intel SDM, CALL). */
bool mb_module_calls_before(const struct mb_module *mod, uint64_t offset)
{
	uint8_t code[7];

	if (offset < sizeof(code) ||
	    pread(mod->image.fd, code, sizeof(code), (off_t)(offset - sizeof(code))) != sizeof(code))
		return false;
	if (code[2] == 0xe8)
		return true;
	for (unsigned int len = 2; len <= sizeof(code); len++) {
		const uint8_t *c = code + sizeof(code) - len;

		if (c[0] == 0xff && (c[1] >> 3 & 7) == 2)
			return true;
	}
	return false;
}

const struct mb_cfi_row *mb_module_row(struct mb_module *mod, uint64_t address)
{
	struct mb_cfi_row *scratch = &mod->all->scratch;
	struct row *r;

	HASH_FIND(hh, mod->rows, &address, sizeof(address), r);
	if (r)
		return &r->row;
	if (!mod->cfi_read) {
		mod->cfi_read = true;
		mod->cfi = mod->elf ? mb_cfi_open(&mod->image) : NULL;
	}
	*scratch = (struct mb_cfi_row){ 0 };
	if (!mod->cfi)
		return scratch;
	mb_cfi_find(mod->cfi, address, scratch);
	r = new_row(mod);
	if (!r)
		return scratch;
	r->address = address;
	r->row = *scratch;
	HASH_ADD(hh, mod->rows, address, sizeof(r->address), r);
	return &r->row;
}

/* ---- names ---- */

/* Store a name for display: without a symbol version (name@@GLIBC_2.34), demangled. */
static const char *keep_name(struct mb_modules *m, const char *name)
{
	char plain[NAME_BYTES];
	size_t len;

	if (!name || (len = strlen(name)) >= sizeof(plain))
		return NULL;
	memcpy(plain, name, len + 1);
	if (len > 1)
		plain[1 + strcspn(plain + 1, "@")] = '\0';
	return mb_strings_keep(&m->strings, mb_demangle(plain, m->name, sizeof(m->name)) ? m->name : plain);
}

/* Close the debug information that was unused longest until the limit is met; never that of mod. */
static void limit_debug(struct mb_module *mod)
{
	struct mb_modules *m = mod->all;

	while (m->debug_bytes > DEBUG_BYTES) {
		struct mb_module *other, *oldest = NULL;

		DL_FOREACH(m->list, other) {
			if (other != mod && other->debug && (!oldest || other->debug_used < oldest->debug_used))
				oldest = other;
		}
		if (!oldest)
			return;
		close_debug(oldest);
	}
}

static void open_debug(struct mb_module *mod, uint32_t pid)
{
	int root = mb_open_root(pid);

	mod->debug_read = true;
	mod->debug = mod->elf ? mb_debuginfo_open(&mod->image, mod->path, root) : NULL;
	if (root >= 0)
		close(root);
}

static unsigned int ask_debug(struct mb_module *mod, uint64_t address, uint32_t pid, struct mb_source *sources)
{
	struct mb_modules *m = mod->all;
	unsigned int n;

	if (!mod->debug_read)
		open_debug(mod, pid);
	if (!mod->debug)
		return 0;
	n = mb_debuginfo_find(mod->debug, address, sources, FUNCTIONS);
	for (unsigned int i = 0; i < n; i++) {
		sources[i].function = keep_name(m, sources[i].function);
		sources[i].file = mb_strings_keep(&m->strings, sources[i].file);
	}
	m->debug_bytes -= mod->debug_cost;
	mod->debug_cost = mb_debuginfo_cost(mod->debug);
	m->debug_bytes += mod->debug_cost;
	mod->debug_used = ++m->debug_clock;
	limit_debug(mod);
	return n;
}

const struct mb_sources *mb_module_sources(struct mb_module *mod, uint64_t address, uint32_t pid)
{
	struct mb_modules *m = mod->all;
	struct mb_source sources[FUNCTIONS];
	struct answer *a;
	unsigned int n;

	HASH_FIND(hh, mod->answers, &address, sizeof(address), a);
	if (a)
		return &a->answer;
	n = ask_debug(mod, address, pid, sources);
	if (HASH_COUNT(mod->answers) >= ANSWERS_OF_ONE || (m->n_selected >= ANSWERS && mod->answers)) {
		a = mod->answers; /* the oldest entry */
		HASH_DEL(mod->answers, a);
		free(a);
		m->n_selected--;
	}
	a = malloc(sizeof(*a) + n * sizeof(*sources));
	if (!a)
		return NULL;
	a->address = address;
	a->answer.n = n;
	memcpy(a->answer.sources, sources, n * sizeof(*sources));
	HASH_ADD(hh, mod->answers, address, sizeof(a->address), a);
	m->n_selected++;
	return &a->answer;
}
