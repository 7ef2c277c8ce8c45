// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Dirties pages of a file in every possible way, in blocks of one page, and reports how many. Uses the kernel
 * interfaces of AIO and io_uring directly, so no library is needed.
 */
#include "workload.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 64u

static const char *path;
static size_t pages;
static char *data;
static size_t dirtied; /* pages of the file that were clean and became dirty */

static int new_file(int flags)
{
	int fd;

	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600);
	if (fd < 0)
		err(1, "cannot create %s", path);
	return fd;
}

static off_t at_page(size_t i)
{
	return (off_t)(i * wl_page());
}

static void write_pages(int fd)
{
	for (size_t i = 0; i < pages; i++) {
		if (pwrite(fd, data, wl_page(), at_page(i)) != (ssize_t)wl_page())
			err(1, "cannot write %s", path);
	}
}

static void sync_pages(int fd)
{
	if (fsync(fd))
		err(1, "cannot fsync %s", path);
}

static void run_write(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	write_pages(new_file(0));
	dirtied = pages;
}

/* A write to a dirty page does not make it dirty; a write after write-back makes the page dirty again. */
static void run_again(int argc, char **argv)
{
	int fd = new_file(0);

	(void)argc;
	(void)argv;
	write_pages(fd);
	write_pages(fd);
	sync_pages(fd);
	write_pages(fd);
	dirtied = 2 * pages;
}

static void run_truncated(int argc, char **argv)
{
	int fd = new_file(0);

	(void)argc;
	(void)argv;
	write_pages(fd);
	if (ftruncate(fd, 0))
		err(1, "cannot truncate %s", path);
	dirtied = pages;
}

static void run_direct(int argc, char **argv)
{
	int fd = new_file(O_DIRECT);

	(void)argc;
	(void)argv;
	write_pages(fd);
	sync_pages(fd);
}

static void run_fallocate(int argc, char **argv)
{
	int fd = new_file(0);

	(void)argc;
	(void)argv;
	if (fallocate(fd, 0, 0, at_page(pages)))
		err(1, "cannot allocate %s", path);
}

static void run_mmap(int argc, char **argv)
{
	int fd = new_file(0);
	char *map;

	(void)argc;
	(void)argv;
	if (ftruncate(fd, at_page(pages)))
		err(1, "cannot size %s", path);
	map = wl_map_file(fd, pages, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (madvise(map, pages * wl_page(), MADV_RANDOM)) /* otherwise read-ahead makes large folios */
		err(1, "madvise");
	wl_write_pages(map, pages);
	dirtied = pages;
}

static void run_aio(int argc, char **argv)
{
	int fd = new_file(0);
	struct io_event done;
	aio_context_t ctx = 0;

	(void)argc;
	(void)argv;
	if (syscall(SYS_io_setup, ENTRIES, &ctx))
		err(1, "io_setup");
	for (size_t i = 0; i < pages; i++) {
		struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PWRITE,
				   .aio_fildes = (uint32_t)fd,
				   .aio_buf = (uintptr_t)data,
				   .aio_nbytes = wl_page(),
				   .aio_offset = at_page(i) };
		struct iocb *list[] = { &cb };

		if (syscall(SYS_io_submit, ctx, 1, list) != 1 ||
		    syscall(SYS_io_getevents, ctx, 1, 1, &done, NULL) != 1 ||
		    done.res != (long)wl_page())
			err(1, "io_submit");
	}
	dirtied = pages;
}

struct ring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_flags, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static void *map_ring(int fd, size_t size, off_t offset)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

	if (p == MAP_FAILED)
		err(1, "cannot map the ring");
	return p;
}

static void ring_open(struct ring *r, unsigned int flags)
{
	struct io_uring_params p = { .flags = flags, .sq_thread_idle = 1000 };
	unsigned int *array;
	char *sq, *cq;

	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (r->fd < 0) { /* switched off, or not in this kernel */
		wl_num("unsupported", errno);
		wl_end(0);
	}
	sq = map_ring(r->fd, p.sq_off.array + p.sq_entries * sizeof(*array), IORING_OFF_SQ_RING);
	cq = map_ring(r->fd, p.cq_off.cqes + p.cq_entries * sizeof(*r->cqes), IORING_OFF_CQ_RING);
	r->sqes = map_ring(r->fd, p.sq_entries * sizeof(*r->sqes), IORING_OFF_SQES);
	r->sq_tail = (void *)(sq + p.sq_off.tail);
	r->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	r->sq_flags = (void *)(sq + p.sq_off.flags);
	r->cq_head = (void *)(cq + p.cq_off.head);
	r->cq_tail = (void *)(cq + p.cq_off.tail);
	r->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	r->cqes = (void *)(cq + p.cq_off.cqes);
	array = (void *)(sq + p.sq_off.array);
	for (unsigned int i = 0; i < p.sq_entries; i++)
		array[i] = i;
}

