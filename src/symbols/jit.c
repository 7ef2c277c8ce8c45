// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Names of code generated at run time. Functions are stored in lists, each at least twice as long
 * as the next newer one. Adding a function costs the logarithm of their number on average, and the
 * whole set is never sorted.
 */
#include "symbols/jit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/open.h"

#define MAX_LINE 4096
#define BATCH_LINES (64u << 10) /* maximum number of lines per batch; more take several batches */
#define GARBAGE \
	(4u     \
	 << 20) /* collect garbage when names of replaced code exceed the names in use by this many bytes */

struct mb_jit_function {
	uint64_t start;
	uint32_t size;
	uint32_t name : 31; /* offset in names */
	uint32_t replaces : 1; /* replaces other code of the same batch */
};

static uint64_t end_of(const struct mb_jit_function *f)
{
	return f->start + f->size;
}

void mb_jit_init(struct mb_jit *j)
{
	*j = (struct mb_jit){ .fd = -1 };
}

static void forget(struct mb_jit *j)
{
	for (size_t i = 0; i < j->n_levels; i++)
		free(j->levels[i].list);
	free(j->batch.list);
	free(j->names);
	*j = (struct mb_jit){ .fd = j->fd, .allowed = j->allowed };
}

void mb_jit_free(struct mb_jit *j)
{
	if (j->fd >= 0)
		close(j->fd);
	forget(j);
	mb_jit_init(j);
}

bool mb_jit_open(struct mb_jit *j, uint32_t pid)
{
	uint32_t uids[4], pids[32];
	struct stat st;
	char path[64];
	unsigned int n;
	int root;

	if (j->fd >= 0)
		return true;
	n = mb_status_numbers(pid, "NSpid:", pids, 32);
	if (!n || !mb_status_numbers(pid, "Uid:", uids, 4))
		return false;
	root = mb_open_root(pid);
	if (root < 0)
		return false;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", pids[n - 1]);
	j->fd = mb_open_in(root, path, false, &st);
	close(root);
	if (j->fd >= 0 && st.st_uid != uids[0] && st.st_uid != 0) {
		close(j->fd);
		j->fd = -1;
	}
	return j->fd >= 0;
}

void mb_jit_allow(struct mb_jit *j, uint64_t bytes)
{
	j->allowed = bytes;
}

/* ---- lists ---- */

/*
 * Merge two lists: parts of older that newer covers are dropped. out must have room for older and
 * twice newer, since a new function can split an old one in two. Returns the number of functions in
 * out.
 */
static size_t overlay(const struct mb_jit *j, const struct mb_jit_list *older,
		      const struct mb_jit_list *newer, struct mb_jit_function *out, bool same_batch)
{
	struct mb_jit_function rest = older->n ? older->list[0] : (struct mb_jit_function){ 0 };
	size_t i = 0, n = 0;

#define NEXT (++i < older->n ? (rest = older->list[i], true) : false)
	for (size_t k = 0; k < newer->n; k++) {
		struct mb_jit_function f = newer->list[k];

		while (i < older->n && end_of(&rest) <= f.start) {
			out[n++] = rest;
			(void)NEXT;
		}
		if (i < older->n && rest.start < f.start) {
			out[n] = rest;
			out[n++].size = (uint32_t)(f.start - rest.start);
			rest.size -= (uint32_t)(f.start - rest.start);
			rest.start = f.start;
		}
		while (i < older->n && rest.start < end_of(&f)) {
			if (same_batch && strcmp(j->names + rest.name, j->names + f.name) != 0)
				f.replaces = 1;
			if (end_of(&rest) > end_of(&f)) {
				rest.size = (uint32_t)(end_of(&rest) - end_of(&f));
				rest.start = end_of(&f);
				break;
			}
			if (!NEXT)
				break;
		}
		out[n++] = f;
	}
	while (i < older->n) {
		out[n++] = rest;
		(void)NEXT;
	}
#undef NEXT
	return n;
}

/* Merge newer into older. Returns false if out of memory; both lists are then unchanged. */
static bool merge(const struct mb_jit *j, struct mb_jit_list *older, struct mb_jit_list *newer,
		  bool same_batch)
{
	struct mb_jit_function *out = malloc((older->n + 2 * newer->n + 1) * sizeof(*out)), *fit;
	size_t n;

	if (!out)
		return false;
	n = overlay(j, older, newer, out, same_batch);
	fit = realloc(out, (n + 1) * sizeof(*out));
	free(older->list);
	free(newer->list);
	*older = (struct mb_jit_list){ fit ? fit : out, n };
	*newer = (struct mb_jit_list){ 0 };
	return true;
}

