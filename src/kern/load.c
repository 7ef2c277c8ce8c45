// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Loading one family: for each of its questions take the best hook that this kernel accepts.
 * libbpf loads an object whole or not at all, so a refused program is found by its name in
 * libbpf's own message, its hook is crossed out, and the object is opened again without it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "kern/internal.h"

/* One call of libbpf at a time: its log callback has no argument to tell us where it is. */
static struct {
	char program[64];
	char error[160];
} refused;

static int on_libbpf_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[512], *name, *end;

	if (level > LIBBPF_INFO)
		return 0;
	if (mb_log_level() >= MB_LOG_VERBOSE) { /* whole, with the verifier's reasons */
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

static struct mb_answer *answer_add(struct mb_kern *k, const struct mb_family *f,
				    const struct mb_question *q)
{
	struct mb_answer *a;

	if (k->n_answers == MB_MAX_ANSWERS)
		return NULL;
	a = &k->answers[k->n_answers++];
	memset(a, 0, sizeof(*a));
	a->family = f;
	a->question = q;
	return a;
}

static void note_failure(struct mb_answer *a, const char *hook, const char *error)
{
	struct mb_tried *t;

	if (a->n_tried == MB_TRIED)
		return;
	t = &a->tried[a->n_tried++];
	t->hook = hook;
	snprintf(t->error, sizeof(t->error), "%s", error);
}

/* What a program sits on, if its section ("?tp_btf/name") begins so; or NULL. */
static const char *target_of(const struct bpf_program *p, const char *begin)
{
	const char *sec = bpf_program__section_name(p);

	sec += *sec == '?';
	return strncmp(sec, begin, strlen(begin)) == 0 ? sec + strlen(begin) : NULL;
}

/* Is everything there that this program needs? error says what is not. */
static bool program_possible(struct bpf_object *o, const char *name, char *error, size_t size)
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
	if (func && mb_probe_function(func, error, size))
		return false;
	if (tp && !mb_probe_tracepoint(tp)) {
		snprintf(error, size, "no tracepoint %s in this kernel", tp);
		return false;
	}
	return true;
}

static const struct mb_question *question_by_name(const struct mb_family *f, const char *name)
{
	for (size_t i = 0; f && i < f->n_questions; i++) {
		if (strcmp(f->questions[i].name, name) == 0)
			return &f->questions[i];
	}
	return NULL;
}

