// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Loading: selects for each probe point of the traced families the best hook that this kernel
 * accepts. libbpf loads an object completely or not at all. So if the kernel rejects a program, its
 * name is taken from libbpf's log message, its hook is excluded, and the object is opened again
 * without that program.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "kern/internal.h"

/*
 * Program and error of the last failure. It is static because libbpf's print callback has no
 * context argument; so only one load at a time is possible.
 */
static struct {
	char program[64];
	char error[160];
} refused;

__attribute__((format(printf, 2, 0))) static int on_libbpf_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[512], *name, *end;

	if (level > LIBBPF_INFO)
		return 0;
	if (mb_log_level() >= MB_LOG_VERBOSE) { /* the whole message, including the verifier log */
		va_list copy;

		va_copy(copy, ap);
		vfprintf(stderr, fmt, copy);
		va_end(copy);
	}
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	name = strstr(line, "prog '");
	if (level != LIBBPF_WARN || !name || refused.program[0])
		return 0;
	name += strlen("prog '");
	end = strchr(name, '\'');
	if (!end)
		return 0;
	*end = '\0';
	snprintf(refused.program, sizeof(refused.program), "%s", name);
	snprintf(refused.error, sizeof(refused.error), "%s", end + 1 + strspn(end + 1, ": "));
	return 0;
}

static struct mb_selected_hook *add_probe_point(struct mb_kern *k, const struct mb_family *f,
						const struct mb_probe_point *q)
{
	struct mb_selected_hook *a;

	if (k->n_selected == MB_MAX_PROBE_POINTS)
		return NULL;
	a = &k->selected[k->n_selected++];
	memset(a, 0, sizeof(*a));
	a->family = f;
	a->probe_point = q;
	return a;
}

static void note_failure(struct mb_selected_hook *a, const char *hook, const char *error)
{
	struct mb_tried *t;

	if (a->n_tried == MB_TRIED)
		return;
	t = &a->tried[a->n_tried++];
	t->hook = hook;
	snprintf(t->error, sizeof(t->error), "%s", error);
}

/*
 * Returns the attach target of a program if its section ("?tp_btf/name") begins with this prefix;
 * otherwise NULL.
 */
static const char *target_of(const struct bpf_program *p, const char *begin)
{
	const char *sec = bpf_program__section_name(p);

	sec += *sec == '?';
	return strncmp(sec, begin, strlen(begin)) == 0 ? sec + strlen(begin) : NULL;
}

#define NO_TRAMPOLINES "notrampolines"

/* Does MEMBLAME_HOOKS exclude trampolines? */
static bool trampolines_ruled_out(const struct mb_kern *k)
{
	const char *list = k->cfg.force_hooks;

	return list && strstr(list, NO_TRAMPOLINES);
}

/* Does the kernel have everything that this program needs? If not, error gets the reason. */
static bool program_possible(const struct mb_kern *k, struct bpf_object *o, const char *name,
			     char *error, size_t size)
{
	struct bpf_program *p = bpf_object__find_program_by_name(o, name);
	const char *tp, *func;

	if (!p) {
		snprintf(error, size, "no program %s in this build", name);
		return false;
	}
	tp = target_of(p, "tp_btf/");
	func = target_of(p, "fexit/");
	if (!func)
		func = target_of(p, "fentry/");
	if (func && trampolines_ruled_out(k)) {
		snprintf(error, size, "trampolines are ruled out by MEMBLAME_HOOKS");
		return false;
	}
	if (func && mb_probe_function(func, error, size))
		return false;
	if (tp && !mb_probe_tracepoint(tp)) {
		snprintf(error, size, "no tracepoint %s in this kernel", tp);
		return false;
	}
	return true;
}

static const struct mb_probe_point *probe_point_by_name(const struct mb_family *f, const char *name)
{
	for (size_t i = 0; f && i < f->n_probe_points; i++) {
		if (strcmp(f->probe_points[i].name, name) == 0)
			return &f->probe_points[i];
	}
	return NULL;
}

