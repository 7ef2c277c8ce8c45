// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Checks whether memblame may trace, and which features this kernel has. */
#include <bpf/btf.h>
#include <cap-ng.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

#include "base/live_thread.h"
#include "kern/internal.h"

static bool has_capability(unsigned int cap)
{
	return capng_have_capability(CAPNG_EFFECTIVE, cap);
}

bool mb_probe_modules_readable(void)
{
	return has_capability(CAP_SYS_ADMIN);
}

int mb_kern_check(struct mb_err *e)
{
	char missing[96] = "";

	if (capng_get_caps_process())
		return mb_err_set(e, MB_EXIT_UNSUPPORTED, errno, "cannot read own capabilities");
	/* before 5.8, CAP_SYS_ADMIN covered all three */
	if (!has_capability(CAP_SYS_ADMIN)) {
		if (!has_capability(CAP_BPF))
			strcat(missing, " CAP_BPF");
		if (!has_capability(CAP_PERFMON))
			strcat(missing, " CAP_PERFMON");
	}
	if (missing[0])
		return mb_err_set(e, MB_EXIT_UNSUPPORTED, 0,
				  "not permitted to trace the kernel: missing%s; run as root, e.g. "
				  "with sudo, or give it these capabilities",
				  missing);
	if (access(MB_BTF_PATH, R_OK))
		return mb_err_set(e, MB_EXIT_UNSUPPORTED, 0,
				  "this kernel gives no type information: " MB_BTF_PATH " is missing; "
				  "it needs CONFIG_DEBUG_INFO_BTF=y (5.8 or later)");
	return 0;
}

/* Does each uprobe on an allocator need a perf event of its own? See attach_kind() in uprobes.c. */
static bool probes_singly(const struct mb_kern *k)
{
	bool singly = !mb_probe_struct("bpf_uprobe_multi_link");

	for (uint32_t i = 0; i < k->cfg.n_pids; i++)
		singly |= mb_live_thread(k->cfg.pids[i]) != k->cfg.pids[i];
	return singly && mb_uprobes_on(k);
}

int mb_kern_drop_privileges(const struct mb_kern *k, struct mb_err *e)
{
	/*
	 * still needed: reading maps, /proc/PID/exe of other users, signals to the traced command
	 */
	static const int keep[] = { CAP_BPF, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_KILL,
				    CAP_CHECKPOINT_RESTORE /* /proc/PID/map_files */ };
	bool before_split = !has_capability(CAP_BPF), singly = probes_singly(k);

	if (before_split) /* only CAP_SYS_ADMIN exists, and it is needed */
		return 0;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		bool retained = false;

		for (size_t i = 0; i < MB_ARRAY_SIZE(keep); i++)
			retained |= keep[i] == cap;
		/*
		 * for uprobes in processes that start later; single uprobes need more than one
		 * multi link
		 */
		retained |= cap == CAP_PERFMON && mb_uprobes_on(k);
		retained |= cap == CAP_SYS_ADMIN && singly;
		if (!retained && has_capability((unsigned int)cap))
			capng_update(CAPNG_DROP,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE,
				     (unsigned int)cap);
	}
	if (capng_apply(CAPNG_SELECT_CAPS))
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot drop privileges");
	return 0;
}

static struct btf *vmlinux_btf; /* parsed once: 5 MB, 10 ms */
static struct tracepoint *tracepoints; /* index of tracepoints in vmlinux_btf */

static struct btf *vmlinux(void)
{
	if (!vmlinux_btf)
		vmlinux_btf = btf__load_vmlinux_btf();
	return vmlinux_btf;
}

/*
 * A tracepoint of vmlinux. The typedef btf_trace_NAME shows that it exists; the function
 * __traceiter_NAME has its arguments.
 */
struct tracepoint {
	const char *name; /* points to a string of the BTF */
	const struct btf_type *iter; /* the function; NULL: not found, or the kernel has none */
	bool exists;
	UT_hash_handle hh;
};

static struct tracepoint *tracepoint_get(struct tracepoint **all, const char *name)
{
	struct tracepoint *t;

	HASH_FIND_STR(*all, name, t);
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->name = name;
	HASH_ADD_KEYPTR(hh, *all, name, strlen(name), t);
	return t;
}

static const char *after(const char *name, const char *begin)
{
	size_t n = strlen(begin);

	return strncmp(name, begin, n) == 0 ? name + n : NULL;
}

/*
 * Builds the index in one pass over all types. libbpf has no index by name, so each search would
 * take a pass of its own, and there are many searches.
 */
static struct tracepoint *index_tracepoints(const struct btf *btf)
{
	struct tracepoint *all = NULL, *t;
	__u32 n = btf__type_cnt(btf);

	for (__u32 id = 1; id < n; id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const char *name;

		if (btf_is_typedef(type)) {
			name = after(btf__name_by_offset(btf, type->name_off), "btf_trace_");
			t = name ? tracepoint_get(&all, name) : NULL;
			if (t)
				t->exists = true;
		} else if (btf_is_func(type)) {
			name = after(btf__name_by_offset(btf, type->name_off), "__traceiter_");
			t = name ? tracepoint_get(&all, name) : NULL;
			if (t)
				t->iter = type;
		}
	}
	return all;
}

/* NULL: the kernel has no such tracepoint. */
static const struct tracepoint *tracepoint_of_vmlinux(const char *name)
{
	struct tracepoint *t;

	if (!tracepoints && vmlinux())
		tracepoints = index_tracepoints(vmlinux());
	HASH_FIND_STR(tracepoints, name, t);
	return t;
}

