// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Creates, maps and drains the rings: one per CPU, and the urgent one. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kern/internal.h"

/*
 * Ring sizes per CPU. Accounts send few events (timed faults, pauses). A stream of faults needs
 * room for a consumer that does not run for 0.2 s at a million events per second.
 */
#define RING_BYTES (128u * 1024)
#define RING_BYTES_STREAM (16u * 1024 * 1024)
/*
 * Events with stacks: a burst of 50,000 allocations that are all sent needs about 30 MiB. Machines
 * with many CPUs have RING_BYTES_STACKS_ALL in total, not that much on each CPU.
 */
#define RING_BYTES_STACKS (32u * 1024 * 1024)
#define RING_BYTES_STACKS_ALL (64u * 1024 * 1024)

/* Events read from a ring before the next ring's turn: a few ms of work. */
#define DRAIN_BUDGET 16384

static __u32 ring_bytes(const struct mb_kern *k)
{
	__u32 size = RING_BYTES_STACKS;

	if (k->cfg.stream)
		return RING_BYTES_STREAM;
	if (!k->cfg.leaks)
		return RING_BYTES;
	while (size > RING_BYTES * 4 && size * (__u64)k->n_cpus > RING_BYTES_STACKS_ALL)
		size /= 2;
	return size;
}

int mb_rings_create(struct mb_kern *k, struct mb_err *e)
{
	__u32 size = ring_bytes(k);

	k->ring_fds = calloc((size_t)k->n_cpus, sizeof(*k->ring_fds));
	if (!k->ring_fds)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "no memory for the ring table");
	for (__u32 cpu = 0; cpu < (__u32)k->n_cpus; cpu++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "mb_ring", 0, 0, size, NULL);

		if (fd < 0)
			return mb_err_set(e, MB_EXIT_FAILED, errno,
					  "cannot create a ring of %u bytes for CPU %u", size, cpu);
		k->ring_fds[cpu] = fd;
		if (bpf_map_update_elem(bpf_map__fd(k->bpf->maps.rings), &cpu, &fd, BPF_ANY))
			return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot install a ring");
	}
	return 0;
}

static int on_event(void *arg, void *data, size_t len)
{
	struct mb_kern *k = arg;

	k->take(k->take_arg, data, len);
	/* libbpf consumes this event in either case */
	return --k->budget > 0 ? 0 : -EAGAIN;
}

/* libbpf maps these pages too, but does not export them before 1.3. */
static bool map_slot(struct mb_ring_slot *slot, int fd)
{
	long page = sysconf(_SC_PAGESIZE);
	void *consumer = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, 0);
	void *producer = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, page);

	slot->consumer = consumer == MAP_FAILED ? NULL : consumer;
	slot->producer = producer == MAP_FAILED ? NULL : producer;
	return slot->consumer && slot->producer;
}

static void unmap_slot(struct mb_ring_slot *slot)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (slot->consumer)
		munmap((void *)(uintptr_t)slot->consumer, page);
	if (slot->producer)
		munmap((void *)(uintptr_t)slot->producer, page);
}

int mb_rings_open(struct mb_kern *k, struct mb_err *e)
{
	struct epoll_event ev = { .events = EPOLLIN };

	k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	k->readers = calloc((size_t)k->n_cpus + 1, sizeof(struct ring_buffer *));
	k->slots = calloc((size_t)k->n_cpus + 1, sizeof(*k->slots));
	if (k->epoll_fd < 0 || !k->readers || !k->slots)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot watch the rings");
	for (int i = 0; i <= k->n_cpus; i++) {
		int fd = i ? k->ring_fds[i - 1] : bpf_map__fd(k->bpf->maps.urgent);

		k->readers[i] = ring_buffer__new(fd, on_event, k, NULL);
		if (!k->readers[i] || epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD,
						ring_buffer__epoll_fd(k->readers[i]), &ev) ||
		    !map_slot(&k->slots[i], fd))
			return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot map ring %d", i);
	}
	return 0;
}

void mb_rings_close(struct mb_kern *k)
{
	for (int i = 0; k->readers && i <= k->n_cpus; i++)
		ring_buffer__free(k->readers[i]);
	free(k->readers);
	k->readers = NULL;
	for (int i = 0; k->slots && i <= k->n_cpus; i++)
		unmap_slot(&k->slots[i]);
	free(k->slots);
	k->slots = NULL;
	if (k->epoll_fd >= 0)
		close(k->epoll_fd);
	k->epoll_fd = -1;
	for (int cpu = 0; k->ring_fds && cpu < k->n_cpus; cpu++) {
		if (k->ring_fds[cpu] > 0)
			close(k->ring_fds[cpu]);
	}
	free(k->ring_fds);
	k->ring_fds = NULL;
}

int mb_kern_epoll_fd(const struct mb_kern *k)
{
	return k->epoll_fd;
}

int mb_kern_drain(struct mb_kern *k, mb_kern_sink take, void *arg)
{
	int events = 0;

	k->take = take;
	k->take_arg = arg;
	for (int i = 0; i <= k->n_cpus; i++) {
		int n;

		k->budget = DRAIN_BUDGET;
		n = ring_buffer__consume(k->readers[i]);
		if (n < 0 && n != -EAGAIN)
			return n;
		events += DRAIN_BUDGET - k->budget;
	}
	return events;
}

void mb_kern_mark(struct mb_kern *k)
{
	for (int i = 0; i <= k->n_cpus; i++)
		k->slots[i].mark = __atomic_load_n(k->slots[i].producer, __ATOMIC_ACQUIRE);
}

bool mb_kern_rings_drained(const struct mb_kern *k)
{
	for (int i = 0; i <= k->n_cpus; i++) {
		if ((long)(__atomic_load_n(k->slots[i].consumer, __ATOMIC_ACQUIRE) - k->slots[i].mark) < 0)
			return false;
	}
	return true;
}
