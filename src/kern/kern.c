// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Operations on all families together: open, close, harvest, and the kernel's statistics of
 * memblame's programs.
 */
#include "kern/kern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kern/internal.h"

/*
 * Timing a fault costs two clock reads (40 ns). Timing 1 fault in 64 makes this less than 1 ns per
 * fault.
 */
#define SAMPLE_1_IN 64u

/* Records per read of the iterator. */
#define HARVEST_RECORDS 64

uint32_t mb_kern_sample_1_in(const struct mb_kern *k)
{
	for (size_t i = 0; i < k->n_selected; i++) {
		if (k->selected[i].hook && k->selected[i].hook->times_every_fault)
			return 1;
	}
	return SAMPLE_1_IN;
}

/* Finds the positions of the arguments listed in args.def in this kernel's tracepoints. */
static void find_arguments(struct mb_kern *k)
{
	_Static_assert(MB_ARGS <= MB_ARGS_MAX, "raise MB_ARGS_MAX");
#define MB_ARG(tracepoint, argument) \
	k->args[MB_ARG_##tracepoint##_##argument] = mb_probe_argument(#tracepoint, #argument);
#include "memblame/args.def"
#undef MB_ARG
}

bool mb_kern_traces(const struct mb_kern *k, const struct mb_family *f)
{
	return f->id == MB_FAM_task || (k->cfg.families & (1u << f->id));
}

int mb_kern_open(struct mb_kern **out, const struct mb_kern_config *cfg, struct mb_err *e)
{
	struct mb_kern *k = calloc(1, sizeof(*k));
	int err;

	*out = k;
	if (!k)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory");
	k->cfg = *cfg;
	k->epoll_fd = -1;
	k->n_cpus = libbpf_num_possible_cpus();
	k->record_buf = malloc(HARVEST_RECORDS * sizeof(struct mb_task_record));
	if (k->n_cpus < 1 || !k->record_buf) {
		err = mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "cannot start");
		goto cleanup;
	}
	err = mb_load_check_forced(cfg->force_hooks, e);
	if (err)
		goto cleanup;
	find_arguments(k);
	err = mb_load(k, e);
	if (err)
		goto cleanup;
	if (!k->iter) {
		err = mb_err_set(e, MB_EXIT_UNSUPPORTED, 0,
				 "this kernel has no task iterator (5.8 or later is needed)");
		goto cleanup;
	}
	err = mb_rings_open(k, e);
	if (!err)
		err = mb_tables_open(k, e);
	if (!err)
		return 0;
cleanup:
	mb_kern_close(k);
	*out = NULL;
	return err;
}

void mb_kern_detach(struct mb_kern *k)
{
	mb_detach_from(k, 0);
	mb_uprobes_detach(k);
}

void mb_kern_close(struct mb_kern *k)
{
	if (!k)
		return;
	mb_kern_detach(k);
	bpf_link__destroy(k->iter);
	mb_uprobes_close(k);
	mb_tables_close(k);
	mb_rings_close(k);
	memblame_bpf__destroy(k->bpf);
	free(k->links);
	free(k->record_buf);
	free(k);
}

const struct mb_selected_hook *mb_kern_selected_hooks(const struct mb_kern *k, size_t *n)
{
	*n = k->n_selected;
	return k->selected;
}

/* Reads the iterator to its end. A read may end in the middle of a record. */
static int read_records(struct mb_kern *k, int fd, mb_kern_sink take, void *arg)
{
	const size_t size = sizeof(struct mb_task_record);
	size_t have = 0;
	int records = 0;

	for (;;) {
		ssize_t n = read(fd, k->record_buf + have, HARVEST_RECORDS * size - have);
		size_t used = 0;

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n < 0 ? -errno : records;
		have += (size_t)n;
		for (; have - used >= size; used += size, records++) {
			if (take)
				take(arg, k->record_buf + used, size);
		}
		have -= used;
		memmove(k->record_buf, k->record_buf + used, have);
	}
}

int mb_kern_harvest(struct mb_kern *k, mb_kern_sink take, void *arg)
{
	int fd, n;

	k->bpf->bss->first_pass = k->harvests < 2;
	fd = bpf_iter_create(bpf_link__fd(k->iter));
	if (fd < 0)
		return -errno;
	n = read_records(k, fd, take, arg);
	close(fd);
	k->harvests++;
	return n;
}

/* Returns the family of a program, whose name is FAMILY_HOOK. */
static const struct mb_family *family_of(const char *program)
{
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(program, "_"), program);
	return mb_family_by_name(name);
}

/* Calls fn for every loaded program. */
static void each_program(const struct mb_kern *k,
			 void (*fn)(void *arg, const struct mb_family *f, const struct bpf_prog_info *i),
			 void *arg)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, k->bpf->obj)
	{
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_program__fd(p) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len))
			fn(arg, family_of(bpf_program__name(p)), &info);
	}
}

/* Does another program make up for the events that this program misses? */
static bool is_repaired(const struct mb_kern *k, const struct mb_missed *m)
{
	const struct bpf_program *with =
		m->with ? bpf_object__find_program_by_name(k->bpf->obj, m->with) : NULL;

	return m->repaired && (!m->with || (with && bpf_program__fd(with) >= 0));
}

struct counting {
	const struct mb_kern *k;
	uint64_t counts[MB_FAM_MAX][MB_DROP_REASONS];
};

/*
 * arg: struct counting. Kernels before 5.12 do not count misses, and do not skip programs on
 * recursion either.
 */
