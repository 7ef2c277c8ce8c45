// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Names and mount points of devices. */
#include "model/device_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mb_device_names_free(struct mb_device_names *d)
{
	free(d->list);
	memset(d, 0, sizeof(*d));
}

static struct mb_device_entry *find(const struct mb_device_names *d, const char *bdi)
{
	for (uint32_t i = 0; i < d->n; i++) {
		if (!strncmp(d->list[i].name.bdi, bdi, MB_BDI_NAME_LEN))
			return &d->list[i];
	}
	return NULL;
}

const struct mb_device_name *mb_device_name_of(const struct mb_device_names *d, const char *bdi)
{
	const struct mb_device_entry *e = find(d, bdi);

	return e && e->looked_for ? &e->name : NULL;
}

static struct mb_device_entry *get(struct mb_device_names *d, const char *bdi)
{
	struct mb_device_entry *e = find(d, bdi);

	if (e)
		return e;
	if (!d->list)
		d->list = calloc(MB_DEVICES_NAMED, sizeof(*d->list));
	if (!d->list) {
		d->evicted++;
		return NULL;
	}
	if (d->n == MB_DEVICES_NAMED) {
		memmove(d->list, d->list + 1, (MB_DEVICES_NAMED - 1) * sizeof(*d->list));
		d->n--;
		d->evicted++;
	}
	e = memset(&d->list[d->n++], 0, sizeof(*d->list));
	snprintf(e->name.bdi, sizeof(e->name.bdi), "%.*s", MB_BDI_NAME_LEN - 1, bdi);
	return e;
}

void mb_device_note(struct mb_device_names *d, const char *bdi, uint32_t dev)
{
	struct mb_device_entry *e = bdi[0] ? get(d, bdi) : NULL;

	if (e && dev)
		e->dev = dev;
}

void mb_device_named(struct mb_device_names *d, const struct mb_device_name *name)
{
	struct mb_device_entry *e = get(d, name->bdi);
	struct mb_device_name *n = e ? &e->name : NULL;

	if (!e)
		return;
	e->looked_for = true;
	if (name->device[0])
		memcpy(n->device, name->device, sizeof(n->device) - 1);
	if (name->mounts[0]) {
		memcpy(n->mounts, name->mounts, sizeof(n->mounts));
		memset(n->mounts + sizeof(n->mounts) - 2, 0,
		       2); /* data from a recording may be unterminated */
	}
}

const char *mb_device_mount(const struct mb_device_name *d, size_t i)
{
	const char *m = d->mounts, *end = d->mounts + sizeof(d->mounts) - 1;

	while (i-- && m < end && *m)
		m += strlen(m) + 1;
	return m < end && *m ? m : NULL;
}

bool mb_device_add_mount(struct mb_device_name *d, const char *path)
{
	size_t used = 0, len = strlen(path);
	const char *m;

	for (size_t i = 0; (m = mb_device_mount(d, i)); i++)
		used = (size_t)(m - d->mounts) + strlen(m) + 1;
	if (!len || used + len + 2 > sizeof(d->mounts))
		return false;
	memcpy(d->mounts + used, path, len + 1);
	d->mounts[used + len + 1] = '\0';
	return true;
}

const char *mb_device_text(const struct mb_device_names *d, const char *bdi, char *buf, size_t size)
{
	const struct mb_device_name *n = mb_device_name_of(d, bdi);
	const char *m;
	size_t len;

	snprintf(buf, size, "%s", n && n->device[0] ? n->device : bdi);
	for (size_t i = 0; n && (m = mb_device_mount(n, i)); i++) {
		len = strlen(buf);
		snprintf(buf + len, size - len, "%s%s", i ? ", " : " (", m);
	}
	len = strlen(buf);
	if (n && n->mounts[0])
		snprintf(buf + len, size - len, ")");
	return buf;
}

/* ---- mountinfo ---- */

/* procfs escapes a space as \040 etc. (man 5 proc_pid_mountinfo). */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		unsigned int code;

		if (*s == '\\' && sscanf(s + 1, "%3o", &code) == 1) {
			*to++ = (char)code;
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/*
 * Copy the word at *at and advance past it and the following space. Returns false if it does not
 * fit, or there is none.
 */
static bool take_word(const char **at, char *word, size_t size)
{
	size_t len = strcspn(*at, " \n");

	if (!len || len >= size)
		return false;
	memcpy(word, *at, len);
	word[len] = '\0';
	unescape(word);
	*at += len + ((*at)[len] == ' ');
	return true;
}

bool mb_mount_line_parse(const char *line, struct mb_mount_line *m)
{
	unsigned int major, minor;
	const char *type;
	int at = 0;

	memset(m, 0, sizeof(*m));
	if (sscanf(line, "%*u %*u %u:%u %n", &major, &minor, &at) != 2 || !at)
		return false;
	m->dev = major << 20 | minor;
	line += at;
	if (!take_word(&line, m->root, sizeof(m->root)) ||
	    !take_word(&line, m->path, sizeof(m->path)))
		return false;
	type = strstr(line, " - "); /* follows a variable number of optional fields */
	if (!type)
		return false;
	type += 3;
	if (!take_word(&type, m->type, sizeof(m->type)))
		return false;
	if (!take_word(&type, m->source, sizeof(m->source)))
		m->source[0] = '\0'; /* too long for display */
	return true;
}

void mb_device_name_mounted(struct mb_device_name *d, const struct mb_mount_line *m)
{
	if (!m->source[0] || !strcmp(m->source, "none") || !strcmp(m->source, m->type))
		snprintf(d->device, sizeof(d->device), "%s", m->type);
	else
		snprintf(d->device, sizeof(d->device), "%.15s %.46s", m->type, m->source);
}
