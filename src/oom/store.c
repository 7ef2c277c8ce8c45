// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Stores reports of OOM kills in the state folder. */
#include "oom/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folders.h"
#include "base/log.h"
#include "oom/view.h"

struct mb_oom_store {
	int dir;
	char path[MB_PATH_LEN]; /* for messages */
	struct mb_out out;
	uint32_t last; /* highest number so far */
	uint32_t first; /* lowest number that may exist */
	uint32_t retained; /* maximum number of stored reports */
};

/* ---- open ---- */

static uint32_t number_of(const char *name)
{
	unsigned int n;
	char end;

	return sscanf(name, "%u.json%c", &n, &end) == 1 && strstr(name, ".json") ? n : 0;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * Returns the number of stored reports, or -errno. *out: their numbers, sorted; freed by the
 * caller.
 */
static int all_numbers(struct mb_oom_store *s, uint32_t **out)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint32_t *list = NULL;
	struct dirent *e;
	int n = 0;

	*out = NULL;
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		uint32_t number = number_of(e->d_name), *more;

		if (!number)
			continue;
		more = realloc(list, (size_t)(n + 1) * sizeof(*list));
		if (!more) {
			free(list);
			closedir(d);
			return -ENOMEM;
		}
		list = more;
		list[n++] = number;
	}
	closedir(d);
	if (n)
		qsort(list, (size_t)n, sizeof(*list), by_number);
	*out = list;
	return n;
}

static int find_numbers(struct mb_oom_store *s)
{
	uint32_t *list;
	int n = all_numbers(s, &list);

	s->first = n > 0 ? list[0] : 1;
	s->last = n > 0 ? list[n - 1] : 0;
	free(list);
	return n < 0 ? n : 0;
}

void mb_oom_store_keep(struct mb_oom_store *s, uint32_t reports)
{
	s->retained = reports;
}

int mb_oom_store_open(struct mb_oom_store **out, const char *dir, bool make, struct mb_err *e)
{
	struct mb_oom_store *s = calloc(1, sizeof(*s));
	int err;

	*out = s;
	if (!s)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	s->dir = -1;
	s->retained = MB_OOM_SAVED;
	if (!dir[0] || strlen(dir) + sizeof("/oom") > sizeof(s->path))
		return mb_err_set(e, MB_EXIT_USAGE, 0, "the state folder needs a path of at most %zu characters",
				  sizeof(s->path) - sizeof("/oom"));
	snprintf(s->path, sizeof(s->path), "%s/oom", dir);
	err = make ? mb_make_folders(s->path) : 0;
	if (!err)
		s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!err && s->dir < 0)
		err = -errno;
	if (!err)
		err = find_numbers(s);
	if (!err)
		err = mb_out_to(&s->out, -1, s->path);
	if (err == -ENOENT)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "no reports: there is no folder '%s'", s->path);
	return err ? mb_err_set(e, MB_EXIT_FAILED, -err, "cannot use the state folder '%s'", s->path) : 0;
}

void mb_oom_store_close(struct mb_oom_store *s)
{
	struct mb_err ignored;

	if (!s)
		return;
	mb_out_close(&s->out, &ignored);
	if (s->dir >= 0)
		close(s->dir);
	free(s);
}

/* ---- store ---- */

static void name_of(char *buf, size_t size, uint32_t number, const char *ending)
{
	snprintf(buf, size, "%06u%s", number, ending);
}