static void count(struct mb_jit *j)
{
	j->n_functions = j->batch.n;
	for (size_t i = 0; i < j->n_levels; i++)
		j->n_functions += j->levels[i].n;
	if (j->n_functions >= MB_JIT_FUNCTIONS)
		j->full = true;
}

/* The batch becomes the newest list; lists that are too short compared to the next one are merged. */
static void push_batch(struct mb_jit *j)
{
	for (size_t i = 0; i < j->batch.n; i++)
		j->batch.list[i].replaces = 0;
	if (j->batch.n)
		j->levels[j->n_levels++] = j->batch;
	else
		free(j->batch.list);
	j->batch = (struct mb_jit_list){ 0 };
	while (j->n_levels >= 2 &&
	       (j->levels[j->n_levels - 2].n < 2 * j->levels[j->n_levels - 1].n ||
		j->n_levels == MB_JIT_LEVELS)) {
		if (!merge(j, &j->levels[j->n_levels - 2], &j->levels[j->n_levels - 1], false)) {
			j->full = true;
			free(j->levels[--j->n_levels].list);
			return;
		}
		j->n_levels--;
	}
	count(j);
}

static const struct mb_jit_function *find_in(const struct mb_jit_list *l, uint64_t address)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (end_of(&l->list[mid]) <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->n && l->list[low].start <= address ? &l->list[low] : NULL;
}

/* ---- names ---- */

static void copy_names(struct mb_jit_list *l, const char *from, char *to, size_t *len)
{
	for (size_t i = 0; i < l->n; i++) {
		size_t size = strlen(from + l->list[i].name) + 1;

		memcpy(to + *len, from + l->list[i].name, size);
		l->list[i].name = (uint32_t)*len & 0x7fffffff;
		*len += size;
	}
}

static size_t size_of_names(const struct mb_jit *j, const struct mb_jit_list *l)
{
	size_t size = 0;

	for (size_t i = 0; i < l->n; i++)
		size += strlen(j->names + l->list[i].name) + 1;
	return size;
}

/* Drop the names of replaced functions. */
static void collect_names(struct mb_jit *j)
{
	size_t size = size_of_names(j, &j->batch), len = 0;
	char *fresh;

	for (size_t i = 0; i < j->n_levels; i++)
		size += size_of_names(j, &j->levels[i]);
	/* the name of a function that was split in two is stored twice after this */
	fresh = size <= MB_JIT_NAMES ? malloc(size + 1) : NULL;
	if (!fresh) {
		j->full = true;
		return;
	}
	for (size_t i = 0; i < j->n_levels; i++)
		copy_names(&j->levels[i], j->names, fresh, &len);
	copy_names(&j->batch, j->names, fresh, &len);
	free(j->names);
	j->names = fresh;
	j->names_len = j->names_live = len;
	j->names_room = size + 1;
}

static bool room_for_name(struct mb_jit *j, size_t len)
{
	size_t room = j->names_room ? j->names_room : 4096;
	char *bigger;

	while (room < j->names_len + len)
		room += room / 2;
	if (j->names_len + len > MB_JIT_NAMES)
		return false;
	if (room == j->names_room)
		return true;
	bigger = realloc(j->names, room);
	if (!bigger)
		return false;
	j->names = bigger;
	j->names_room = room;
	return true;
}

/* ---- the file ---- */

/* Parse one NUL-terminated line as a function. Returns false if it is malformed, or if there is no room. */
static bool parse(struct mb_jit *j, const char *line, struct mb_jit_function *f)
{
	uint64_t start, size;
	char *end;
	size_t len;

	start = strtoull(line, &end, 16);
	if (end == line || *end != ' ' || *line == '-')
		return false;
	line = end;
	size = strtoull(line, &end, 16);
	if (end == line || *end != ' ' || !size || size > UINT32_MAX || start + size < start)
		return false;
	while (*end == ' ')
		end++;
	len = strlen(end) + 1;
	if (len == 1)
		return false;
	if (!room_for_name(j, len)) {
		j->full = true;
		return false;
	}
	*f = (struct mb_jit_function){ .start = start,
				       .size = (uint32_t)size,
				       .name = j->names_len & 0x7fffffff };
	memcpy(j->names + j->names_len, end, len);
	j->names_len += len;
	return true;
}

/* Are the lines already sorted by address, as most run times write them? */
static bool is_in_order(const struct mb_jit_function *lines, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (lines[i].start < end_of(&lines[i - 1]))
			return false;
	}
	return true;
}

/* Convert lines in file order to a list: convert each half, then merge the second half over the first. */
static bool to_list(const struct mb_jit *j, const struct mb_jit_function *lines, size_t n,
		    struct mb_jit_list *out)
{
	struct mb_jit_list newer = { 0 };

