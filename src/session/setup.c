// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * What numbers mean on this kernel, and how its questions were answered; used by the model, the recording and
 * messages.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/lookup.h"
#include "record/recorder.h"
#include "session/internal.h"

static struct mb_selected_hook const *find_selected(const struct mb_kern *k, const char *name)
{
	const struct mb_selected_hook *a;
	size_t n;
	const char *dot = strchr(name, '.');

	a = mb_kern_selected_hooks(k, &n);
	for (size_t i = 0; i < n; i++) {
		if (strncmp(name, a[i].family->name, (size_t)(dot - name)) == 0 &&
		    strcmp(dot + 1, a[i].probe_point->name) == 0)
			return &a[i];
	}
	return NULL;
}

/* Set what the numbers mean here. A number without a hook is not 0, but not known. */
void mb_session_set_up(struct mb_session *s)
{
	struct mb_setup *setup = &s->setup;
	struct utsname u;
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	uname(&u);
	snprintf(setup->kernel, sizeof(setup->kernel), "%s", u.release);
	snprintf(setup->arch, sizeof(setup->arch), "%s", u.machine);
	setup->slots = mb_slots();
	setup->stream = s->cfg.kern.stream;
	setup->sample_1_in = mb_kern_sample_1_in(s->kern);
	setup->has_swap = mb_kern_has_swap();
	setup->pss = s->cfg.pss;
	mb_lookup_sysctls(&setup->dirty);
	for (size_t i = 0; i < n; i++) {
		bool on = mb_kern_traces(s->kern, fam[i]);

		if (!on)
			setup->off |= 1u << fam[i]->id;
		for (size_t j = 0; on && j < fam[i]->n_fields; j++) {
			const struct mb_field *f = &fam[i]->fields[j];
			const struct mb_selected_hook *a =
				f->probe_point ? find_selected(s->kern, f->probe_point) : NULL;

			if (f->probe_point && (!a || !a->hook))
				mb_field_set_unknown(setup->unknown_slots, f);
		}
	}
	mb_ingest(&s->ingest, MB_INGEST_SETUP, setup, sizeof(*setup));
}

/* Warn of requested questions that cannot be answered here. */
void mb_session_warn_of_unanswered(const struct mb_session *s)
{
	const struct mb_selected_hook *a;
	size_t n;

	a = mb_kern_selected_hooks(s->kern, &n);
	for (size_t i = 0; i < n; i++) {
		if (!a[i].hook)
			mb_warn("%s.%s is not known here (memblame doctor says why): %s", a[i].family->name,
				a[i].probe_point->name, a[i].probe_point->without);
	}
}

void mb_session_describe(const struct mb_session *s, struct mb_recorder *r)
{
	const struct mb_selected_hook *a;
	char time[32];
	size_t n;

	mb_utc_now(time, sizeof(time));
	mb_recorder_info(r, "version", MB_VERSION);
	mb_recorder_info(r, "kernel", s->setup.kernel);
	mb_recorder_info(r, "arch", s->setup.arch);
	mb_recorder_info(r, "start_time", time);
	snprintf(time, sizeof(time), "%u", s->setup.sample_1_in);
	mb_recorder_info(r, "sample_1_in", time);
	mb_recorder_info(r, "pss", s->setup.pss ? "1" : "0");
	snprintf(time, sizeof(time), "%d", (int)getpid());
	mb_recorder_info(r, "memblame_pid", time);
	a = mb_kern_selected_hooks(s->kern, &n);
	for (size_t i = 0; i < n; i++) {
		const struct mb_hook *h = a[i].hook;

		mb_recorder_hook(r, a[i].family->name, a[i].probe_point->name, h ? h->name : NULL,
				 !h ? "none" : h->quality == MB_QUALITY_FULL ? "full" : "partial",
				 h ? h->missing : a[i].probe_point->without);
	}
}