/* Writes one file of a report to disk under a temporary name. */
static int write_one(struct mb_oom_store *s, const char *name, const struct mb_sink *sink,
		     const struct mb_snapshot *snap, const struct mb_oom_kill *k,
		     const struct mb_oom_culprit *c)
{
	int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = fd < 0 ? -errno : 0;

	if (err)
		return err;
	mb_out_to(&s->out, fd, s->path);
	mb_oom_show(sink, &s->out, snap, k, c);
	err = mb_out_flush(&s->out);
	if (!err && fsync(fd))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

/*
 * Gives the report the first free number. Another memblame may use the same folder, so the rename
 * must not replace a file.
 */
static int claim(struct mb_oom_store *s, const char *temporary, uint32_t *number)
{
	char name[32];

	for (;;) {
		name_of(name, sizeof(name), ++s->last, ".txt");
		if (!renameat2(s->dir, temporary, s->dir, name, RENAME_NOREPLACE))
			break;
		if (errno != EEXIST)
			return -errno;
	}
	*number = s->last;
	return 0;
}

static int rename_to(struct mb_oom_store *s, const char *temporary, uint32_t number, const char *ending)
{
	char name[32];

	name_of(name, sizeof(name), number, ending);
	return renameat(s->dir, temporary, s->dir, name) ? -errno : 0;
}

static void remove_oldest(struct mb_oom_store *s)
{
	for (; s->first + s->retained <= s->last; s->first++) {
		char name[32];

		name_of(name, sizeof(name), s->first, ".json");
		unlinkat(s->dir, name, 0);
		name_of(name, sizeof(name), s->first, ".txt");
		unlinkat(s->dir, name, 0);
	}
}

int mb_oom_store_put(struct mb_oom_store *s, uint32_t *number, const struct mb_snapshot *snap,
		     const struct mb_oom_kill *k, const struct mb_oom_culprit *c)
{
	char json[32], text[32];
	int err;

	snprintf(json, sizeof(json), ".new-%d.json", (int)getpid());
	snprintf(text, sizeof(text), ".new-%d.txt", (int)getpid());
	err = write_one(s, text, &mb_sink_text, snap, k, c);
	if (!err)
		err = write_one(s, json, &mb_sink_json, snap, k, c);
	/* the JSON document is renamed last: if it exists, the report is complete */
	if (!err)
		err = *number ? rename_to(s, text, *number, ".txt") : claim(s, text, number);
	if (!err)
		err = rename_to(s, json, *number, ".json");
	/* make the renames durable too */
	if (!err && fsync(s->dir))
		err = -errno;
	if (err) {
		unlinkat(s->dir, json, 0);
		unlinkat(s->dir, text, 0);
	} else {
		remove_oldest(s);
	}
	return err;
}

/* ---- list and show ---- */

/* Copies a whole file, or its first line. Returns 0 or -errno. */
static int copy_file(struct mb_oom_store *s, uint32_t number, const char *ending, bool first_line,
		     struct mb_out *o)
{
	char name[32], buf[4096];
	bool done = false;
	ssize_t n = 0;
	int fd;

	name_of(name, sizeof(name), number, ending);
	fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while (!done && (n = read(fd, buf, sizeof(buf))) > 0) {
		const char *end = first_line ? memchr(buf, '\n', (size_t)n) : NULL;

		done = end != NULL;
		mb_out_text(o, buf, end ? (size_t)(end - buf) + 1 : (size_t)n);
	}
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

int mb_oom_store_list(struct mb_oom_store *s, bool json, struct mb_out *o, struct mb_err *e)
{
	uint32_t *numbers;
	int n = all_numbers(s, &numbers);

	if (n < 0)
		return mb_err_set(e, MB_EXIT_FAILED, -n, "cannot read '%s'", s->path);
	if (!n && !json)
		mb_out_printf(o, "no report of an OOM kill in %s\n", s->path);
	for (int i = 0; i < n; i++) {
		if (!json)
			mb_out_printf(o, "%6u  ", numbers[i]);
		/* a report that has just been removed is not an error */
		copy_file(s, numbers[i], json ? ".json" : ".txt", !json, o);
	}
	free(numbers);
	return 0;
}

int mb_oom_store_show(struct mb_oom_store *s, uint32_t number, bool json, struct mb_out *o, struct mb_err *e)
{
	int err = copy_file(s, number, json ? ".json" : ".txt", false, o);

	if (!err)
		return 0;
	return mb_err_set(e, MB_EXIT_FAILED, err == -ENOENT ? 0 : -err, "no report %u in '%s'; memblame oom list names those there "
			  "are", number, s->path);
}
