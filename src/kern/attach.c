// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Attaches a program according to its section, or to a perf software event on every CPU;
 * temporarily detaches and reattaches programs.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kern/internal.h"

/* The first level at which the families do not need this program. */
static enum mb_level off_from(const struct bpf_program *p)
{
	size_t n;
	const struct mb_family *const *fam = mb_families(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < fam[i]->n_hot; j++) {
			if (strcmp(fam[i]->hot[j].program, bpf_program__name(p)) == 0)
				return fam[i]->hot[j].from;
		}
	}
	return MB_LEVELS;
}

/*
 * Can the program be attached again after it was detached? If not, it stays attached, and does
 * nothing at a level that does not need it.
 */
static bool can_return(const struct mb_kern *k, const struct bpf_program *p)
{
	enum bpf_attach_type type = bpf_program__expected_attach_type(p);
	const char *function = strchr(bpf_program__section_name(p), '/');

	if (!k->cfg.governed || !function || (type != BPF_TRACE_FENTRY && type != BPF_TRACE_FEXIT))
		return true;
	return mb_probe_reattach(function + 1);
}

static int add_link(struct mb_kern *k, struct bpf_program *p, struct bpf_link *link, int perf_fd)
{
	if (!link)
		return -errno;
	if (k->n_links == k->links_size) {
		size_t size = k->links_size ? 2 * k->links_size : 64;
		struct mb_link *links = realloc(k->links, size * sizeof(*links));

		if (!links) {
			bpf_link__destroy(link);
			return -ENOMEM;
		}
		k->links = links;
		k->links_size = size;
	}
	k->links[k->n_links++] = (struct mb_link){ link, p, perf_fd, can_return(k, p) ? off_from(p) : MB_LEVELS };
	return 0;
}

void mb_detach_from(struct mb_kern *k, size_t n)
{
	while (k->n_links > n)
		bpf_link__destroy(k->links[--k->n_links].link);
}

/* Attaches to each major fault on each CPU. An offline CPU has no event, and no faults. */
static int attach_major_faults(struct mb_kern *k, struct bpf_program *p)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS_MAJ,
		.sample_period = 1,
	};
	int err = 0, attached = 0;

	for (int cpu = 0; cpu < k->n_cpus && !err; cpu++) {
		int fd =
			(int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

		if (fd < 0) {
			err = errno == ENODEV || errno == EINVAL ? 0 : -errno;
			continue;
		}
		err = add_link(k, p, bpf_program__attach_perf_event(p, fd), fd);
		if (err)
			close(fd);
		attached += !err;
	}
	return err ? err : attached ? 0 : -ENODEV;
}

int mb_attach_program(struct mb_kern *k, struct bpf_program *p)
{
	switch (bpf_program__type(p)) {
	case BPF_PROG_TYPE_PERF_EVENT:
		return attach_major_faults(k, p);
	case BPF_PROG_TYPE_KPROBE: /* uprobes.c attaches these, also to processes that start later */
		return 0;
	case BPF_PROG_TYPE_TRACING:
		if (bpf_program__expected_attach_type(p) == BPF_TRACE_ITER) {
			k->iter = bpf_program__attach_iter(p, NULL);
			return k->iter ? 0 : -errno;
		}
		return add_link(k, p, bpf_program__attach(p), -1);
	default:
		return add_link(k, p, bpf_program__attach(p), -1);
	}
}

/*
 * A perf event is only disabled, because opening it again needs a privilege that memblame drops
 * after its start.
 */
void mb_attach_take_off(struct mb_kern *k, enum mb_level level)
{
	for (size_t i = 0; i < k->n_links; i++) {
		struct mb_link *l = &k->links[i];

		if (l->off_from > level)
			continue;
		if (l->perf_fd >= 0) {
			ioctl(l->perf_fd, PERF_EVENT_IOC_DISABLE, 0);
			continue;
		}
		bpf_link__destroy(l->link);
		l->link = NULL;
	}
}

int mb_attach_put_back(struct mb_kern *k, enum mb_level level)
{
	for (size_t i = 0; i < k->n_links; i++) {
		struct mb_link *l = &k->links[i];

		if (l->off_from <= level)
			continue;
		if (l->perf_fd >= 0 && ioctl(l->perf_fd, PERF_EVENT_IOC_ENABLE, 0))
			return -errno;
		if (!l->link)
			l->link = bpf_program__attach(l->program);
		if (!l->link)
			return -errno;
	}
	return 0;
}