	*out = (struct mb_jit_list){ 0 };
	if (is_in_order(lines, n)) {
		out->list = malloc((n + 1) * sizeof(*lines));
		if (!out->list)
			return false;
		memcpy(out->list, lines, n * sizeof(*lines));
		out->n = n;
		return true;
	}
	if (to_list(j, lines, n / 2, out) && to_list(j, lines + n / 2, n - n / 2, &newer) &&
	    merge(j, out, &newer, true))
		return true;
	free(out->list);
	free(newer.list);
	*out = (struct mb_jit_list){ 0 };
	return false;
}

/* Read lines up to file offset until, or as many bytes as are allowed. *n: number of functions read. */
static struct mb_jit_function *read_lines(struct mb_jit *j, uint64_t until, size_t *n)
{
	struct mb_jit_function *lines = malloc(BATCH_LINES * sizeof(*lines));
	char buf[8 * MAX_LINE + 1], *nl;
	ssize_t got = 0;

	*n = 0;
	while (lines && *n < BATCH_LINES && j->allowed && j->read < until && !j->full) {
		uint64_t left = until - j->read;
		size_t want = left < sizeof(buf) - 1 ? left : sizeof(buf) - 1;
		char *line = buf;

		got = pread(j->fd, buf, want, (off_t)j->read);
		if (got <= 0)
			break;
		buf[got] = '\0';
		while (*n < BATCH_LINES && (nl = memchr(line, '\n', (size_t)(buf + got - line)))) {
			*nl = '\0';
			*n += nl - line < MAX_LINE && parse(j, line, &lines[*n]);
			line = nl + 1;
		}
		if (line == buf && got < (ssize_t)sizeof(buf) - 1)
			break; /* the last line is incomplete */
		got = line == buf ? got : line - buf;
		j->read += (uint64_t)got;
		j->allowed -= (uint64_t)got < j->allowed ? (uint64_t)got : j->allowed;
	}
	return lines;
}

/*
 * Read the next part of the file, up to the oldest look, as the new batch. Returns false if there
 * is none, or if no more bytes may be read.
 */
static bool read_batch(struct mb_jit *j)
{
	struct mb_jit_function *lines;
	uint64_t before = j->read;
	size_t n;

	if (!j->n_samples || !j->allowed || j->full)
		return false;
	lines = read_lines(j, j->samples[0].size, &n);
	if (lines && !to_list(j, lines, n, &j->batch))
		j->full = true;
	free(lines);
	j->batch_ns = j->samples[0].t_ns;
	/* what remains is an incomplete line, which the next look covers */
	if (j->read >= j->samples[0].size || (j->read == before && j->allowed))
		memmove(j->samples, j->samples + 1, --j->n_samples * sizeof(j->samples[0]));
	count(j);
	if (j->names_len > 2 * j->names_live + GARBAGE)
		collect_names(j);
	return true;
}

void mb_jit_look(struct mb_jit *j, uint64_t now_ns)
{
	struct stat st;

	if (j->fd < 0 || fstat(j->fd, &st) || (uint64_t)st.st_size == j->size)
		return;
	if ((uint64_t)st.st_size < j->size)
		forget(j);
	j->size = (uint64_t)st.st_size;
	if (j->n_samples == MB_JIT_SAMPLES)
		j->n_samples--;
	j->samples[j->n_samples].t_ns = now_ns;
	j->samples[j->n_samples++].size = j->size;
}

void mb_jit_at(struct mb_jit *j, uint64_t t_ns)
{
	for (;;) {
		if (j->batch.list && j->batch_ns > t_ns)
			return;
		if (j->batch.list)
			push_batch(j);
		if (!read_batch(j))
			return;
	}
}

const char *mb_jit_find(const struct mb_jit *j, uint64_t address, const char **other)
{
	const struct mb_jit_function *late = find_in(&j->batch, address), *f = NULL;

	*other = NULL;
	for (size_t i = j->n_levels; i-- > 0 && !f;)
		f = find_in(&j->levels[i], address);
	if (!late)
		return f ? j->names + f->name : NULL;
	if (f && strcmp(j->names + f->name, j->names + late->name) != 0)
		*other = j->names + f->name;
	else if (late->replaces)
		*other = "";
	return j->names + late->name;
}

uint64_t mb_jit_behind(const struct mb_jit *j)
{
	return j->n_samples ? j->samples[0].t_ns : 0;
}

uint64_t mb_jit_unread(const struct mb_jit *j)
{
	return j->fd >= 0 && j->size > j->read ? j->size - j->read : 0;
}
