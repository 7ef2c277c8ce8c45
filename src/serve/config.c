// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The configuration of serve: its table, how it is loaded, and how it is shown. */
#include "serve/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "families_text.h"

#define WHEN_RELOAD true
#define WHEN_RESTART false

static const struct mb_serve_key keys[MB_SERVE_KEYS] = {
#define MB_KEY(section, key, field, kind, least, most, def, when, help)                                    \
	{ #section, #key, "[" #section "] " #key, { MB_CONFIG_##kind, least, most }, def, WHEN_##when, \
	  offsetof(struct mb_serve_config, field), help },
#include "serve/config.def"
#undef MB_KEY
};

const struct mb_serve_key *mb_serve_keys(void)
{
	return keys;
}

static void *field_of(struct mb_serve_config *c, int key)
{
	return (char *)c + keys[key].offset;
}

static const void *const_field_of(const struct mb_serve_config *c, int key)
{
	return (const char *)c + keys[key].offset;
}

int mb_serve_config_default(struct mb_serve_config *c, struct mb_err *e)
{
	char why[MB_CONFIG_WHY];

	memset(c, 0, sizeof(*c));
	for (int k = 0; k < MB_SERVE_KEYS; k++) {
		/* "" is an empty list */
		if (!*keys[k].initial || !mb_config_value_parse(field_of(c, k), &keys[k].range, keys[k].initial, why))
			continue;
		mb_serve_config_free(c);
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "cannot make a configuration");
	}
	return 0;
}

void mb_serve_config_free(struct mb_serve_config *c)
{
	for (int k = 0; k < MB_SERVE_KEYS; k++)
		mb_config_value_free(field_of(c, k), keys[k].range.kind);
	memset(c, 0, sizeof(*c));
}

int mb_serve_override(struct mb_serve_overrides *o, int key, const char *option, const char *value, struct mb_err *e)
{
	if (o->n == MB_SERVE_OVERRIDES)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "too many options; write them into a file (--config)");
	o->list[o->n].key = key;
	o->list[o->n].option = option;
	o->list[o->n++].value = value;
	return 0;
}

static int override(struct mb_serve_config *c, int key, const char *option, const char *value, struct mb_err *e)
{
	char why[MB_CONFIG_WHY], path[PATH_MAX];
	void *field = field_of(c, key);
	uint64_t families = key == MB_SERVE_families && c->from[key] < 0 ? c->families : 0;
	int err;

	/* the first word of a list replaces those of the file; further -f options add to it */
	if (mb_config_is_list(keys[key].range.kind) && c->from[key] >= 0)
		mb_config_value_free(field, keys[key].range.kind);
	/*
	 * on a command line, paths are relative to the current directory; the service may change its directory, so
	 * make them absolute
	 */
	if (keys[key].range.kind == MB_CONFIG_PATH && *value && *value != '/') {
		size_t len;

		if (!getcwd(path, sizeof(path)))
			return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot tell which folder %s is in", value);
		len = strlen(path);
		if ((size_t)snprintf(path + len, sizeof(path) - len, "/%s", value) >= sizeof(path) - len)
			return mb_err_set(e, MB_EXIT_USAGE, ENAMETOOLONG, "%s %s", option, value);
		value = path;
	}
	err = mb_config_value_parse(field, &keys[key].range, value, why);
	if (err)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "%s %s", option, why);
	c->families |= families;
	c->from[key] = -1;
	return 0;
}

/* "MINUTES,HOURS,MIB" sets three keys. */
static int override_history(struct mb_serve_config *c, const char *option, const char *value, struct mb_err *e)
{
	struct mb_history_config h;
	unsigned int v[3];
	char text[32];
	int err = 0;

	if (mb_history_parse(value, &h) || sscanf(value, "%u,%u,%u", &v[0], &v[1], &v[2]) != 3)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "%s cannot be '%s'; write MINUTES,HOURS,MIB", option, value);
	for (int i = 0; i < 3 && !err; i++) {
		snprintf(text, sizeof(text), "%u%s", v[i], i == 2 ? "MiB" : "");
		err = override(c, MB_SERVE_history_minutes + i, option, text, e);
	}
	return err;
}

/* Describe where an interval was set, for messages. */
static const char *source(const struct mb_serve_config *c, int key, const char *path, char *buf, size_t size)
{
	if (c->from[key] > 0)
		snprintf(buf, size, "%s:%d: %s", path, c->from[key], keys[key].name);
	else
		snprintf(buf, size, "%s%s", c->from[key] ? "command line: " : "", keys[key].name);
	return buf;
}

static int fit(struct mb_serve_config *c, const char *path, struct mb_err *e)
{
	char buf[256];

	if (c->record_interval_ns >= c->interval_ns)
		return 0;
	if (c->from[MB_SERVE_record_interval_ns])
		return mb_err_set(e, MB_EXIT_USAGE, 0, "%s is shorter than [serve] interval; write at least that",
				  source(c, MB_SERVE_record_interval_ns, path, buf, sizeof(buf)));
	c->record_interval_ns = c->interval_ns;
	return 0;
}

int mb_serve_config_load(struct mb_serve_config *c, const char *path, const struct mb_serve_overrides *o,
			 struct mb_config_diagnostics *m, struct mb_err *e)
{
	int err = mb_serve_config_default(c, e);

