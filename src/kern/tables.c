// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads the families' tables: each change of an entry since the last reading becomes an event. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "kern/internal.h"

/* Entries per system call; must be at least the size of the largest hash bucket. */
#define BATCH 256u

/* Entries that have not changed for this many readings are deleted to make room. */
#define IDLE 8u

struct entry {
	uint64_t changed; /* the reading in which the entry changed last */
	UT_hash_handle hh;
	char data[]; /* the key, then the counters at the last reading */
};

struct mb_tables {
	const struct mb_family *family;
	const struct mb_kern_table *table;
	int fd;
	uint32_t key_size, value_size;
	struct entry *entries;
	char *keys, *values; /* buffers for one batch */
	struct mb_event *event;
};

static int open_table(struct mb_kern *k, struct mb_tables *t, struct mb_err *e)
{
	struct bpf_map *map = bpf_object__find_map_by_name(k->bpf->obj, t->table->map);

	if (!map)
		return mb_err_set(e, MB_EXIT_FAILED, 0, "no table %s in this build", t->table->map);
	t->fd = bpf_map__fd(map);
	t->key_size = bpf_map__key_size(map);
	t->value_size = bpf_map__value_size(map);
	t->keys = calloc(BATCH, t->key_size);
	t->values = calloc(BATCH, t->value_size);
	t->event = calloc(1, sizeof(*t->event) + t->key_size + t->value_size);
	if (!t->keys || !t->values || !t->event)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for table %s", t->table->map);
	t->event->family = (uint16_t)t->family->id;
	t->event->type = t->table->type;
	t->event->size = (uint32_t)sizeof(*t->event) + t->key_size + t->value_size;
	if (!mb_event_kind_of(t->event))
		return mb_err_set(e, MB_EXIT_FAILED, 0, "table %s does not fit its event", t->table->map);
	return 0;
}

int mb_tables_open(struct mb_kern *k, struct mb_err *e)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);
	int err = 0;

	for (size_t i = 0; i < n; i++)
		k->n_tables += mb_kern_traces(k, fam[i]) ? fam[i]->n_tables : 0;
	k->tables = calloc(k->n_tables + 1, sizeof(*k->tables));
	if (!k->tables)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for tables");
	k->n_tables = 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; mb_kern_traces(k, fam[i]) && j < fam[i]->n_tables && !err; j++) {
			struct mb_tables *t = &k->tables[k->n_tables++];

			t->family = fam[i];
			t->table = &fam[i]->tables[j];
			err = open_table(k, t, e);
		}
	}
	return err;
}

void mb_tables_close(struct mb_kern *k)
{
	for (size_t i = 0; k->tables && i < k->n_tables; i++) {
		struct mb_tables *t = &k->tables[i];
		struct entry *entry, *tmp;

		HASH_ITER(hh, t->entries, entry, tmp)
		{
			HASH_DEL(t->entries, entry);
			free(entry);
		}
		free(t->keys);
		free(t->values);
		free(t->event);
	}
	free(k->tables);
	k->tables = NULL;
}

static struct entry *entry_get(struct mb_tables *t, const char *key)
{
	struct entry *entry;

	HASH_FIND(hh, t->entries, key, t->key_size, entry);
	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry) + t->key_size + t->value_size);
	if (!entry)
		return NULL;
	memcpy(entry->data, key, t->key_size);
	HASH_ADD_KEYPTR(hh, t->entries, entry->data, t->key_size, entry);
	return entry;
}

/* Passes on an event if the entry has changed. Returns 1 if it has, 0 if not, or -ENOMEM. */
static int take_entry(struct mb_kern *k, struct mb_tables *t, const char *key, const char *value,
		      mb_kern_sink take, void *arg)
{
	struct entry *entry = entry_get(t, key);
	char *body = (char *)(t->event + 1);
	char *last;

	if (!entry)
		return -ENOMEM;
	last = entry->data + t->key_size;
	if (!memcmp(last, value, t->value_size))
		return 0;
	memcpy(body, key, t->key_size);
	for (uint32_t at = 0; at < t->value_size; at += sizeof(uint64_t)) {
		uint64_t now, before;

		memcpy(&now, value + at, sizeof(now));
		memcpy(&before, last + at, sizeof(before));
		now -= before;
		memcpy(body + t->key_size + at, &now, sizeof(now));
	}
	memcpy(last, value, t->value_size);
	entry->changed = k->readings;
	t->event->t_ns = mb_now_ns();
	take(arg, t->event, t->event->size);
	return 1;
}

/*
 * Deletes idle entries. Race: a program that updates an entry at this very moment, after such a
 * long time, would lose its update or add it to the next user of that memory. The probability is
 * one in some billions.
 */
static void remove_idle(struct mb_kern *k, struct mb_tables *t)
{
	struct entry *entry, *tmp;

	HASH_ITER(hh, t->entries, entry, tmp)
	{
		if (k->readings - entry->changed < IDLE)
			continue;
		bpf_map_delete_elem(t->fd, entry->data);
		HASH_DEL(t->entries, entry);
		free(entry);
	}
}

static int read_table(struct mb_kern *k, struct mb_tables *t, mb_kern_sink take, void *arg)
{
	__u32 at = 0, next = 0, count;
	bool first = true;
	int err = 0, events = 0;

	while (!err) {
		count = BATCH;
		err = bpf_map_lookup_batch(t->fd, first ? NULL : &at, &next, t->keys, t->values, &count,
					   NULL);
		if (err && err != -ENOENT) /* -ENOENT is the end of the table */
			return err;
		for (__u32 i = 0; i < count; i++) {
			int n = take_entry(k, t, t->keys + i * t->key_size,
					   t->values + i * t->value_size, take, arg);

			if (n < 0)
				return n;
			events += n;
		}
		at = next;
		first = false;
	}
	remove_idle(k, t);
	return events;
}

int mb_kern_tables(struct mb_kern *k, mb_kern_sink take, void *arg)
{
	int events = 0;

	k->readings++;
	for (size_t i = 0; i < k->n_tables; i++) {
		int n = read_table(k, &k->tables[i], take, arg);

		if (n < 0)
			return n;
		events += n;
	}
	return events;
}
