// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Ingests what leak detection reads from the running system, and gives it back in a replay. */
#include "leaks/source.h"

#include <stdlib.h>
#include <string.h>

/* Records for one step; a session needs a few MiB. */
#define RECORDS_MAX (256u << 20)

/* A record as it waits for its step; its data follows, padded to 8 bytes. */
struct waiting {
	uint64_t key, len;
	uint32_t kind, pad;
};

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

void mb_leak_source_free(struct mb_leak_source *s)
{
	free(s->records);
	s->records = NULL;
	s->len = s->at = s->room = 0;
}

void mb_leak_source_tell(const struct mb_leak_source *s, enum mb_leak_fact kind, uint64_t key, const void *data,
			 size_t len)
{
	struct mb_leaks_record head = { .kind = (uint16_t)kind, .key = key };
	size_t room = sizeof(head) + (len < MB_LEAK_PIECE ? len : MB_LEAK_PIECE), at = 0;
	char *record = s->ingest ? malloc(room) : NULL;

	while (record) {
		size_t n = len - at < MB_LEAK_PIECE ? len - at : MB_LEAK_PIECE;

		head.continues = at + n < len;
		memcpy(record, &head, sizeof(head));
		if (n)
			memcpy(record + sizeof(head), (const char *)data + at, n);
		mb_ingest(s->ingest, MB_INGEST_LEAKS, record, sizeof(head) + n);
		at += n;
		if (at == len)
			break;
	}
	free(record);
}

/* ---- replay ---- */

static bool make_room(struct mb_leak_source *s, size_t more)
{
	size_t room = s->room ? s->room : 4096;
	char *bigger;

	while (room < s->len + more)
		room *= 2;
	if (room == s->room)
		return true;
	bigger = room <= RECORDS_MAX ? realloc(s->records, room) : NULL;
	if (!bigger)
		return false;
	s->records = bigger;
	s->room = room;
	return true;
}

/* Adds data to the last record, whose data ends at s->len. */
static void extend(struct mb_leak_source *s, size_t last, const void *data, size_t len)
{
	struct waiting w;

	memcpy(&w, s->records + last, sizeof(w));
	s->len = last + sizeof(w) + w.len;
	memcpy(s->records + s->len, data, len);
	w.len += len;
	memcpy(s->records + last, &w, sizeof(w));
	s->len = last + sizeof(w) + padded(w.len);
}

void mb_leak_source_arrived(struct mb_leak_source *s, const struct mb_leaks_record *head, const void *data, size_t len)
{
	struct waiting w = { .key = head->key, .kind = head->kind };
	bool is_new = !s->continues;

	if (!make_room(s, sizeof(w) + len + 16)) {
		s->continues = false;
		return; /* it will be missing */
	}
	if (is_new) {
		s->last = s->len;
		memcpy(s->records + s->last, &w, sizeof(w));
	}
	if (len || is_new)
		extend(s, s->last, data, len);
	s->continues = head->continues;
}

void mb_leak_source_step_done(struct mb_leak_source *s)
{
	s->missing += s->out_of_step;
	s->out_of_step = s->continues = false;
	s->len = s->at = 0;
}

/* The data of the next record, which must be of this kind and key. Returns NULL if it is missing. */
static const char *next(struct mb_leak_source *s, enum mb_leak_fact kind, uint64_t key, size_t *len)
{
	const char *data;
	struct waiting w;

	if (s->out_of_step || s->at == s->len) {
		s->out_of_step = true;
		return NULL;
	}
	memcpy(&w, s->records + s->at, sizeof(w));
	data = s->records + s->at + sizeof(w);
	s->at += sizeof(w) + padded(w.len);
	s->out_of_step = w.kind != (uint32_t)kind || w.key != key;
	*len = w.len;
	return s->out_of_step ? NULL : data;
}

bool mb_leak_source_value(struct mb_leak_source *s, enum mb_leak_fact kind, uint64_t key, void *value, size_t size)
{
	const char *data;
	size_t len = 0;

	if (!s->replays) {
		mb_leak_source_tell(s, kind, key, value, size);
		return true;
	}
	data = next(s, kind, key, &len);
	if (data && len != size) {
		s->out_of_step = true;
		data = NULL;
	}
	if (data)
		memcpy(value, data, size);
	else
		memset(value, 0, size);
	return data;
}

bool mb_leak_source_list(struct mb_leak_source *s, enum mb_leak_fact kind, uint64_t key, void **list, size_t *n,
			 size_t size)
{
	const char *data;
	size_t len = 0;

	if (!s->replays) {
		mb_leak_source_tell(s, kind, key, *list, *n * size);
		return true;
	}
	*list = NULL;
	*n = 0;
	data = next(s, kind, key, &len);
	if (data && !(len % size))
		*list = malloc(len + 1);
	if (!*list) {
		s->out_of_step = true;
		return false;
	}
	memcpy(*list, data, len);
	*n = len / size;
	return true;
}
