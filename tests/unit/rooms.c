// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The rooms of src/ (docs/architecture.md): a file may include and call only files of its own room or of a lower one.
 * Reads the #include lines of every file, and the symbols of every room's library. The test also fails for an exception
 * that is no longer needed.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "unit.h"

/* From the lowest to the highest. Rooms of the same height must not use each other. */
static const struct room {
	const char *name;
	int height;
} rooms[] = {
	{ "base", 0 },	  { "model", 1 }, { "families", 2 }, { "sinks", 3 }, { "symbols", 4 }, { "host", 4 },
	{ "kern", 5 },	  { "record", 6 }, { "blame", 7 },    { "leaks", 7 }, { "oom", 7 },	{ "session", 8 },
	{ "serve", 9 },	  { "cli", 10 },   { "main.c", 11 },
};

static struct exception {
	const char *file, *includes, *reason;
	bool needed;
} exceptions[] = {
	{ NULL, NULL, NULL, false },
};

static int n_files, n_wrong;

static const struct room *room_of(const char *path)
{
	size_t len = strcspn(path, "/");

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		if (strlen(rooms[i].name) == len && !strncmp(rooms[i].name, path, len))
			return &rooms[i];
	}
	return NULL;
}

static bool is_excepted(const char *file, const char *includes)
{
	for (size_t i = 0; exceptions[i].file; i++) {
		if (strcmp(exceptions[i].file, file) != 0 || strcmp(exceptions[i].includes, includes) != 0)
			continue;
		exceptions[i].needed = true;
		return true;
	}
	return false;
}

/* `file` is the path as in #include lines, relative to src/. */
static void check_include(const char *file, const char *includes)
{
	const struct room *own = room_of(file), *other = room_of(includes);
	char path[1024];
	struct stat st;

	snprintf(path, sizeof(path), SOURCE_DIR "/src/%s", includes);
	if (stat(path, &st)) /* a header of include/, or generated */
		return;
	if (!other) {
		print_error("%s includes %s, which is in no room\n", file, includes);
		n_wrong++;
	} else if (own != other && own->height <= other->height && !is_excepted(file, includes)) {
		print_error("%s includes %s: %s does not stand below %s\n", file, includes, other->name, own->name);
		n_wrong++;
	}
}

static void check_file(const char *file)
{
	char path[1024], line[512], name[256];
	FILE *f;

	if (!room_of(file)) {
		print_error("%s is in no room\n", file);
		n_wrong++;
		return;
	}
	snprintf(path, sizeof(path), SOURCE_DIR "/src/%s", file);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " # include \"%255[^\"]\"", name) == 1)
			check_include(file, name);
	}
	fclose(f);
	n_files++;
}

static void check_folder(const char *folder)
{
	char path[1024];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), SOURCE_DIR "/src/%s", folder);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		char name[512];

		if (d->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s%s%s", folder, *folder ? "/" : "", d->d_name);
		if (d->d_type == DT_DIR)
			check_folder(name);
		else
			check_file(name);
	}
	closedir(dir);
}

static void nobody_looks_up(void **state)
{
	(void)state;
	check_folder("");
	assert_in_range(n_files, 100, 10000);
	for (size_t i = 0; exceptions[i].file; i++) {
		assert_true(strlen(exceptions[i].reason) > 10);
		if (exceptions[i].needed)
			continue;
		print_error("%s does not include %s any more: no exception is needed\n", exceptions[i].file,
			    exceptions[i].includes);
		n_wrong++;
	}
	assert_int_equal(n_wrong, 0);
}

/* ---- calls ---- */

struct symbol {
	char name[128];
	const struct room *defined_in;
	UT_hash_handle hh;
};

/* The one exception: the model uses the symbols of families, as it counts by their descriptors. */
static bool is_descriptors(const struct room *user, const struct room *of)
{
	return !strcmp(user->name, "model") && !strcmp(of->name, "families");
}

/* "ADDRESS T NAME" or "U NAME", for each global symbol of a room's library; false: this build has no such library. */
static bool read_symbols(const struct room *r, void (*take)(void *arg, const struct room *r, const char *name, char type),
			 void *arg)
{
	char command[600], line[512], name[128], type;
	FILE *f;

	snprintf(command, sizeof(command), ROOMS_DIR "/lib%s.a", r->name);
	if (access(command, R_OK))
		return false;
	snprintf(command, sizeof(command), "nm -g " ROOMS_DIR "/lib%s.a 2>/dev/null", r->name);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " U %127s", name) == 1)
			take(arg, r, name, 'U');
		else if (sscanf(line, "%*x %c %127s", &type, name) == 2)
			take(arg, r, name, type);
	}
	assert_int_equal(pclose(f), 0);
	return true;
}

static void take_defined(void *arg, const struct room *r, const char *name, char type)
{
	struct symbol **all = arg, *s;

	if (type == 'U')
		return;
	HASH_FIND_STR(*all, name, s);
	if (!s) {
		s = calloc(1, sizeof(*s));
		assert_non_null(s);
		snprintf(s->name, sizeof(s->name), "%s", name);
		HASH_ADD_STR(*all, name, s);
	}
	s->defined_in = r;
}

static void take_used(void *arg, const struct room *r, const char *name, char type)
{
	struct symbol **all = arg, *s;

	if (type != 'U')
		return;
	HASH_FIND_STR(*all, name, s);
	if (!s || s->defined_in == r || s->defined_in->height < r->height || is_descriptors(r, s->defined_in))
		return;
	print_error("%s uses %s of %s, which does not stand below it\n", r->name, name, s->defined_in->name);
	n_wrong++;
}

static void nobody_calls_up(void **state)
{
	struct symbol *all = NULL, *s, *tmp;
	size_t n = sizeof(rooms) / sizeof(rooms[0]) - 1, libraries = 0; /* main.c is not in a library */

	(void)state;
	n_wrong = 0;
	for (size_t i = 0; i < n; i++)
		libraries += read_symbols(&rooms[i], take_defined, &all);
	assert_true(libraries >= 10);
	assert_in_range(HASH_COUNT(all), 500, 100000);
	for (size_t i = 0; i < n; i++)
		read_symbols(&rooms[i], take_used, &all);
	HASH_ITER(hh, all, s, tmp)
	{
		HASH_DEL(all, s);
		free(s);
	}
	assert_int_equal(n_wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_looks_up),
		cmocka_unit_test(nobody_calls_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
