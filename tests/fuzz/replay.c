// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Any bytes in place of a recording's records: replay must neither crash nor hang. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "leaks/source.h"
#include "record/recorder.h"
#include "session/replay.h"

#define CHUNK (64 * 1024)

static _Alignas(8) char chunk[CHUNK];
static size_t len;

static void put_frame(unsigned int type, const void *data, size_t size)
{
	struct mb_raw_record f = { .len = (uint32_t)size, .type = (uint16_t)type };
	size_t padded = (size + 7) & ~(size_t)7;

	if (len + sizeof(f) + padded > CHUNK)
		return;
	memcpy(chunk + len, &f, sizeof(f));
	memset(chunk + len + sizeof(f), 0, padded);
	memcpy(chunk + len + sizeof(f), data, size);
	len += sizeof(f) + padded;
}

/* An event of a valid size, from one of a few processes, so that events of the same process meet. */
static size_t shape_event(char *record, const uint8_t *data, size_t size)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);
	const struct mb_family *f = fam[data[0] % n]->n_events ? fam[data[0] % n] : fam[0]; /* a family may have none */
	const struct mb_event_kind *k = &f->events[data[size > 1] % f->n_events];
	struct mb_event h;

	memcpy(record, data, size < k->size ? size : k->size);
	memcpy(&h, record, sizeof(h));
	h.family = f->id;
	h.type = k->type;
	h.size = (uint32_t)k->size;
	h.tgid %= 8;
	memcpy(record, &h, sizeof(h));
	return k->size;
}

/* A step of leak detection, or what was read for one: as many 8-byte words as the input says, of one of a few processes. */
static size_t shape_leaks(char *record, const uint8_t *data, size_t size)
{
	size_t words = size > 2 ? data[2] % 24 : 0, used = size > 3 ? size - 3 : 0;
	struct mb_leaks_record head = { .kind = data[0] % (MB_LEAK_FACT_PROCESS + 2), .key = size > 1 ? data[1] % 8 : 0 };

	head.continues = head.kind > MB_LEAK_FACT_TICK && size > 2 && data[2] > 250;
	if (head.kind == MB_LEAK_FACT_TICK)
		words = sizeof(struct mb_leak_tick) / 8;
	if (used > words * 8)
		used = words * 8;
	memcpy(record, &head, sizeof(head));
	if (used)
		memcpy(record + sizeof(head), data + 3, used);
	return sizeof(head) + words * 8;
}

/* Frames of valid sizes, filled with the input; type 0 gives one of any size. */
static size_t shape(char *record, unsigned int type, const uint8_t *data, size_t size)
{
	static const size_t sizes[] = {
		[MB_INGEST_SETUP] = sizeof(struct mb_setup),
		[MB_INGEST_IDENTITY] = sizeof(struct mb_identity),
		[MB_INGEST_MEMORY] = sizeof(struct mb_memory),
		[MB_INGEST_DROPS] = sizeof(struct mb_drop_row),
		[MB_INGEST_TICK] = sizeof(struct mb_tick),
		[MB_INGEST_SUMMARY] = sizeof(struct mb_summary),
		[MB_INGEST_SYSTEM] = sizeof(struct mb_system),
		[MB_INGEST_MOUNT] = sizeof(struct mb_mount),
		[MB_INGEST_DEVICE] = sizeof(struct mb_device_name),
		[MB_INGEST_LOG] = sizeof(struct mb_log_line) + 64,
		[MB_INGEST_SYMBOL] = sizeof(struct mb_oom_name),
		[MB_INGEST_OOM_PATH] = sizeof(struct mb_oom_name),
		[MB_INGEST_OOM_STAT] = sizeof(struct mb_oom_name) + 64,
		[MB_INGEST_OOM_REPORT] = sizeof(struct mb_oom_report),
		[MB_INGEST_MEMCG] = sizeof(struct mb_memcg_record),
		[MB_INGEST_LIMITS] = sizeof(struct mb_cgroup_limits) + 16,
	};
	size_t want = type == MB_INGEST_EVENT || type == MB_INGEST_LEAKS ? 0 : type ? sizes[type] : size;

	memset(record, 0, 8192);
	if (type == MB_INGEST_EVENT)
		return shape_event(record, data, size);
	if (type == MB_INGEST_LEAKS)
		return shape_leaks(record, data, size);
	memcpy(record, data, size < want ? size : want);
	if (type == MB_INGEST_SETUP)
		((struct mb_setup *)record)->slots = mb_slots();
	return want < 8192 ? want : 8192;
}

static void play(const void *data, size_t size)
{
	static const struct mb_leaks_config leaks = { .page_sample_1_in = 64, .maps = true, .series = true,
						      .diff_from_ns = 100 };
	static const struct mb_sink *const sinks[] = { &mb_sink_text, &mb_sink_json };
	struct mb_err e = { 0 };
	struct mb_out out;

	for (unsigned int i = 0; i < 10; i++) {
		struct mb_replay_config cfg = { .interval_ns = i & 2 ? 0 : 1,
						.show = { .sink = sinks[i & 1],
							  .families = ~0u,
							  .events = i & 2,
							  .oom = i & 4,
							  .leaks = i & 8 ? &leaks : NULL,
							  .show_leaks = i & 8 } };

		if (mb_out_open(&out, "/dev/null", &e))
			abort();
		mb_replay_chunk(data, size, &cfg, &out);
		mb_out_close(&out, &e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(8) char record[8192];
	static const struct {
		struct mb_leaks_record head;
		struct mb_leak_begin begin;
	} begin = { { .kind = MB_LEAK_FACT_BEGIN },
		    { .page_sample_1_in = 1, .heap_sample_bytes = 1, .kmem_sample_1_in = 1, .heap = 1, .kernel = 1, .has_cgroups = 1 } };
	struct mb_setup setup = { .slots = mb_slots(), .sample_1_in = 1, .stream = ~0u };

	if (size > 4096)
		return 0;
	play(data, size);
	len = 0;
	put_frame(MB_INGEST_SETUP, &setup, sizeof(setup));
	put_frame(MB_INGEST_LEAKS, &begin, sizeof(begin));
	while (size > 2) {
		unsigned int type = data[0] % (MB_INGEST_LEAKS + 1);
		size_t used = shape(record, type, data + 1, size - 1);

		put_frame(type, record, used);
		used = used / 8 + 2 < size ? used / 8 + 2 : size;
		data += used;
		size -= used;
	}
	play(chunk, len);
	return 0;
}
