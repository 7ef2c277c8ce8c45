// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Values of a configuration file: parses text into a checked number or list, and formats it again. */
#include "serve/config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "memblame/family.h"
#include "serve/listen.h"

#define VALUE_TEXT MB_CONFIG_WHY

static const char *const logs[] = { "quiet", "normal", "verbose" };

static void show_number(uint64_t v, enum mb_config_kind kind, char *buf)
{
	size_t len = 0;

	switch (kind) {
	case MB_CONFIG_YESNO:
		snprintf(buf, VALUE_TEXT, "%s", v ? "yes" : "no");
		return;
	case MB_CONFIG_SIZE:
		mb_show_bytes(v, buf, VALUE_TEXT);
		return;
	case MB_CONFIG_DURATION:
		mb_show_time(v, buf, VALUE_TEXT);
		return;
	case MB_CONFIG_PERCENT:
		if (v)
			snprintf(buf, VALUE_TEXT, "%.10g", (double)v / 10000);
		else
			snprintf(buf, VALUE_TEXT, "off");
		return;
	case MB_CONFIG_LOG:
		snprintf(buf, VALUE_TEXT, "%s", logs[v]);
		return;
	case MB_CONFIG_FAMILIES:
		buf[0] = '\0';
		for (unsigned int id = 0; id < MB_FAM_MAX; id++) {
			if (v & 1ull << id && mb_family_by_id(id))
				len += (size_t)snprintf(buf + len, VALUE_TEXT - len, "%s%s", len ? "," : "",
							mb_family_by_id(id)->name);
		}
		return;
	case MB_CONFIG_COUNT:
	case MB_CONFIG_PATH:
	case MB_CONFIG_LISTEN:
	case MB_CONFIG_CGROUPS:
		break;
	}
	snprintf(buf, VALUE_TEXT, "%" PRIu64, v);
}

static bool parse_families(const char *text, uint64_t *out, char *why)
{
	char name[32], all[VALUE_TEXT];
	const struct mb_family *f;
	uint64_t mask = 0;

	/* a trailing comma is followed by an empty name, which is an error */
	for (const char *p = text;; p++) {
		size_t n = strcspn(p, ",");

		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		f = mb_family_by_name(name);
		if (!f) {
			show_number(UINT64_MAX, MB_CONFIG_FAMILIES, all);
			snprintf(why, MB_CONFIG_WHY, "there is no family '%s'; write some of %.150s", name, all);
			return false;
		}
		mask |= 1ull << f->id;
		p += n;
		if (!*p)
			break;
	}
	*out = mask;
	return true;
}

const char *mb_config_number_text(uint64_t v, enum mb_config_kind kind, char *buf)
{
	show_number(v, kind, buf);
	return buf;
}

const char *mb_config_value_range(const struct mb_config_range *r, char *buf)
{
	char least[VALUE_TEXT], most[VALUE_TEXT];

	switch (r->kind) {
	case MB_CONFIG_YESNO:
		snprintf(buf, MB_CONFIG_WHY, "yes or no");
		break;
	case MB_CONFIG_LOG:
		snprintf(buf, MB_CONFIG_WHY, "quiet, normal or verbose");
		break;
	case MB_CONFIG_FAMILIES:
		snprintf(buf, MB_CONFIG_WHY, "names with commas between");
		break;
	case MB_CONFIG_PATH:
		snprintf(buf, MB_CONFIG_WHY, "a path from / on");
		break;
	case MB_CONFIG_LISTEN:
	case MB_CONFIG_CGROUPS:
		snprintf(buf, MB_CONFIG_WHY, "up to %" PRIu64, r->most);
		break;
	case MB_CONFIG_COUNT:
	case MB_CONFIG_SIZE:
	case MB_CONFIG_DURATION:
	case MB_CONFIG_PERCENT:
		show_number(r->least, r->kind, least);
		show_number(r->most, r->kind, most);
		snprintf(buf, MB_CONFIG_WHY, "%.60s to %.60s%s", least, most,
			 r->kind == MB_CONFIG_PERCENT ? ", or off" : "");
		break;
	}
	return buf;
}

/*
 * Parse a kind that is stored as a number. Returns false if text is not valid; then why may already describe the
 * problem.
 */
static bool parse_number(const char *text, enum mb_config_kind kind, uint64_t *v, char *why)
{
	switch (kind) {
	case MB_CONFIG_YESNO:
		*v = !strcmp(text, "yes");
		return *v || !strcmp(text, "no");
	case MB_CONFIG_COUNT:
		return text[strspn(text, "0123456789")] == '\0' && mb_parse_number(text, strlen(text), 1, v);
	case MB_CONFIG_SIZE:
		return mb_parse_bytes(text, v);
	case MB_CONFIG_DURATION:
		return mb_parse_time(text, v);
	case MB_CONFIG_PERCENT:
		*v = 0;
		return !strcmp(text, "off") || (text[strspn(text, "0123456789.")] == '\0' &&
						mb_parse_number(text, strlen(text), 10000, v) && *v);
	case MB_CONFIG_LOG:
		for (*v = 0; *v <= MB_LOG_VERBOSE; ++*v) {
			if (!strcmp(text, logs[*v]))
				return true;
		}
		return false;
	case MB_CONFIG_FAMILIES:
		return parse_families(text, v, why);
	case MB_CONFIG_PATH:
	case MB_CONFIG_LISTEN:
	case MB_CONFIG_CGROUPS:
		break;
	}
	return false;
}

