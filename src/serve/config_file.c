// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The configuration file. libinih parses it line by line, but it silently accepts some mistakes: text after a
 * section, a colon instead of =, a line that is too long or that continues the previous one. Such lines are rejected
 * here and not passed on.
 */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "serve/config.h"

#define MAX_FILE 65536

/* The path of a cgroup and some room. libinih counts three bytes more. */
#define MAX_LINE 1021

struct reading {
	struct mb_serve_config *c;
	struct mb_config_diagnostics *m;
	const char *at, *end;
	unsigned int line;
	bool skip; /* ignore lines up to the next section: this section is unknown */
	bool in_section;
	bool wrong; /* this line already has a diagnostic */
};

static void mistake(struct mb_config_diagnostics *m, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void mistake(struct mb_config_diagnostics *m, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	m->total++;
	if (m->n == MB_CONFIG_DIAGNOSTICS)
		return;
	va_start(ap, fmt);
	vsnprintf(m->list[m->n].text, sizeof(m->list[0].text), fmt, ap);
	va_end(ap);
	m->list[m->n++].line = line;
}

const char *mb_config_diagnostic(const struct mb_config_diagnostics *m, unsigned int i, char *buf, size_t size)
{
	if (m->list[i].line)
		snprintf(buf, size, "%s:%u: %s", m->path, m->list[i].line, m->list[i].text);
	else
		snprintf(buf, size, "%s: %s", m->path, m->list[i].text);
	return buf;
}

/* Levenshtein distance: how many letters must be changed, inserted or removed. For words of up to 31 letters. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32], n = (unsigned int)strlen(b);

	if (strlen(a) > 31 || n > 31)
		return 99;
	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 1; a[i - 1]; i++) {
		unsigned int before = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			unsigned int change = before + (a[i - 1] != b[j - 1]);

			before = row[j];
			row[j] = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
			row[j] = change < row[j] ? change : row[j];
		}
	}
	return row[n];
}

static void unknown_section(struct reading *r, const char *name)
{
	const struct mb_serve_key *keys = mb_serve_keys(), *best = NULL;
	unsigned int least = 3;

	for (int k = 0; k < MB_SERVE_KEYS; k++) {
		if (distance(name, keys[k].section) < least) {
			least = distance(name, keys[k].section);
			best = &keys[k];
		}
	}
	if (best)
		mistake(r->m, r->line, "there is no section [%.40s]; did you mean [%s]?", name, best->section);
	else
		mistake(r->m, r->line, "there is no section [%.40s]; write [serve], [record], [metrics], [oom] or "
			"[history]", name);
}

static void unknown_key(struct reading *r, const char *section, const char *name)
{
	const struct mb_serve_key *keys = mb_serve_keys(), *best = NULL;
	unsigned int least = 3;

	for (int k = 0; k < MB_SERVE_KEYS; k++) {
		bool here = !strcmp(section, keys[k].section);
		/* the same key in another section is as likely as a key of this section with one wrong letter */
		unsigned int d = here ? distance(name, keys[k].key) : strcmp(name, keys[k].key) ? 99 : 1;

		if (d < least) {
			least = d;
			best = &keys[k];
		}
	}
	if (best && strcmp(section, best->section))
		mistake(r->m, r->line, "[%s] has no key '%.40s'; it belongs into [%s]", section, name, best->section);
	else if (best)
		mistake(r->m, r->line, "[%s] has no key '%.40s'; did you mean '%s'?", section, name, best->key);
	else
		mistake(r->m, r->line, "[%s] has no key '%.40s'; remove the line", section, name);
}

static int find(const char *section, const char *key)
{
	const struct mb_serve_key *keys = mb_serve_keys();

	for (int k = 0; k < MB_SERVE_KEYS; k++) {
		if (!strcmp(keys[k].section, section) && (!key || !strcmp(keys[k].key, key)))
			return k;
	}
	return -1;
}

static int on_value(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;
	const struct mb_serve_key *key;
	char why[MB_CONFIG_WHY];
	void *field;
	int k;

	if (!name || r->skip || r->wrong)
		return 1;
	k = find(section, name);
	if (k < 0) {
		unknown_key(r, section, name);
		return 1;
	}
	key = &mb_serve_keys()[k];
	field = (char *)r->c + key->offset;
	if (r->c->from[k] > 0 && !mb_config_is_list(key->range.kind)) {
		mistake(r->m, r->line, "%s is there already, on line %d; remove one", name, r->c->from[k]);
		return 1;
	}
	/* the first word replaces the default */
	if (r->c->from[k] <= 0 && mb_config_is_list(key->range.kind))
		mb_config_value_free(field, key->range.kind);
	r->c->from[k] = (int)r->line;
	if (mb_config_value_parse(field, &key->range, value ? value : "", why))
		mistake(r->m, r->line, "%s %s", name, why);
	return 1;
}

/* Describe bytes that are not allowed in a text; NULL if there are none. */
static const char *strange(const char *line)
{
	for (const char *p = line; *p;) {
		size_t n = mb_utf8_len(p);

		if (!n)
			return "a byte that is not UTF-8";
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return "a control character";
		p += n;
	}
	return NULL;
}

static void cut_comment(char *line)
{
	for (char *p = line; *p; p++) {
		if (*p == ';' && (p == line || p[-1] == ' ' || p[-1] == '\t'))
			*p = '\0';
		if (!*p)
			break;
	}
}

static bool check_section(struct reading *r, char *line)
{
	char *end = strchr(line, ']'), was;

	r->skip = true;
	r->in_section = true;
	if (!end || end[1 + strspn(end + 1, " \t")]) {
		mistake(r->m, r->line, end ? "there is text behind the section; write it on a line of its own" :
					     "a section has no ]; write [NAME]");
		return false;
	}
	was = *end;
	*end = '\0';
	r->skip = find(line + 1, NULL) < 0;
	if (r->skip)
		unknown_section(r, line + 1);
	*end = was;
	return !r->skip;
}

