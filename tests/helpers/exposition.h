/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* A strict parser of the two exposition formats, for tests: Prometheus accepts whatever this parser accepts. */
#ifndef MB_TESTS_EXPOSITION_H
#define MB_TESTS_EXPOSITION_H

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/utf8.h"
#include "unit.h"

struct series {
	char *key; /* name{labels} as in the text */
	char *name;
	char *labels; /* without the braces */
	char *type; /* the family's type */
	long double value;
	UT_hash_handle hh;
};

struct family {
	char *name; /* as in the text */
	char *type, *help, *unit;
	UT_hash_handle hh;
};

struct exposition {
	struct series *series;
	struct family *families; /* in the order of the text */
	struct family *now;
	bool openmetrics, eof;
};

static inline void free_exposition(struct exposition *x)
{
	struct series *s, *st;
	struct family *f, *ft;

	HASH_ITER(hh, x->series, s, st)
	{
		HASH_DEL(x->series, s);
		free(s->key);
		free(s->name);
		free(s->labels);
		free(s);
	}
	HASH_ITER(hh, x->families, f, ft)
	{
		HASH_DEL(x->families, f);
		free(f->name);
		free(f->type);
		free(f->help);
		free(f->unit);
		free(f);
	}
	memset(x, 0, sizeof(*x));
}

static inline bool ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static inline size_t name_len(const char *s)
{
	size_t n = 0;

	while (isalpha((unsigned char)s[n]) || s[n] == '_' || (n && isdigit((unsigned char)s[n])))
		n++;
	return n;
}

/* Copies the unescaped value of one label into buf; NULL if there is no such label. Fails if labels is malformed. */
static inline const char *label_of(const char *labels, const char *want, char *buf, size_t size)
{
	const char *s = labels, *found = NULL;

	while (*s) {
		size_t n = name_len(s), len = 0;
		bool is = strlen(want) == n && strncmp(s, want, n) == 0;

		assert_true(n > 0);
		assert_true(s[n] == '=' && s[n + 1] == '"');
		for (s += n + 2; *s != '"'; s++) {
			assert_true((unsigned char)*s >= 0x20 && *s != 0x7f);
			if (*s == '\\') {
				s++;
				assert_true(*s == '\\' || *s == '"' || *s == 'n');
			}
			if (is && len + 1 < size)
				buf[len++] = *s;
		}
		if (is) {
			buf[len] = '\0';
			found = buf;
		}
		s++;
		if (*s)
			assert_int_equal(*s++, ',');
	}
	return found;
}

static inline void take_meta(struct exposition *x, char *line)
{
	char what[8], *name, *rest;
	struct family *f = NULL;

	if (strcmp(line, "# EOF") == 0) {
		assert_true(x->openmetrics);
		x->eof = true;
		return;
	}
	assert_int_equal(sscanf(line, "# %7s", what), 1);
	name = line + 3 + strlen(what);
	rest = strchr(name, ' ');
	assert_non_null(rest);
	*rest++ = '\0';
	assert_int_equal(name_len(name), strlen(name));
	HASH_FIND_STR(x->families, name, f);
	if (!f) {
		assert_string_equal(what, "HELP"); /* HELP is the first line of each family in our output */
		f = calloc(1, sizeof(*f));
		f->name = strdup(name);
		HASH_ADD_KEYPTR(hh, x->families, f->name, strlen(f->name), f);
		x->now = f;
	}
	assert_ptr_equal(f, x->now); /* families are contiguous and appear only once */
	if (strcmp(what, "HELP") == 0) {
		assert_null(f->help);
		assert_true(strlen(rest) > 3);
		f->help = strdup(rest);
	} else if (strcmp(what, "TYPE") == 0) {
		assert_null(f->type);
		f->type = strdup(rest);
		assert_true(x->openmetrics || strcmp(rest, "info") != 0);
	} else {
		assert_string_equal(what, "UNIT");
		assert_true(x->openmetrics);
		assert_true(ends_in(name, rest) && name[strlen(name) - strlen(rest) - 1] == '_');
		f->unit = strdup(rest);
	}
}