int mb_load_check_forced(const char *list, struct mb_err *e)
{
	for (const char *p = list; p && *p; p += strcspn(p, ","), p += *p == ',') {
		char family[32] = "", name[32] = "", hook[64] = "";
		const struct mb_probe_point *q = NULL;
		size_t i = 0;

		if (strcspn(p, ",") == strlen(NO_TRAMPOLINES) &&
		    strncmp(p, NO_TRAMPOLINES, strlen(NO_TRAMPOLINES)) == 0)
			continue;
		if (sscanf(p, "%31[^.,].%31[^=,]=%63[^,]", family, name, hook) == 3)
			q = probe_point_by_name(mb_family_by_name(family), name);
		while (q && i < q->n_hooks && strcmp(q->hooks[i].name, hook) != 0)
			i++;
		if (!q || i == q->n_hooks)
			return mb_err_set(e, MB_EXIT_USAGE, 0,
					  "MEMBLAME_HOOKS: '%.*s' is not FAMILY.QUESTION=HOOK with names "
					  "that memblame doctor prints",
					  (int)strcspn(p, ","), p);
	}
	return 0;
}

/*
 * Does an entry "family.question=hook" of MEMBLAME_HOOKS exclude this hook? Such an entry allows
 * only the hook that it names.
 */
static bool hook_forced_out(const struct mb_kern *k, const struct mb_selected_hook *a,
			    const struct mb_hook *h)
{
	char want[96];
	const char *p;
	size_t n;

	snprintf(want, sizeof(want), "%s.%s=", a->family->name, a->probe_point->name);
	p = k->cfg.force_hooks ? strstr(k->cfg.force_hooks, want) : NULL;
	if (!p)
		return false;
	p += strlen(want);
	n = strcspn(p, ",");
	return strlen(h->name) != n || strncmp(h->name, p, n) != 0;
}

static bool was_tried(const struct mb_selected_hook *a, const char *hook)
{
	for (size_t i = 0; i < a->n_tried; i++) {
		if (strcmp(a->tried[i].hook, hook) == 0)
			return true;
	}
	return false;
}

/* Has an earlier probe point selected this program? */
static bool is_wanted(struct bpf_object *o, const char *program)
{
	struct bpf_program *p = bpf_object__find_program_by_name(o, program);

	return p && bpf_program__autoload(p);
}

/* Selects the first hook that has not been rejected and whose requirements the kernel meets. */
static void choose(struct mb_kern *k, struct bpf_object *o, struct mb_selected_hook *a)
{
	char error[160];

	a->hook = NULL;
	for (size_t i = 0; i < a->probe_point->n_hooks; i++) {
		const struct mb_hook *h = &a->probe_point->hooks[i];
		bool possible = true;

		if (was_tried(a, h->name))
			continue;
		if (hook_forced_out(k, a, h)) {
			note_failure(a, h->name, "ruled out by MEMBLAME_HOOKS");
			continue;
		}
		if (h->task_storage && !mb_probe_task_storage()) {
			snprintf(error, sizeof(error), "no task storage for tracing programs");
			possible = false;
		}
		if (h->file && access(h->file, R_OK)) {
			snprintf(error, sizeof(error), "%s: %s", h->file, strerror(errno));
			possible = false;
		}
		if (h->lacks_type && mb_probe_struct(h->lacks_type)) {
			snprintf(error, sizeof(error), "this kernel has struct %s", h->lacks_type);
			possible = false;
		}
		if (h->argument[0] &&
		    mb_probe_argument(h->argument[0], h->argument[1]) == MB_ARG_MISSING) {
			snprintf(error, sizeof(error), "tracepoint %s has no argument %s",
				 h->argument[0], h->argument[1]);
			possible = false;
		}
		if (h->kfunc && !mb_probe_kfunc(h->kfunc)) {
			snprintf(error, sizeof(error), "no %s in this kernel", h->kfunc);
			possible = false;
		}
		if (h->requires[0] && !is_wanted(o, h->requires[0]) &&
		    !(h->requires[1] && is_wanted(o, h->requires[1]))) {
			snprintf(error, sizeof(error), "%s is not loaded", h->requires[0]);
			possible = false;
		}
		for (int j = 0; possible && h->programs[j]; j++)
			possible = program_possible(k, o, h->programs[j], error, sizeof(error));
		if (possible) {
			a->hook = h;
			return;
		}
		note_failure(a, h->name, error);
	}
}

