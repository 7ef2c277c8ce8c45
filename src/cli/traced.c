// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Code shared by commands that trace: a session around a command, and what leaks and record follow. */
#include "cli/traced.h"

#include <stdio.h>
#include <string.h>

#include "host/child.h"

static void join(char *buf, size_t size, char **argv)
{
	size_t len = 0;

	for (int i = 0; argv[i] && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? " " : "", argv[i]);
}

void mb_traced_leaks(const struct mb_options *o, struct mb_session_config *cfg)
{
	cfg->show.leaks = &o->leaks;
	cfg->kern.leaks = true;
	cfg->kern.stacks = o->stacks;
	cfg->kern.page_sample_1_in = (uint32_t)o->leaks.page_sample_1_in;
	cfg->kern.heap_sample_bytes = o->leaks.heap_sample_bytes;
	if (o->leaks.heap)
		cfg->kern.families |= 1u << MB_FAM_heap;
	if (o->leaks.kernel)
		cfg->kern.families |= 1u << MB_FAM_kmem;
}

void mb_traced_raw(const struct mb_options *o, struct mb_session_config *cfg)
{
	const uint32_t for_leaks = 1u << MB_FAM_vma | 1u << MB_FAM_fault;

	/* leak detection must see every call: not with a budget */
	if ((cfg->kern.families & for_leaks) == for_leaks && !cfg->budget)
		mb_traced_leaks(o, cfg);
	cfg->kern.stream = cfg->kern.requests = cfg->kern.families;
	cfg->show.reports = cfg->kern.families & (1u << MB_FAM_oom);
}

int mb_traced(const struct mb_options *o, struct mb_session_config *cfg, struct mb_err *e)
{
	struct mb_session s = { 0 };
	struct mb_child *child = NULL;
	char command[200];
	int err = 0, status = MB_EXIT_OK;
	bool ended;

	/* fork first: the child then inherits an unmodified environment and a small address space */
	if (o->argv[0])
		err = mb_child_start(&child, o->argv, cfg->show.leaks && cfg->show.leaks->heap, e);
	if (child) {
		cfg->kern.select = MB_SELECT_TREE;
		cfg->kern.pids[0] = (unsigned int)mb_child_pid(child);
		cfg->kern.n_pids = 1;
	}
	if (!err)
		err = mb_session_open(&s, cfg, child, e);
	if (!err && child) {
		join(command, sizeof(command), o->argv);
		s.command = command;
		err = mb_session_release_child(&s, e);
	}
	if (!err)
		err = mb_session_run(&s, e);
	ended = child && !err;
	if (ended && !mb_child_ended(child, &s.command_status))
		mb_session_end_child(&s);
	if (!err)
		err = mb_session_finish(&s, e);
	status = s.command_status;
	if (mb_session_close(&s, e))
		err = -1;
	mb_child_free(child);
	/* a script that runs its command under memblame learns how the command ended, whatever happens to the output */
	if (err && cfg->keeps_status && ended && s.out.error)
		return status;
	return err ? (int)e->exit : status;
}