int mb_load_check_forced(const char *list, struct mb_err *e)
{
	for (const char *p = list; p && *p; p += strcspn(p, ","), p += *p == ',') {
		char family[32] = "", name[32] = "", hook[64] = "";
		const struct mb_question *q = NULL;
		size_t i = 0;

		if (sscanf(p, "%31[^.,].%31[^=,]=%63[^,]", family, name, hook) == 3)
			q = question_by_name(mb_family_by_name(family), name);
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

/* "family.question=hook" in the list: the only hook allowed; NULL: all are. */
static bool hook_forced_out(const struct mb_kern *k, const struct mb_answer *a,
			    const struct mb_hook *h)
{
	char want[96];
	const char *p;
	size_t n;

	snprintf(want, sizeof(want), "%s.%s=", a->family->name, a->question->name);
	p = k->cfg.force_hooks ? strstr(k->cfg.force_hooks, want) : NULL;
	if (!p)
		return false;
	p += strlen(want);
	n = strcspn(p, ",");
	return strlen(h->name) != n || strncmp(h->name, p, n) != 0;
}

static bool was_tried(const struct mb_answer *a, const char *hook)
{
	for (size_t i = 0; i < a->n_tried; i++) {
		if (strcmp(a->tried[i].hook, hook) == 0)
			return true;
	}
	return false;
}

/* Is this program of a family that came earlier at work? */
static bool is_loaded(const struct mb_kern *k, const char *program)
{
	for (int i = 0; i < MB_FAM_MAX; i++) {
		struct bpf_program *p =
			k->objects[i] ? bpf_object__find_program_by_name(k->objects[i], program) :
					NULL;

		if (p)
			return bpf_program__autoload(p);
	}
	return false;
}

/* Take the first hook that was not refused yet and whose tracepoints exist. */
static void choose(struct mb_kern *k, struct bpf_object *o, struct mb_answer *a)
{
	char error[160];

	a->hook = NULL;
	for (size_t i = 0; i < a->question->n_hooks; i++) {
		const struct mb_hook *h = &a->question->hooks[i];
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
		if (h->shares && !is_loaded(k, h->shares)) {
			snprintf(error, sizeof(error), "%s is not loaded", h->shares);
			possible = false;
		}
		for (int j = 0; possible && h->programs[j]; j++)
			possible = program_possible(o, h->programs[j], error, sizeof(error));
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

/* Has the kernel refused this optional program? */
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
		    program_possible(o, h->optional[i], error, sizeof(error)))
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

static int set_knobs(struct mb_kern *k, struct bpf_object *o)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, o)
	{
		struct mb_knobs *knobs;
		size_t size;

		if (!strstr(bpf_map__name(map), ".rodata.knobs"))
			continue;
		knobs = (struct mb_knobs *)bpf_map__initial_value(map, &size);
		if (!knobs || size != sizeof(*knobs))
			return -EINVAL;
		memset(knobs, 0, sizeof(*knobs));
		memcpy(knobs->pids, k->cfg.pids, sizeof(knobs->pids));
		memcpy(knobs->cgroup_ids, k->cfg.cgroups, sizeof(knobs->cgroup_ids));
		knobs->nr_pids = k->cfg.n_pids;
		knobs->nr_cgroups = k->cfg.n_cgroups;
		knobs->select = k->cfg.select;
		knobs->stream = k->cfg.stream;
		knobs->wake_bytes = k->cfg.stream ? 1024 * 1024 : 64 * 1024;
		knobs->sample_mask = mb_kern_sample_1_in(k) - 1;
		knobs->has_swap = mb_kern_has_swap();
		/* only swap-ins need every fault's start */
		knobs->time_all_faults =
			knobs->has_swap || !mb_probe_tracepoint("mm_filemap_fault");
		knobs->hash_ledgers = k->hash_ledgers;
		memcpy(knobs->args, k->args, sizeof(knobs->args));
	}
	return 0;
}

static const char *const shared_names[MB_MAP_SHARED] = {
	[MB_MAP_LEDGERS] = "ledgers",
	[MB_MAP_LEDGERS_BY_TID] = "ledgers_by_tid",
	[MB_MAP_LEDGER_ZERO] = "ledger_zero",
	[MB_MAP_SPARE_LEDGERS] = "spare_ledgers",
	[MB_MAP_EXCHANGE_ROOM] = "exchange_room",
	[MB_MAP_RINGS] = "rings",
	[MB_MAP_URGENT] = "urgent",
	[MB_MAP_DROPS] = "drops",
	[MB_MAP_TAKEN] = "taken",
};

/* Ledgers in the hash: of all threads, or of those that task storage was refused to. */
static __u32 hash_entries(const struct mb_kern *k)
{
	if (k->cfg.hash_entries)
		return k->cfg.hash_entries;
	return k->hash_ledgers ? MB_HASH_LEDGERS : MB_SPARE_LEDGERS;
}

/* The maps that core/maps.bpf.h declares in every object are those of the task object. */
static int share_maps(struct mb_kern *k, struct bpf_object *o)
{
	int err = 0;

	for (int i = 0; i < MB_MAP_SHARED && !err; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(o, shared_names[i]);

		if (!m) /* the family does not use it */
			continue;
		if (i == MB_MAP_LEDGERS && k->hash_ledgers)
			err = bpf_map__set_autocreate(m, false);
		else if (k->shared[i])
			err = bpf_map__reuse_fd(m, bpf_map__fd(k->shared[i]));
		else if (i == MB_MAP_RINGS)
			err = bpf_map__set_max_entries(m, (__u32)k->n_cpus);
		else if (i == MB_MAP_LEDGERS_BY_TID)
			err = bpf_map__set_max_entries(m, hash_entries(k));
	}
	return err;
}

static void keep_maps(struct mb_kern *k, struct bpf_object *o)
{
	for (int i = 0; i < MB_MAP_SHARED; i++) {
		if (!k->shared[i])
			k->shared[i] = bpf_object__find_map_by_name(o, shared_names[i]);
	}
}

/* Open the family's object with the programs of the hooks chosen so far, and load it. */
static int try_load(struct mb_kern *k, const struct mb_family *f, size_t first,
		    struct bpf_object **out)
{
	struct mb_object_image image;
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = f->name);
	struct bpf_object *o;
	int err;

	memset(&refused, 0, sizeof(refused));
	mb_object_image(f->name, &image);
	o = bpf_object__open_mem(image.data, image.size, &opts);
	if (!o)
		return -errno;
	for (size_t i = first; i < k->n_answers; i++) {
		choose(k, o, &k->answers[i]);
		if (k->answers[i].hook && k->answers[i].hook->hash_ledgers)
			k->hash_ledgers = true;
		if (k->answers[i].hook)
			want_hook(k, o, k->answers[i].hook);
	}
	err = set_knobs(k, o);
	if (!err)
		err = share_maps(k, o);
	if (!err)
		err = bpf_object__load(o);
	if (err) {
		bpf_object__close(o);
		return err;
	}
	*out = o;
	return 0;
}

/* Cross out what uses the refused program. False: nothing does, so trying again is no use. */
static bool cross_out(struct mb_kern *k, size_t first, const char *program, const char *error)
{
	bool any = false;

	for (size_t i = first; i < k->n_answers; i++) {
		struct mb_answer *a = &k->answers[i];

		if (a->hook && list_has(a->hook->optional, program) &&
		    k->n_given_up < MB_ARRAY_SIZE(k->given_up)) {
			/* the hook does without it */
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

static int attach_all(struct mb_kern *k, struct bpf_object *o)
{
	struct bpf_program *p;

	memset(&refused, 0, sizeof(refused));
	bpf_object__for_each_program(p, o)
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

static void detach_from(struct mb_kern *k, size_t first)
{
	while (k->n_links > first)
		bpf_link__destroy(k->links[--k->n_links]);
}

int mb_load_family(struct mb_kern *k, const struct mb_family *f, struct mb_err *e)
{
	size_t first = k->n_answers, links = k->n_links;
	struct bpf_object *o = NULL;
	int err;

	libbpf_set_print(on_libbpf_log);
	for (size_t i = 0; i < f->n_questions; i++) {
		if (!answer_add(k, f, &f->questions[i]))
			return mb_err_set(e, MB_EXIT_FAILED, 0, "too many questions");
	}
	for (;;) {
		err = try_load(k, f, first, &o);
		if (!err) {
			err = attach_all(k, o);
			if (!err)
				break;
			detach_from(k, links);
			bpf_object__close(o);
		}
		if (!refused.program[0] || !cross_out(k, first, refused.program, refused.error))
			return mb_err_set(e, MB_EXIT_UNSUPPORTED, err,
					  "cannot load the %s programs%s%s (--verbose says more)",
					  f->name, refused.error[0] ? ": " : "", refused.error);
	}
	k->objects[f->id] = o;
	keep_maps(k, o);
	return 0;
}