static void want_program(struct bpf_object *o, const char *name)
{
	bpf_program__set_autoload(bpf_object__find_program_by_name(o, name), true);
}

/* Has the kernel rejected this optional program? */
static bool is_given_up(const struct mb_kern *k, const char *program)
{
	for (size_t i = 0; i < k->n_given_up; i++) {
		if (strcmp(k->given_up[i], program) == 0)
			return true;
	}
	return false;
}

static void want_hook(const struct mb_kern *k, struct bpf_object *o, const struct mb_hook *h)
{
	char error[160];

	for (int i = 0; h->programs[i]; i++)
		want_program(o, h->programs[i]);
	for (int i = 0; h->optional[i]; i++) {
		if (!is_given_up(k, h->optional[i]) &&
		    program_possible(k, o, h->optional[i], error, sizeof(error)))
			want_program(o, h->optional[i]);
	}
}

static bool list_has(const char *const *list, const char *program)
{
	for (; *list; list++) {
		if (strcmp(*list, program) == 0)
			return true;
	}
	return false;
}

static uint64_t heap_mean(const struct mb_kern *k)
{
	uint64_t mean = k->cfg.heap_sample_bytes ? k->cfg.heap_sample_bytes : 1;

	return mean < MB_HEAP_MEAN_MAX ? mean : MB_HEAP_MEAN_MAX;
}

static void set_knobs(const struct mb_kern *k, struct mb_knobs *knobs)
{
	memcpy(knobs->pids, k->cfg.pids, sizeof(knobs->pids));
	memcpy(knobs->cgroup_ids, k->cfg.cgroups, sizeof(knobs->cgroup_ids));
	knobs->nr_pids = k->cfg.n_pids;
	knobs->nr_cgroups = k->cfg.n_cgroups;
	knobs->select = k->cfg.select;
	knobs->stream = k->cfg.stream;
	knobs->wake_bytes = k->cfg.stream ? 1024 * 1024 : 64 * 1024;
	knobs->sample_mask = mb_kern_sample_1_in(k) - 1;
	knobs->has_swap = mb_kern_has_swap();
	/* only swap-ins need the start time of every fault */
	knobs->time_all_faults = knobs->has_swap || !mb_probe_tracepoint("mm_filemap_fault");
	knobs->hash_ledgers = k->hash_ledgers;
	knobs->governed = k->cfg.governed;
	for (size_t i = 0; i < k->n_selected; i++) {
		knobs->kmem_read_ptr |= k->selected[i].hook && k->selected[i].hook->reads_pointers;
	}
	knobs->dirty_files = k->cfg.requests >> MB_FAM_writeback & 1;
	knobs->stacks = k->cfg.stacks;
	knobs->regions = k->cfg.leaks && (k->cfg.requests >> MB_FAM_vma & 1);
	if (mb_uprobes_on(k))
		knobs->heap_mean = heap_mean(k);
	knobs->page_mask = k->cfg.leaks ? k->cfg.page_sample_1_in - 1 : 0;
	knobs->kmem_mask = mb_kern_kmem_sample_1_in(k) - 1;
	memcpy(knobs->args, k->args, sizeof(knobs->args));
}

/* Size of the hash of ledgers: for all threads, or for threads for which task storage fails. */
static __u32 hash_entries(const struct mb_kern *k)
{
	if (k->cfg.hash_entries)
		return k->cfg.hash_entries;
	return k->hash_ledgers ? MB_HASH_LEDGERS : MB_SPARE_LEDGERS;
}

/*
 * Sets the number of blocks that are followed. Before 6.1 (bpf_mem_alloc), uprobe programs may use
 * preallocated hashes only, so the hash is smaller.
 */
