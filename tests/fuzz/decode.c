// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Any bytes in place of a ring's events: the model and both sinks must neither crash nor hang. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memblame/sink.h"
#include "model/model.h"

static struct mb_out out;

static void show(void *arg, struct mb_model *m, const struct mb_event *e)
{
	(void)arg;
	mb_sink_json.event(&out, mb_event_comm(m, e), e);
	mb_sink_text.event(&out, mb_event_comm(m, e), e);
}

/* Make a plausible header from two bytes, so that the fuzzer gets past the size check. */
static size_t shape(char *event, const uint8_t *data, size_t size)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);
	const struct mb_family *f = fam[data[0] % n]->n_events ? fam[data[0] % n] : fam[0]; /* a family may have none */
	const struct mb_event_kind *k = &f->events[data[1] % f->n_events];
	struct mb_event h;

	memset(event, 0, k->size);
	memcpy(event, data, size < k->size ? size : k->size);
	memcpy(&h, event, sizeof(h));
	h.family = f->id;
	h.type = k->type;
	h.size = (uint32_t)k->size;
	h.tgid %= 8; /* so that events meet processes */
	memcpy(event, &h, sizeof(h));
	return k->size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char event[4096] __attribute__((aligned(8)));
	struct mb_snapshot s = { 0 };
	struct mb_err e = { 0 };
	const char *path = (const char *)data;
	size_t path_len = size;
	struct mb_model m;

	if (mb_out_open(&out, "/dev/null", &e))
		abort();
	mb_model_init(&m);
	m.stream = ~0u;
	m.on_event = show;
	m.sample_1_in = 64;
	mb_model_event(&m, data, size);
	while (size > 2) {
		size_t used = shape(event, data, size);

		mb_model_event(&m, event, used);
		used = used / 8 + 2 < size ? used / 8 + 2 : size;
		data += used;
		size -= used;
	}
	mb_model_tick(&m, 1000, true);
	/* the input is also used as the path of a cgroup, from which the container is derived */
	for (struct mb_process *p = m.all; p; p = p->next) {
		if (!p->cgroup_path)
			p->cgroup_path = strndup(path, path_len);
	}
	s.model = &m;
	mb_sink_json.snapshot(&out, &s);
	mb_sink_text.snapshot(&out, &s);
	mb_model_free(&m);
	mb_out_close(&out, &e);
	return 0;
}