void mb_kern_forget_types(void)
{
	struct tracepoint *t, *tmp;

	HASH_ITER(hh, tracepoints, t, tmp)
	{
		HASH_DEL(tracepoints, t);
		free(t);
	}
	btf__free(vmlinux_btf);
	vmlinux_btf = NULL;
}

static bool in_module(const char *file, const char *type)
{
	char path[256];
	struct btf *btf;
	bool found;

	snprintf(path, sizeof(path), "/sys/kernel/btf/%s", file);
	if (access(path, R_OK))
		return false;
	btf = btf__load_module_btf(file, vmlinux());
	found = btf && btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
	btf__free(btf);
	return found;
}

bool mb_probe_tracepoint(const char *name)
{
	const struct tracepoint *t = tracepoint_of_vmlinux(name);
	char type[128];

	if (t && t->exists)
		return true;
	snprintf(type, sizeof(type), "btf_trace_%s", name);
	/* the only file system with hooks; a module in most distributions */
	return strncmp(name, "ext4_", 5) == 0 && in_module("ext4", type);
}

unsigned char mb_probe_argument(const char *tracepoint, const char *argument)
{
	const struct tracepoint *tp = tracepoint_of_vmlinux(tracepoint);
	const struct btf_type *t = tp && tp->iter ? btf__type_by_id(vmlinux(), tp->iter->type) :
						    NULL;
	const struct btf_param *p;

	if (!t)
		return MB_ARG_MISSING;
	/* parameter 0 is the data pointer of __traceiter_NAME() */
	p = btf_params(t);
	for (int i = 1; i < btf_vlen(t); i++) {
		if (strcmp(btf__name_by_offset(vmlinux(), p[i].name_off), argument) == 0)
			return (unsigned char)(i - 1);
	}
	return MB_ARG_MISSING;
}

/*
 * Loads the smallest program that needs a trampoline; kernels without trampolines reject it.
 * Returns its descriptor, or -errno.
 */
static int try_trampoline(int id)
{
	static const struct bpf_insn insns[] = {
		{ .code = 0xb7 /* mov */, .dst_reg = 0, .imm = 0 },
		{ .code = 0x95 /* exit */ },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FEXIT,
		    .attach_btf_id = (__u32)id);
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "mb_probe", "Dual BSD/GPL", insns, 2, &opts);

	return fd < 0 ? -errno : fd;
}

bool mb_probe_reattach(const char *function)
{
	static int known = -1; /* cached; the result does not depend on the function */
	int id = vmlinux() ? btf__find_by_name_kind(vmlinux(), function, BTF_KIND_FUNC) : -1;
	int fd = known < 0 && id > 0 ? try_trampoline(id) : -1;

	for (int i = 0; fd >= 0 && i < 2; i++) {
		int link = bpf_raw_tracepoint_open(NULL, fd);

		known = link >= 0;
		if (link >= 0)
			close(link);
	}
	if (fd >= 0)
		close(fd);
	return known > 0;
}

int mb_probe_function(const char *name, char *error, size_t size)
{
	int id = vmlinux() ? btf__find_by_name_kind(vmlinux(), name, BTF_KIND_FUNC) : -1, err;

	if (id < 0) {
		snprintf(error, size, "no function %s in this kernel", name);
		return -ENOENT;
	}
	err = try_trampoline(id);
	if (err >= 0) {
		close(err);
		err = 0;
	}
	if (err)
		snprintf(error, size, "this kernel allows no trampolines: %s", strerror(-err));
	return err;
}

bool mb_probe_kfunc(const char *name)
{
	int id = vmlinux() ? btf__find_by_name_kind(vmlinux(), name, BTF_KIND_FUNC) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(vmlinux(), (__u32)id) : NULL;
	const struct btf_type *last;

	t = t ? btf__type_by_id(vmlinux(), t->type) : NULL;
	if (!t || !btf_vlen(t))
		return false;
	last = btf__type_by_id(vmlinux(), btf_params(t)[btf_vlen(t) - 1].type);
	return last && btf_is_ptr(last) && !last->type;
}

bool mb_probe_struct(const char *name)
{
	return vmlinux() && btf__find_by_name_kind(vmlinux(), name, BTF_KIND_STRUCT) > 0;
}

bool mb_probe_field(const char *type, const char *field)
{
	int id = vmlinux() ? btf__find_by_name_kind(vmlinux(), type, BTF_KIND_STRUCT) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(vmlinux(), (__u32)id) : NULL;
	const struct btf_member *m = t ? btf_members(t) : NULL;

	for (int i = 0; m && i < btf_vlen(t); i++, m++) {
		if (strcmp(btf__name_by_offset(vmlinux(), m->name_off), field) == 0)
			return true;
	}
	return false;
}

bool mb_probe_task_storage(void)
{
	/*
	 * the map type is older than its use by tracing programs, which came with this helper
	 * (5.11)
	 */
	int id = vmlinux() ? btf__find_by_name_kind(vmlinux(), "bpf_func_id", BTF_KIND_ENUM) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(vmlinux(), (__u32)id) : NULL;
	const struct btf_enum *e = t ? btf_enum(t) : NULL;

	for (int i = 0; e && i < btf_vlen(t); i++, e++) {
		if (strcmp(btf__name_by_offset(vmlinux(), e->name_off),
			   "BPF_FUNC_get_current_task_btf") == 0)
			return true;
	}
	return false;
}

bool mb_kern_has_swap(void)
{
	char line[256];
	FILE *f = fopen("/proc/swaps", "re");
	int lines = 0;

	/* a heading, then one line per swap device */
	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	return lines > 1;
}