static const char *example(enum mb_config_kind kind)
{
	return kind == MB_CONFIG_SIZE	  ? ", as in 512MiB" :
	       kind == MB_CONFIG_DURATION ? ", as in 90s or 1h30m" :
					    "";
}

static int set_number(uint64_t *field, const struct mb_config_range *r, const char *text, char *why)
{
	char range[MB_CONFIG_WHY];
	uint64_t v;
	bool ok;

	why[0] = '\0';
	ok = parse_number(text, r->kind, &v, why);
	if (ok && r->most && (v < r->least || v > r->most))
		ok = r->kind == MB_CONFIG_PERCENT && !v;
	if (!ok && !why[0])
		snprintf(why, MB_CONFIG_WHY, "cannot be '%.60s'; write %s%s", text, mb_config_value_range(r, range),
			 example(r->kind));
	if (!ok)
		return -EINVAL;
	*field = v;
	return 0;
}

static int check_word(const struct mb_words *w, const struct mb_config_range *r, const char *text, char *why)
{
	struct mb_address a, b;
	struct mb_err e = { 0 };

	if (w->n == r->most) {
		snprintf(why, MB_CONFIG_WHY, "can be given %" PRIu64 " times at most", r->most);
		return -EINVAL;
	}
	if (r->kind == MB_CONFIG_LISTEN && mb_address_parse(&a, text, &e)) {
		snprintf(why, MB_CONFIG_WHY, "cannot be this: %.230s", e.text);
		return -EINVAL;
	}
	for (size_t i = 0; i < w->n; i++) {
		bool same = r->kind == MB_CONFIG_LISTEN ?
				    !mb_address_parse(&b, w->list[i], &e) && mb_address_equal(&a, &b) :
				    !strcmp(w->list[i], text);

		if (!same)
			continue;
		snprintf(why, MB_CONFIG_WHY, "'%.100s' is there twice; remove one", text);
		return -EINVAL;
	}
	return 0;
}

static int no_memory(char *why)
{
	snprintf(why, MB_CONFIG_WHY, "there is no memory for it");
	return -ENOMEM;
}

static int add_word(struct mb_words *w, const struct mb_config_range *r, const char *text, char *why)
{
	int err = check_word(w, r, text, why);
	char **list, *word;

	if (err)
		return err;
	list = realloc(w->list, (w->n + 1) * sizeof(*list));
	if (list)
		w->list = list;
	word = list ? strdup(text) : NULL;
	if (!word)
		return no_memory(why);
	w->list[w->n++] = word;
	return 0;
}

int mb_config_value_parse(void *field, const struct mb_config_range *r, const char *text, char *why)
{
	char *path;

	if (!*text) {
		snprintf(why, MB_CONFIG_WHY, "has no value; write one behind the =, or remove the line");
		return -EINVAL;
	}
	if (mb_config_is_list(r->kind))
		return add_word(field, r, text, why);
	if (r->kind != MB_CONFIG_PATH)
		return set_number(field, r, text, why);
	if (*text != '/') {
		snprintf(why, MB_CONFIG_WHY, "cannot be '%.100s'; write a path from / on", text);
		return -EINVAL;
	}
	path = strdup(text);
	if (!path)
		return no_memory(why);
	free(*(char **)field);
	*(char **)field = path;
	return 0;
}

void mb_config_value_show(const void *field, enum mb_config_kind kind, size_t index, struct mb_out *o)
{
	char text[VALUE_TEXT];

	if (mb_config_is_list(kind)) {
		mb_out_printf(o, "%s", ((const struct mb_words *)field)->list[index]);
	} else if (kind == MB_CONFIG_PATH) {
		mb_out_printf(o, "%s", *(char *const *)field);
	} else {
		show_number(*(const uint64_t *)field, kind, text);
		mb_out_printf(o, "%s", text);
	}
}

bool mb_config_value_equal(const void *a, const void *b, enum mb_config_kind kind)
{
	const struct mb_words *v = a, *w = b;

	if (kind == MB_CONFIG_PATH)
		return !strcmp(*(char *const *)a, *(char *const *)b);
	if (!mb_config_is_list(kind))
		return *(const uint64_t *)a == *(const uint64_t *)b;
	for (size_t i = 0; i < v->n && v->n == w->n; i++) {
		if (strcmp(v->list[i], w->list[i]))
			return false;
	}
	return v->n == w->n;
}

void mb_config_value_free(void *field, enum mb_config_kind kind)
{
	struct mb_words *w = field;

	if (kind == MB_CONFIG_PATH) {
		free(*(char **)field);
		*(char **)field = NULL;
	} else if (mb_config_is_list(kind)) {
		for (size_t i = 0; i < w->n; i++)
			free(w->list[i]);
		free(w->list);
		*w = (struct mb_words){ 0 };
	}
}
