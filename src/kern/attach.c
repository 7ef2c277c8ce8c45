// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Attaching one program: by its section, or to a perf software event on every CPU. */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kern/internal.h"

static int add_link(struct mb_kern *k, struct bpf_link *link)
{
	struct bpf_link **links = k->links;

	if (!link)
		return -errno;
	if (k->n_links == k->links_size) {
		k->links_size = k->links_size ? 2 * k->links_size : 64;
		links = realloc(links, k->links_size * sizeof(*links));
	}
	if (!links) {
		bpf_link__destroy(link);
		return -ENOMEM;
	}
	k->links = links;
	k->links[k->n_links++] = link;
	return 0;
}

void mb_detach_from(struct mb_kern *k, size_t n)
{
	while (k->n_links > n)
		bpf_link__destroy(k->links[--k->n_links]);
}

/* Each major fault, on each CPU. A CPU that is offline has no event, and no faults. */
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
		err = add_link(k, bpf_program__attach_perf_event(p, fd));
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
	case BPF_PROG_TYPE_KPROBE: /* of processes that show up later: uprobes.c */
		return 0;
	case BPF_PROG_TYPE_TRACING:
		if (bpf_program__expected_attach_type(p) == BPF_TRACE_ITER) {
			k->iter = bpf_program__attach_iter(p, NULL);
			return k->iter ? 0 : -errno;
		}
		return add_link(k, bpf_program__attach(p));
	default:
		return add_link(k, bpf_program__attach(p));
	}
}