/* Submits the entry in the ring and reads its result. polled: a kernel thread polls the ring. */
static void ring_wait(struct ring *r, bool polled)
{
	unsigned int flags = IORING_ENTER_GETEVENTS, head = *r->cq_head;
	struct io_uring_cqe *cqe;

	if (polled && (__atomic_load_n(r->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP))
		flags |= IORING_ENTER_SQ_WAKEUP;
	while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) == head) {
		long n = syscall(SYS_io_uring_enter, r->fd, 1, 1, flags, NULL, 0);

		if (n < 0 && errno != EINTR)
			err(1, "io_uring_enter");
		flags |= polled ? IORING_ENTER_SQ_WAKEUP : 0;
	}
	cqe = &r->cqes[head & *r->cq_mask];
	if (cqe->res != (int)wl_page())
		errx(1, "a write by io_uring: %s", strerror(-cqe->res));
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
}

static void write_by_ring(unsigned int setup_flags, unsigned char sqe_flags)
{
	bool polled = setup_flags & IORING_SETUP_SQPOLL;
	int fd = new_file(0);
	struct ring r;

	ring_open(&r, setup_flags);
	if (polled && syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, &fd, 1))
		err(1, "io_uring_register");
	for (size_t i = 0; i < pages; i++) {
		unsigned int tail = *r.sq_tail;
		struct io_uring_sqe *sqe = &r.sqes[tail & *r.sq_mask];

		memset(sqe, 0, sizeof(*sqe));
		sqe->opcode = IORING_OP_WRITE;
		sqe->fd = polled ? 0 : fd; /* index of a registered file */
		sqe->flags = sqe_flags | (polled ? IOSQE_FIXED_FILE : 0);
		sqe->addr = (uintptr_t)data;
		sqe->len = (unsigned int)wl_page();
		sqe->off = (uint64_t)at_page(i);
		__atomic_store_n(r.sq_tail, tail + 1, __ATOMIC_SEQ_CST);
		ring_wait(&r, polled);
	}
	dirtied = pages;
}

static void run_uring(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	write_by_ring(0, 0);
}

/* Through workers of io_uring, which are threads of the process, or kernel threads until 5.11. */
static void run_workers(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	write_by_ring(0, IOSQE_ASYNC);
}

static void run_polled(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	write_by_ring(IORING_SETUP_SQPOLL, 0);
}

static const struct wl_mode modes[] = {
	{ "write", "FILE PAGES write", 0, run_write },
	{ "again", "FILE PAGES again", 0, run_again },
	{ "truncated", "FILE PAGES truncated", 0, run_truncated },
	{ "direct", "FILE PAGES direct", 0, run_direct },
	{ "fallocate", "FILE PAGES fallocate", 0, run_fallocate },
	{ "mmap", "FILE PAGES mmap", 0, run_mmap },
	{ "aio", "FILE PAGES aio", 0, run_aio },
	{ "uring", "FILE PAGES uring", 0, run_uring },
	{ "workers", "FILE PAGES workers", 0, run_workers },
	{ "polled", "FILE PAGES polled", 0, run_polled },
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct wl_mode *mode = wl_find_mode(modes, argc > 3 ? argv[3] : "write");

	if (!mode || argc < 3)
		wl_usage("dirtyways", modes);
	path = argv[1];
	pages = wl_parse(argv[2]);
	data = aligned_alloc(wl_page(), wl_page());
	if (!data)
		errx(1, "no memory");
	memset(data, 'w', wl_page());
	wl_begin("dirtyways", mode->name);
	mode->run(0, NULL);
	wl_num("dirtied_pages", (long long)dirtied);
	wl_end(0);
}
