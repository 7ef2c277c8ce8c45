// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* doctor: what memblame can see on this kernel, question by question. */
#include <string.h>
#include <sys/utsname.h>

#include <cap-ng.h>

#include "cli/cli.h"

static const char *const quality_names[] = {
	[MB_QUALITY_NONE] = "none",
	[MB_QUALITY_PARTIAL] = "partial",
	[MB_QUALITY_FULL] = "full",
};

static enum mb_quality quality(const struct mb_selected_hook *a)
{
	return a->hook ? a->hook->quality : MB_QUALITY_NONE;
}

static const char *missing(const struct mb_selected_hook *a)
{
	return a->hook ? a->hook->missing : a->probe_point->without;
}

/* The capabilities that a service without root needs, and what does not work without them. */
static const struct {
	const char *name;
	unsigned int cap;
	const char *without;
} capabilities[] = {
	{ "cap_bpf", CAP_BPF, "nothing works" },
	{ "cap_perfmon", CAP_PERFMON, "nothing works" },
	{ "cap_sys_admin", CAP_SYS_ADMIN,
	  "the cost of memblame's programs is not known; hooks in a file system that is a module (ext4) are not found" },
	{ "cap_sys_ptrace", CAP_SYS_PTRACE,
	  "programs, names of containers, code and sampled pages of other users' processes are not known" },
	{ "cap_dac_read_search", CAP_DAC_READ_SEARCH,
	  "files that only their owner may read are not: programs, debug information, /proc/slabinfo" },
	{ "cap_syslog", CAP_SYSLOG, "functions in kernel stacks have no names; OOM reports lack the kernel's log" },
	{ "cap_checkpoint_restore", CAP_CHECKPOINT_RESTORE, "code in files that have been deleted has no names" },
	{ "cap_kill", CAP_KILL, "a traced command that became another user's cannot be ended" },
	{ "cap_sys_resource", CAP_SYS_RESOURCE, "memblame is as likely to be killed for want of memory as others" },
	{ "cap_ipc_lock", CAP_IPC_LOCK, "memblame's own memory is not kept from being paged out" },
};

static bool held(size_t i)
{
	return capng_have_capability(CAPNG_EFFECTIVE, capabilities[i].cap);
}

static void put_json(struct mb_out *out, const struct mb_selected_hook *a, size_t n)
{
	struct utsname u;

	uname(&u);
	mb_json_object(out, NULL);
	mb_json_u64(out, "schema", 1);
	mb_json_str(out, "kind", "doctor");
	mb_json_str(out, "kernel", u.release);
	mb_json_str(out, "arch", u.machine);
	mb_json_object(out, "privileges");
	for (size_t i = 0; i < MB_ARRAY_SIZE(capabilities); i++)
		mb_json_bool(out, capabilities[i].name, held(i));
	mb_json_object_end(out);
	mb_json_object(out, "without");
	for (size_t i = 0; i < MB_ARRAY_SIZE(capabilities); i++)
		if (!held(i))
			mb_json_str(out, capabilities[i].name, capabilities[i].without);
	mb_json_object_end(out);
	mb_json_array(out, "questions");
	for (; n; n--, a++) {
		mb_json_object(out, NULL);
		mb_json_str(out, "family", a->family->name);
		mb_json_str(out, "question", a->probe_point->name);
		mb_json_str(out, "asks", a->probe_point->asks);
		mb_json_str(out, "hook", a->hook ? a->hook->name : NULL);
		mb_json_str(out, "quality", quality_names[quality(a)]);
		mb_json_str(out, "missing", missing(a));
		mb_json_array(out, "tried");
		for (size_t i = 0; i < a->n_tried; i++) {
			mb_json_object(out, NULL);
			mb_json_str(out, "hook", a->tried[i].hook);
			mb_json_str(out, "error", a->tried[i].error);
			mb_json_object_end(out);
		}
		mb_json_array_end(out);
		mb_json_object_end(out);
	}
	mb_json_array_end(out);
	mb_json_object_end(out);
	mb_json_end_line(out);
}

static void put_text(struct mb_out *out, const struct mb_selected_hook *a, size_t n)
{
	struct utsname u;

	uname(&u);
	mb_out_printf(out, "Linux %s, %s\n\n", u.release, u.machine);
	mb_out_printf(out, "%-22s %-14s %-8s %s\n", "QUESTION", "HOOK", "QUALITY", "ASKS");
	for (; n; n--, a++) {
		char name[64] = "";

		strncat(name, a->family->name, 30);
		strcat(name, ".");
		strncat(name, a->probe_point->name, 30);
		mb_out_printf(out, "%-22s %-14s %-8s %s\n", name, a->hook ? a->hook->name : "-",
			      quality_names[quality(a)], a->probe_point->asks);
		if (missing(a))
			mb_out_printf(out, "%-46s not seen: %s\n", "", missing(a));
		for (size_t i = 0; i < a->n_tried; i++)
			mb_out_printf(out, "%-46s tried %s: %s\n", "", a->tried[i].hook,
				      a->tried[i].error);
	}
	mb_out_printf(out, "\n%-22s %s\n", "PRIVILEGE", "WITHOUT IT");
	for (size_t i = 0; i < MB_ARRAY_SIZE(capabilities); i++)
		mb_out_printf(out, "%-22s %s%s\n", capabilities[i].name, held(i) ? "held; otherwise " : "NOT HELD: ",
			      capabilities[i].without);
}

int mb_cmd_doctor(const struct mb_options *o, struct mb_err *e)
{
	struct mb_session_config cfg;
	const struct mb_selected_hook *selected;
	struct mb_kern *k = NULL;
	struct mb_out out = { 0 };
	size_t n;
	int err = mb_options_session(o, &cfg, e);

	cfg.kern.requests = ~0u;
	if (!o->families)
		cfg.kern.families = ~0u;
	if (!err)
		err = mb_kern_check(e);
	if (!err)
		err = mb_out_open(&out, o->out_path, e);
	if (!err)
		err = mb_kern_open(&k, &cfg.kern, e);
	if (!err) {
		selected = mb_kern_selected_hooks(k, &n);
		(o->sink->json ? put_json : put_text)(&out, selected, n);
	}
	mb_kern_close(k);
	if (mb_out_close(&out, e))
		err = -1;
	return err ? (int)e->exit : MB_EXIT_OK;
}