static int size_blocks(const struct mb_kern *k)
{
	struct bpf_map *map = k->bpf->maps.heap_blocks;
	bool grows = mb_probe_field("bpf_htab", "ma");
	int err;

	if (!mb_uprobes_on(k)) {
		err = bpf_map__set_autocreate(k->bpf->maps.heap_never_called, false);
		err = err ? err : bpf_map__set_autocreate(k->bpf->maps.heap_nets, false);
		return err ? err : bpf_map__set_autocreate(map, false);
	}
	err = bpf_map__set_max_entries(k->bpf->maps.heap_nets, MB_HEAP_NETS);
	if (err)
		return err;
	err = bpf_map__set_max_entries(map, grows ? MB_BLOCKS : MB_BLOCKS_PREALLOCATED);
	return err || grows ? err : bpf_map__set_map_flags(map, 0);
}

/*
 * Sizes the maps of the kmem family. If the family is not requested, they keep one entry each,
 * because they are preallocated and would take 40 MiB.
 */
static int size_kmem_maps(const struct mb_kern *k)
{
	const struct {
		struct bpf_map *map;
		__u32 entries;
	} maps[] = {
		{ k->bpf->maps.kmem_objects, 262144 }, { k->bpf->maps.kmem_sites, 16384 },
		{ k->bpf->maps.kmem_caches, 1024 },    { k->bpf->maps.kmem_stacks, 16384 },
		{ k->bpf->maps.kmem_irq_stacks, 4096 },
	};
	int err = 0;

	if (!(k->cfg.families & k->cfg.requests & (1u << MB_FAM_kmem)))
		return 0;
	for (size_t i = 0; i < MB_ARRAY_SIZE(maps) && !err; i++)
		err = bpf_map__set_max_entries(maps[i].map, maps[i].entries);
	return err;
}

static int size_maps(const struct mb_kern *k)
{
	int err = bpf_map__set_max_entries(k->bpf->maps.rings, (__u32)k->n_cpus);

	if (!err)
		err = size_blocks(k);
	if (!err)
		err = bpf_map__set_max_entries(k->bpf->maps.ledgers_by_tid, hash_entries(k));
	if (!err)
		err = size_kmem_maps(k);
	if (!err && k->hash_ledgers)
		err = bpf_map__set_autocreate(k->bpf->maps.ledgers, false);
	return err;
}

/*
 * Opens the object. If this kernel has a kfunc with a different prototype, its name is changed in a
 * copy of the object, so that libbpf treats the kfunc as missing. libbpf reads the copy until the
 * object is loaded.
 */
static struct memblame_bpf *open_object(void)
{
	static const char name[] = "bpf_task_work_schedule_resume_impl";
	struct memblame_bpf *bpf;
	static char *copy;
	size_t size;
	char *at;

	if (mb_probe_kfunc(name))
		return memblame_bpf__open();
	bpf = calloc(1, sizeof(*bpf));
	if (!bpf)
		return NULL;
	if (memblame_bpf__create_skeleton(bpf)) {
		memblame_bpf__destroy(bpf);
		errno = ENOMEM;
		return NULL;
	}
	size = bpf->skeleton->data_sz;
	if (!copy) {
		copy = malloc(size);
		if (copy)
			memcpy(copy, bpf->skeleton->data, size);
		for (at = copy; at && (at = memmem(at, size - (size_t)(at - copy), name, sizeof(name)));)
			*at = 'x';
	}
	if (copy)
		bpf->skeleton->data = copy;
	errno = -bpf_object__open_skeleton(bpf->skeleton, NULL);
	if (!errno)
		return bpf;
	memblame_bpf__destroy(bpf);
	return NULL;
}

/*
 * Reading the types of modules needs CAP_SYS_ADMIN. libbpf (1.1.2, 1.4.6) searches them for a
 * function or field that vmlinux does not have, and treats the failed read as an error, even for
 * __weak symbols. But it tries this only once. So this function makes it try now, with a name that
 * does not exist.
 */