	m->n = m->total = 0;
	if (!err && path)
		err = mb_serve_config_read(c, path, m, e);
	for (size_t i = 0; i < o->n && !err; i++) {
		if (o->list[i].key == MB_SERVE_KEYS)
			err = override_history(c, o->list[i].option, o->list[i].value, e);
		else
			err = override(c, o->list[i].key, o->list[i].option, o->list[i].value, e);
	}
	if (!err)
		err = fit(c, path, e);
	if (err)
		mb_serve_config_free(c);
	return err;
}

static void show_key(const struct mb_serve_config *c, int k, bool help, struct mb_out *o)
{
	const struct mb_serve_key *key = &keys[k];
	const void *field = const_field_of(c, k);
	char range[MB_CONFIG_WHY];
	size_t n = mb_config_is_list(key->range.kind) ? ((const struct mb_words *)field)->n : 1;

	if (help)
		mb_out_printf(o, "\n# %s\n# (%s%s)\n", key->help, mb_config_value_range(&key->range, range),
			      key->reload ? "" : "; a change needs a restart");
	for (size_t i = 0; i < n; i++) {
		mb_out_printf(o, "%s = ", key->key);
		mb_config_value_show(field, key->range.kind, i, o);
		mb_out_text(o, "\n", 1);
	}
	if (!n && help)
		mb_out_printf(o, "#%s =\n", key->key);
}

void mb_serve_config_show(const struct mb_serve_config *c, bool help, struct mb_out *o)
{
	if (help)
		mb_out_printf(o, "# The configuration of memblame serve, with all its defaults. What is wrong with a file, "
			      "or what it\n# comes to: memblame serve --check-config --config FILE\n\n");
	for (int k = 0; k < MB_SERVE_KEYS; k++) {
		if (!k || strcmp(keys[k].section, keys[k - 1].section))
			mb_out_printf(o, "%s[%s]\n", k ? "\n" : "", keys[k].section);
		show_key(c, k, help, o);
	}
}

static void json_key(const struct mb_serve_config *c, int k, struct mb_out *o)
{
	const struct mb_serve_key *key = &keys[k];
	const void *field = const_field_of(c, k);
	const struct mb_words *w = field;
	char text[MB_CONFIG_WHY];
	uint64_t v;

	if (mb_config_is_list(key->range.kind)) {
		mb_json_array(o, key->key);
		for (size_t i = 0; i < w->n; i++)
			mb_json_str(o, NULL, w->list[i]);
		mb_json_array_end(o);
		return;
	}
	if (key->range.kind == MB_CONFIG_PATH) {
		mb_json_str(o, key->key, *(char *const *)field);
		return;
	}
	v = *(const uint64_t *)field;
	if (key->range.kind == MB_CONFIG_YESNO)
		mb_json_bool(o, key->key, v);
	else if (key->range.kind == MB_CONFIG_COUNT)
		mb_json_u64(o, key->key, v);
	else
		mb_json_str(o, key->key, mb_config_number_text(v, key->range.kind, text));
}

void mb_serve_config_json(const struct mb_serve_config *c, struct mb_out *o)
{
	for (int k = 0; k < MB_SERVE_KEYS; k++) {
		bool first = !k || strcmp(keys[k].section, keys[k - 1].section);

		if (first && k)
			mb_json_object_end(o);
		if (first)
			mb_json_object(o, keys[k].section);
		json_key(c, k, o);
	}
	mb_json_object_end(o);
}

static bool differs(const struct mb_serve_config *a, const struct mb_serve_config *b, int k)
{
	return !mb_config_value_equal(const_field_of(a, k), const_field_of(b, k), keys[k].range.kind);
}

void mb_serve_config_changes(const struct mb_serve_config *from, const struct mb_serve_config *to,
			     struct mb_serve_changes *out)
{
	memset(out, 0, sizeof(*out));
	for (int k = 0; k < MB_SERVE_KEYS; k++) {
		if (!differs(from, to, k))
			continue;
		if (keys[k].reload)
			out->reload[out->n_reload++] = keys[k].name;
		else
			out->restart[out->n_restart++] = keys[k].name;
	}
}

static size_t size_of(enum mb_config_kind kind)
{
	return mb_config_is_list(kind)	? sizeof(struct mb_words) :
	       kind == MB_CONFIG_PATH ? sizeof(char *) :
					sizeof(uint64_t);
}

void mb_serve_config_take(struct mb_serve_config *running, struct mb_serve_config *loaded)
{
	char retained[sizeof(struct mb_words)];

	for (int k = 0; k < MB_SERVE_KEYS; k++) {
		size_t size = size_of(keys[k].range.kind);
		int from = running->from[k];

		if (!keys[k].reload)
			continue;
		memcpy(retained, field_of(running, k), size);
		memcpy(field_of(running, k), field_of(loaded, k), size);
		memcpy(field_of(loaded, k), retained, size);
		running->from[k] = loaded->from[k];
		loaded->from[k] = from;
	}
}

struct mb_history_config mb_serve_config_history(const struct mb_serve_config *c)
{
	struct mb_history_config h = mb_history_default;

	h.fine = (uint32_t)(c->history_minutes * 60);
	h.coarse = (uint32_t)(c->history_hours * 60);
	h.bytes = (size_t)c->history_bytes;
	return h;
}