static void add_missed(void *arg, const struct mb_family *f, const struct bpf_prog_info *info)
{
	struct counting *c = arg;
	enum mb_drop_reason reason = MB_DROP_MISSED;

	for (size_t i = 0; i < f->n_missed; i++) {
		/* the kernel stores only the first 15 characters of a program's name */
		if (strncmp(f->missed[i].program, info->name, sizeof(info->name) - 1) != 0)
			continue;
		if (is_repaired(c->k, &f->missed[i]))
			return;
		reason = f->missed[i].reason;
	}
	c->counts[f->id][reason] += info->recursion_misses;
}

/* Subtracts traps that a program caused itself: they are not missed events. */
static void take_away_own_traps(const struct mb_kern *k, uint64_t *count)
{
	uint64_t own = *(volatile __u64 *)&k->bpf->bss->own_traps;

	*count -= own < *count ? own : *count;
}

/*
 * The kernel counts misses without a time. So a miss gets the time at which this function sees the
 * count change.
 */
static void count_missed(struct mb_kern *k)
{
	struct counting c = { .k = k };

	each_program(k, add_missed, &c);
	take_away_own_traps(k, &c.counts[MB_FAM_fault][MB_DROP_MISSED]);
	for (int f = 0; f < MB_FAM_MAX; f++) {
		for (int r = 0; r < MB_DROP_REASONS; r++) {
			struct mb_drop *d = &k->missed[f][r];

			if (c.counts[f][r] == d->count)
				continue;
			d->last_t_ns = mb_now_ns();
			if (!d->count)
				d->first_t_ns = d->last_t_ns;
			d->count = c.counts[f][r];
		}
	}
}

static void merge_drop(struct mb_drop *into, const struct mb_drop *d)
{
	if (!d->count)
		return;
	if (!into->count || d->first_t_ns < into->first_t_ns)
		into->first_t_ns = d->first_t_ns;
	if (d->last_t_ns > into->last_t_ns)
		into->last_t_ns = d->last_t_ns;
	into->count += d->count;
}

void mb_kern_drops(struct mb_kern *k, struct mb_drop drops[MB_FAM_MAX][MB_DROP_REASONS])
{
	struct mb_drops *cpus = calloc((size_t)k->n_cpus, sizeof(*cpus));
	__u32 key = 0;

	count_missed(k);
	memcpy(drops, k->missed, sizeof(k->missed));
	if (cpus && !bpf_map_lookup_elem(bpf_map__fd(k->bpf->maps.drops), &key, cpus)) {
		for (int cpu = 0; cpu < k->n_cpus; cpu++) {
			for (int f = 0; f < MB_FAM_MAX; f++) {
				for (int r = 0; r < MB_DROP_REASONS; r++)
					merge_drop(&drops[f][r], &cpus[cpu].by[f][r]);
			}
		}
	}
	free(cpus);
}

struct run_time {
	uint64_t ns;
	bool known;
};

static void add_run_time(void *arg, const struct mb_family *f, const struct bpf_prog_info *info)
{
	struct run_time *t = arg;

	(void)f;
	/* both stay 0 unless kernel.bpf_stats_enabled is set */
	t->known |= info->run_cnt > 0;
	t->ns += info->run_time_ns;
}

bool mb_kern_bpf_ns(const struct mb_kern *k, uint64_t *ns)
{
	struct run_time t = { 0 };

	each_program(k, add_run_time, &t);
	*ns = t.ns;
	return t.known;
}

void mb_kern_runs(const struct mb_kern *k, uint64_t *ns, uint64_t *runs)
{
	struct bpf_program *p;

	*ns = *runs = 0;
	bpf_object__for_each_program(p, k->bpf->obj)
	{
		struct bpf_prog_info info = { 0 };
		__u32 len = sizeof(info);

		/* iterators run in memblame's own CPU time */
		if (bpf_program__fd(p) < 0 || bpf_program__expected_attach_type(p) == BPF_TRACE_ITER ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len))
			continue;
		*ns += info.run_time_ns;
		*runs += info.run_cnt;
	}
}

long long mb_kern_pending_exits(struct mb_kern *k, long long *alive)
{
	int records = mb_kern_harvest(k, NULL, NULL);

	*alive = records < 0 ? 0 : records;
	return records < 0 ? -1 : (long long)*(volatile __u64 *)&k->bpf->bss->traced - records;
}

void mb_kern_trust_frame_pointers(struct mb_kern *k, uint32_t tgid, bool trust)
{
	int map = bpf_map__fd(k->bpf->maps.frame_pointers);
	__u32 yes = 1;

	if (trust)
		bpf_map_update_elem(map, &tgid, &yes, BPF_ANY);
	else
		bpf_map_delete_elem(map, &tgid);
}

uint32_t mb_kern_kmem_sample_1_in(const struct mb_kern *k)
{
	return k->cfg.kmem_sample_1_in ? k->cfg.kmem_sample_1_in : MB_KMEM_SAMPLE_1_IN;
}

uint32_t mb_kern_kmem_stack(const struct mb_kern *k, uint32_t stack, uint64_t *ips)
{
	struct bpf_map *map = stack & MB_KMEM_IRQ ? k->bpf->maps.kmem_irq_stacks : k->bpf->maps.kmem_stacks;
	__u32 id = (stack & ~MB_KMEM_IRQ) - 1, n = 0;

	memset(ips, 0, MB_KMEM_FRAMES * sizeof(*ips));
	if (!stack || bpf_map_lookup_elem(bpf_map__fd(map), &id, ips))
		return 0;
	while (n < MB_KMEM_FRAMES && ips[n])
		n++;
	return n;
}

bool mb_kern_kmem_cache(const struct mb_kern *k, uint64_t cache, char name[MB_KMEM_CACHE_NAME])
{
	if (bpf_map_lookup_elem(bpf_map__fd(k->bpf->maps.kmem_caches), &cache, name))
		return false;
	name[MB_KMEM_CACHE_NAME - 1] = '\0';
	return true;
}
