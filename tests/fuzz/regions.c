// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Any calls in any order: the list of an address space must stay valid, and its total must be the sum of its pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/regions.h"

static int64_t reported, reported_pieces;

static void changed(void *arg, const struct mb_region *piece, int64_t bytes, int pieces)
{
	(void)arg;
	(void)piece;
	reported += bytes;
	reported_pieces += pieces;
}

static void check(const struct mb_regions *r)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->list[i].start >= r->list[i].end || (i && r->list[i].start < r->list[i - 1].end))
			abort();
		bytes += r->list[i].end - r->list[i].start;
	}
	if (bytes != r->bytes || (int64_t)bytes != reported || (int64_t)r->n != reported_pieces)
		abort();
}

/* A number that is often a page of a small arena, and sometimes any value. */
static uint64_t number(const uint8_t *data)
{
	uint64_t any;

	memcpy(&any, data, sizeof(any));
	return any & 1 ? (any >> 1 & 63) << 12 : any;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mb_regions r = { .changed = changed };
	uint64_t t = 100;

	reported = reported_pieces = 0;
	for (; size >= 66; data += 66, size -= 66) {
		struct mb_region_event e = { .op = 1 + data[0] % 5, .call = data[0] & 32 ? 30 : 67 };

		e.h.t_ns = t += 10;
		for (int i = 0; i < 5; i++)
			e.args[i] = number(data + 2 + 8 * i);
		e.args[3] = data[1] & 64 ? e.args[3] : (uint64_t)(data[1] & 63);
		e.result = data[0] & 64 ? number(data + 42) : MB_RESULT_UNKNOWN;
		e.area_addr = number(data + 42);
		e.area_len = e.args[1];
		e.brk = number(data + 50);
		e.delta_bytes = (int64_t)((number(data + 58) & ~4095ull) * (data[0] & 128 ? -1ull : 1));
		e.total_vm_bytes = r.bytes;
		mb_regions_apply(&r, &e, data[1]);
		check(&r);
		r.unsure = false;
	}
	mb_regions_free(&r);
	if (reported || reported_pieces)
		abort();
	return 0;
}