static void look_for_no_modules(struct memblame_bpf *bpf)
{
	bpf_program__set_attach_target(bpf->progs.task_exit, 0, "memblame_nowhere");
}

/* Opens the object and loads it with the programs of the selected hooks. */
static int try_load(struct mb_kern *k)
{
	struct bpf_object *o;
	int err;

	memset(&refused, 0, sizeof(refused));
	k->hash_ledgers = false;
	k->bpf = open_object();
	if (!k->bpf)
		return -errno;
	o = k->bpf->obj;
	if (!mb_probe_modules_readable())
		look_for_no_modules(k->bpf);
	for (size_t i = 0; i < k->n_selected; i++) {
		choose(k, o, &k->selected[i]);
		if (!k->selected[i].hook)
			continue;
		k->hash_ledgers |= k->selected[i].hook->hash_ledgers;
		want_hook(k, o, k->selected[i].hook);
	}
	set_knobs(k, &k->bpf->rodata_knobs->knobs);
	mb_levels_prepare(k);
	mb_uprobes_prepare(k);
	err = size_maps(k);
	return err ? err : memblame_bpf__load(k->bpf);
}

/*
 * Excludes the hooks that use the rejected program. Returns false if no hook uses it, so that
 * another attempt is useless.
 */
static bool cross_out(struct mb_kern *k, const char *program, const char *error)
{
	bool any = false;

	for (size_t i = 0; i < k->n_selected; i++) {
		struct mb_selected_hook *a = &k->selected[i];

		if (a->hook && list_has(a->hook->optional, program) &&
		    k->n_given_up < MB_ARRAY_SIZE(k->given_up)) {
			/* the hook works without it */
			snprintf(k->given_up[k->n_given_up++], sizeof(k->given_up[0]), "%s",
				 program);
			any = true;
		}
		if (!a->hook || !list_has(a->hook->programs, program))
			continue;
		note_failure(a, a->hook->name, error);
		a->hook = NULL;
		any = true;
	}
	return any;
}

static int attach_all(struct mb_kern *k)
{
	struct bpf_program *p;

	memset(&refused, 0, sizeof(refused));
	bpf_object__for_each_program(p, k->bpf->obj)
	{
		int err;

		if (!bpf_program__autoload(p))
			continue;
		err = mb_attach_program(k, p);
		if (err) {
			snprintf(refused.program, sizeof(refused.program), "%s",
				 bpf_program__name(p));
			snprintf(refused.error, sizeof(refused.error), "attach: %s",
				 strerror(-err));
			return err;
		}
	}
	return 0;
}

static int ask(struct mb_kern *k, struct mb_err *e)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; mb_kern_traces(k, fam[i]) && j < fam[i]->n_probe_points; j++) {
			if (fam[i]->probe_points[j].on_request && !(k->cfg.requests & (1u << fam[i]->id)))
				continue;
			if (!add_probe_point(k, fam[i], &fam[i]->probe_points[j]))
				return mb_err_set(e, MB_EXIT_FAILED, 0, "too many questions");
		}
	}
	return 0;
}

int mb_load(struct mb_kern *k, struct mb_err *e)
{
	int err = ask(k, e);

	if (err)
		return err;
	libbpf_set_print(on_libbpf_log);
	for (;;) {
		err = try_load(k);
		if (!err) {
			/* rings must be installed before a program can send events */
			err = mb_rings_create(k, e);
			if (err)
				return err;
			err = attach_all(k);
			if (!err)
				return 0;
			mb_detach_from(k, 0);
			bpf_link__destroy(k->iter);
			k->iter = NULL;
			mb_rings_close(k);
		}
		memblame_bpf__destroy(k->bpf);
		k->bpf = NULL;
		if (!refused.program[0] || !cross_out(k, refused.program, refused.error))
			return mb_err_set(e, MB_EXIT_UNSUPPORTED, err,
					  "cannot load the BPF programs%s%s (--verbose says more)",
					  refused.error[0] ? ": " : "", refused.error);
	}
}
