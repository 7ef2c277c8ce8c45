// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Names of code made at run time. */
#include "symbols/jit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/open.h"

#define MAX_FILE (64u << 20)
#define MAX_FUNCTIONS (1u << 20)
#define MAX_LINE 4096

struct mb_jit_function {
	uint64_t start, end;
	uint32_t name; /* offset in names; the larger, the later it was written */
};

void mb_jit_init(struct mb_jit *j)
{
	*j = (struct mb_jit){ .fd = -1 };
}

void mb_jit_free(struct mb_jit *j)
{
	if (j->fd >= 0)
		close(j->fd);
	free(j->functions);
	free(j->names);
	mb_jit_init(j);
}

void mb_jit_open(struct mb_jit *j, uint32_t pid)
{
	uint32_t uids[4], pids[32];
	unsigned int n = mb_status_numbers(pid, "NSpid:", pids, 32);
	struct stat st;
	char path[64];
	int root;

	if (j->fd >= 0 || !n || !mb_status_numbers(pid, "Uid:", uids, 4))
		return;
	root = mb_open_root(pid);
	if (root < 0)
		return;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", pids[n - 1]);
	j->fd = mb_open_in(root, path, false, &st);
	close(root);
	if (j->fd >= 0 && st.st_uid != uids[0] && st.st_uid != 0) {
		close(j->fd);
		j->fd = -1;
	}
}

/* A larger list; false: no memory, or larger than it may be. */
static bool grow(void **list, size_t *room, size_t need, size_t size, size_t limit)
{
	size_t more = *room;
	void *bigger;

	while (more < need)
		more = more ? more * 2 : 1024;
	if (need > limit)
		return false;
	if (more == *room)
		return true;
	bigger = realloc(*list, more * size);
	if (!bigger)
		return false;
	*list = bigger;
	*room = more;
	return true;
}

/* One line, ended by a NUL. Nonsense is passed over. */
static void add(struct mb_jit *j, const char *line)
{
	char *end;
	uint64_t start, size;
	size_t len;

	start = strtoull(line, &end, 16);
	if (end == line || *end != ' ')
		return;
	line = end;
	size = strtoull(line, &end, 16);
	if (end == line || *end != ' ' || !size || start + size < start)
		return;
	while (*end == ' ')
		end++;
	len = strlen(end) + 1;
	if (len == 1 ||
	    !grow((void **)&j->functions, &j->room, j->n + 1, sizeof(*j->functions), MAX_FUNCTIONS) ||
	    !grow((void **)&j->names, &j->names_room, j->names_len + len, 1, MAX_FILE))
		return;
	memcpy(j->names + j->names_len, end, len);
	j->functions[j->n++] = (struct mb_jit_function){ start, start + size, (uint32_t)j->names_len };
	j->names_len += len;
}

static int by_start(const void *a, const void *b)
{
	const struct mb_jit_function *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

/* The lines that were added since; true: there are any. */
static bool read_more(struct mb_jit *j)
{
	char buf[16 * MAX_LINE + 1], *nl;
	size_t before = j->n;
	ssize_t got;

	while (j->read < MAX_FILE && (got = pread(j->fd, buf, sizeof(buf) - 1, (off_t)j->read)) > 0) {
		char *line = buf;

		buf[got] = '\0';
		while ((nl = memchr(line, '\n', (size_t)(buf + got - line)))) {
			*nl = '\0';
			if (nl - line < MAX_LINE)
				add(j, line);
			line = nl + 1;
		}
		if (line == buf && got < (ssize_t)sizeof(buf) - 1)
			break; /* the last line is not whole yet */
		j->read += line == buf ? (uint64_t)got : (uint64_t)(line - buf);
	}
	if (j->n == before)
		return false;
	qsort(j->functions, j->n, sizeof(*j->functions), by_start);
	return true;
}

/* Code is made where other code was: the entry that was written last counts. */
static const struct mb_jit_function *lookup(const struct mb_jit *j, uint64_t address)
{
	const struct mb_jit_function *best = NULL;
	size_t low = 0, high = j->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (j->functions[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	for (int tries = 0; low-- && tries < 32; tries++) {
		const struct mb_jit_function *f = &j->functions[low];

		if (address < f->end && (!best || f->name > best->name))
			best = f;
	}
	return best;
}

const char *mb_jit_find(struct mb_jit *j, uint64_t address)
{
	const struct mb_jit_function *f = lookup(j, address);
	struct stat st;

	if (!f && j->fd >= 0 && !fstat(j->fd, &st)) {
		if ((uint64_t)st.st_size < j->read) { /* written anew */
			j->read = 0;
			j->n = j->names_len = 0;
		}
		if ((uint64_t)st.st_size > j->read && read_more(j))
			f = lookup(j, address);
	}
	return f ? j->names + f->name : NULL;
}
