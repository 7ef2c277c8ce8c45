// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Derived information of a snapshot's blame: which victims to show, and what would have avoided the
 * stalls.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "blame/view.h"
#include "memblame/sink.h"
#include "model/model.h"

const struct mb_process *mb_snapshot_process(const struct mb_snapshot *s, const struct mb_process_ref *ref)
{
	if (!ref->start_ns)
		return NULL;
	return mb_model_find_exactly(s->model, ref->tgid, ref->start_ns);
}

bool mb_snapshot_shows(const struct mb_snapshot *s, const struct mb_process_ref *victim)
{
	const struct mb_victims *v = s->victims;
	const struct mb_process *p;

	if (!v || !(v->n_pids || v->n_cgroups))
		return true;
	for (uint32_t i = 0; i < v->n_pids; i++) {
		if (v->pids[i] == victim->tgid)
			return true;
	}
	p = v->n_cgroups ? mb_snapshot_process(s, victim) : NULL;
	for (uint32_t i = 0; p && i < v->n_cgroups; i++) {
		if (mb_cgroup_is_below(p->cgroup_path, v->cgroups[i]))
			return true;
	}
	return false;
}

/*
 * A writer is throttled when dirty pages exceed the middle between the background limit and the
 * limit (dirty_freerun_ceiling() in mm/page-writeback.c), either of the machine or, if its limit is
 * strict, of the device. The advice is about the one that was closer to its limit.
 */
const char *mb_device_advice(const struct mb_device *d, const struct mb_dirty_sysctls *sysctls, char *buf)
{
	const struct mb_bdi_state *w = &d->worst;
	uint64_t freerun = (w->limit_pages + w->background_pages) / 2;
	char a[MB_UNITS_LEN], b[MB_UNITS_LEN];

	buf[0] = '\0';
	if (!d->stalls)
		return buf;
	if (!w->limit_pages) {
		snprintf(buf, MB_ADVICE_LEN,
			 "No writer had to pause: only fsync and waits for pages were held up. Less dirty "
			 "data in the way would have helped: a smaller vm.dirty_background_bytes, or fsync "
			 "by those who write much.");
	} else if (w->dirty_pages > freerun) {
		mb_format(a, MB_UNIT_BYTES, w->dirty_pages * MB_PAGE_SIZE);
		mb_format(b, MB_UNIT_BYTES, w->limit_pages * MB_PAGE_SIZE);
		snprintf(buf, MB_ADVICE_LEN,
			 "The machine had %s dirty of %s allowed (%s %" PRIu64 "%s). A larger %s, a smaller "
			 "vm.dirty_background_bytes so that writing begins sooner, or a faster device would "
			 "have avoided it.",
			 a, b, sysctls->bytes && sysctls->bytes != MB_UNKNOWN ? "vm.dirty_bytes" : "vm.dirty_ratio",
			 sysctls->bytes && sysctls->bytes != MB_UNKNOWN ? sysctls->bytes : sysctls->ratio,
			 sysctls->bytes && sysctls->bytes != MB_UNKNOWN ? "" : " %",
			 sysctls->bytes && sysctls->bytes != MB_UNKNOWN ? "vm.dirty_bytes" : "vm.dirty_ratio");
	} else {
		mb_format(a, MB_UNIT_BYTES, w->bdi_dirty_pages * MB_PAGE_SIZE);
		mb_format(b, MB_UNIT_BYTES, w->bdi_limit_pages * MB_PAGE_SIZE);
		snprintf(buf, MB_ADVICE_LEN,
			 "The device, or the cgroup that writes to it, had %s dirty of %s allowed. A larger "
			 "max_bytes or max_ratio in /sys/class/bdi/%s, a larger memory limit of the cgroup, "
			 "or a faster device would have avoided it.",
			 a, b, d->name[0] ? d->name : "...");
	}
	return buf;
}