/* Does a sample of that name belong to the current family? */
static inline bool belongs(const struct exposition *x, const char *name)
{
	const struct family *f = x->now;
	size_t n = strlen(f->name);
	const char *rest = name + n;

	if (strncmp(name, f->name, n) != 0)
		return false;
	if (strcmp(f->type, "histogram") == 0)
		return !strcmp(rest, "_bucket") || !strcmp(rest, "_sum") || !strcmp(rest, "_count");
	if (strcmp(f->type, "counter") == 0)
		return x->openmetrics ? !strcmp(rest, "_total") : !*rest && ends_in(name, "_total");
	if (strcmp(f->type, "info") == 0)
		return strcmp(rest, "_info") == 0;
	return strcmp(f->type, "gauge") == 0 && !*rest && !ends_in(name, "_total");
}

static inline void take_sample(struct exposition *x, const char *line)
{
	const char *space = strrchr(line, ' '); /* labels may contain spaces, values cannot */
	size_t n = name_len(line);
	struct series *s = calloc(1, sizeof(*s)), *other = NULL;
	char *end;

	assert_true(n > 0);
	assert_non_null(space);
	s->key = strndup(line, (size_t)(space - line));
	s->name = strndup(line, n);
	s->labels = s->key[n] == '{' ? strndup(s->key + n + 1, strlen(s->key) - n - 2) : strdup("");
	if (s->key[n])
		assert_true(s->key[n] == '{' && ends_in(s->key, "}"));
	label_of(s->labels, "", NULL, 0);
	s->value = strtold(space + 1, &end);
	assert_true(end > space + 1 && !*end);
	assert_non_null(x->now);
	assert_non_null(x->now->type);
	if (!belongs(x, s->name))
		fail_msg("%s is in family %s", s->name, x->now->name);
	s->type = x->now->type;
	HASH_FIND_STR(x->series, s->key, other);
	if (other)
		fail_msg("twice: %s", s->key);
	HASH_ADD_KEYPTR(hh, x->series, s->key, strlen(s->key), s);
}

/* Buckets never decrease and end in +Inf, which equals the count. A sum exists. */
static inline void check_histograms(struct exposition *x)
{
	struct series *s, *t, *count = NULL;
	long double last = 0;
	char le[32];

	HASH_ITER(hh, x->series, s, t)
	{
		if (strcmp(s->type, "histogram") != 0)
			continue;
		if (ends_in(s->name, "_bucket")) {
			assert_non_null(label_of(s->labels, "le", le, sizeof(le)));
			assert_true(s->value >= last);
			last = s->value;
			count = strcmp(le, "+Inf") == 0 ? s : NULL;
		} else if (ends_in(s->name, "_sum")) {
			assert_non_null(count); /* follows +Inf directly */
		} else {
			assert_true(s->value == last && count);
			last = 0;
		}
	}
}

static inline void read_exposition(struct exposition *x, const char *text, size_t len, bool openmetrics)
{
	char *copy = strndup(text, len), *next;

	memset(x, 0, sizeof(*x));
	x->openmetrics = openmetrics;
	assert_int_equal(strlen(copy), len);
	assert_true(len && copy[len - 1] == '\n');
	for (const char *s = copy; *s; s += mb_utf8_len(s))
		assert_int_not_equal(mb_utf8_len(s), 0);
	for (char *line = copy; *line; line = next) {
		next = strchr(line, '\n');
		*next++ = '\0';
		assert_false(x->eof);
		if (line[0] == '#')
			take_meta(x, line);
		else
			take_sample(x, line);
	}
	assert_int_equal(x->eof, openmetrics);
	check_histograms(x);
	free(copy);
}

/* Sums all series of that name whose labels contain the text; *n is the number of these series. */
static inline long double sum_of(const struct exposition *x, const char *name, const char *with, unsigned int *n)
{
	const struct series *s, *t;
	long double sum = 0;

	*n = 0;
	HASH_ITER(hh, x->series, s, t)
	{
		if (strcmp(s->name, name) != 0 || !strstr(s->labels, with))
			continue;
		sum += s->value;
		(*n)++;
	}
	return sum;
}

#endif