/* Whether a line (without its end and its leading blanks) may be passed to libinih. If not, adds a diagnostic. */
static bool check_line(struct reading *r, char *line)
{
	const char *bad = strange(line), *mark;

	if (bad) {
		mistake(r->m, r->line, "%s; write plain text", bad);
		return false;
	}
	if (*line == '#')
		return false;
	cut_comment(line);
	if (!*line)
		return false;
	if (*line == '[')
		return check_section(r, line);
	mark = strpbrk(line, "=:");
	if (!mark || *mark != '=')
		mistake(r->m, r->line, "no = behind the first word; write KEY = VALUE");
	else if (mark == line)
		mistake(r->m, r->line, "there is no key before the =; write KEY = VALUE");
	else if (!r->in_section)
		mistake(r->m, r->line, "a key before the first section; write a [SECTION] above it");
	else
		return true;
	return false;
}

/* Callback of libinih: the next line, or an empty one instead of a line that must not be passed on. */
static char *next_line(char *buf, int size, void *arg)
{
	struct reading *r = arg;
	const char *newline, *start = r->at;
	size_t len;

	if (start >= r->end)
		return NULL;
	newline = memchr(start, '\n', (size_t)(r->end - start));
	r->at = newline ? newline + 1 : r->end;
	len = (size_t)((newline ? newline : r->end) - start);
	r->line++;
	r->wrong = false;
	if (r->line == 1 && len >= 3 && !memcmp(start, "\xef\xbb\xbf", 3)) {
		start += 3;
		len -= 3;
	}
	if (len && start[len - 1] == '\r')
		len--;
	for (; len && (*start == ' ' || *start == '\t'); len--)
		start++;
	buf[0] = '\0';
	if (len > MAX_LINE || len + 3 > (size_t)size) {
		mistake(r->m, r->line, "the line has %zu bytes; write at most %d", len, MAX_LINE);
		return buf;
	}
	memcpy(buf, start, len);
	buf[len] = '\0';
	if (memchr(start, '\0', len)) {
		mistake(r->m, r->line, "a control character; write plain text");
		buf[0] = '\0';
	} else if (!check_line(r, buf)) {
		r->wrong = true;
		buf[0] = '\0';
	}
	return buf;
}

unsigned int mb_serve_config_parse(struct mb_serve_config *c, const char *text, size_t len,
				   struct mb_config_diagnostics *m)
{
	struct reading r = { .c = c, .m = m, .at = text, .end = text + len };
	int err;

	m->n = m->total = 0;
	/* a global of libinih: always set to the same value, so other callers do not matter */
	ini_max_line = MAX_LINE + 3;
	err = ini_parse_stream(next_line, &r, on_value, &r);
	if (err && !m->total)
		mistake(m, err > 0 ? (unsigned int)err : 0, err > 0 ? "cannot be understood; write KEY = VALUE" :
								     "there is no memory to read it");
	return m->total;
}

/* Whether this file may control a privileged process. If not, adds a diagnostic. */
static bool check_file(const struct stat *st, struct mb_config_diagnostics *m)
{
	if (!S_ISREG(st->st_mode))
		mistake(m, 0, "is %s; write the path of a file", S_ISDIR(st->st_mode) ? "a folder" : "no plain file");
	else if (st->st_uid && st->st_uid != geteuid())
		mistake(m, 0, "belongs to user %u, who could have memblame do anything; chown it to root", st->st_uid);
	else if (st->st_mode & (S_IWGRP | S_IWOTH))
		mistake(m, 0, "can be written by others than its owner, who could have memblame do anything; "
			"chmod go-w it");
	else if (st->st_size > MAX_FILE)
		mistake(m, 0, "has %lld bytes; write at most %d", (long long)st->st_size, MAX_FILE);
	else
		return true;
	return false;
}

/* Read a whole file into buf. Returns the number of bytes, or -1 with a diagnostic. */
static ssize_t read_file(const char *path, char *buf, size_t size, struct mb_config_diagnostics *m)
{
	/* O_NONBLOCK: opening a FIFO must not block */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n = 0, len = 0;

	if (fd < 0) {
		mistake(m, 0, "cannot be opened: %s; write the path of a file that can be read", strerror(errno));
		return -1;
	}
	if (fstat(fd, &st)) {
		mistake(m, 0, "cannot be read: %s", strerror(errno));
		len = -1;
	} else if (!check_file(&st, m)) {
		len = -1;
	}
	while (len >= 0 && (size_t)len < size && (n = read(fd, buf + len, size - (size_t)len)) > 0)
		len += n;
	if (n < 0) {
		mistake(m, 0, "cannot be read: %s", strerror(errno));
		len = -1;
	}
	close(fd);
	return len;
}

int mb_serve_config_read(struct mb_serve_config *c, const char *path, struct mb_config_diagnostics *m, struct mb_err *e)
{
	char *text = malloc(MAX_FILE), first[MB_CONFIG_WHY + 128];
	ssize_t len;

	m->n = m->total = 0;
	m->path = path;
	if (!text)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "cannot read %s", path);
	len = read_file(path, text, MAX_FILE, m);
	if (len >= 0)
		mb_serve_config_parse(c, text, (size_t)len, m);
	free(text);
	if (!m->total)
		return 0;
	mb_config_diagnostic(m, 0, first, sizeof(first));
	if (m->total == 1)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "%s", first);
	return mb_err_set(e, MB_EXIT_USAGE, 0, "%s (and %u more: memblame serve --check-config --config %s)", first,
			  m->total - 1, path);
}
