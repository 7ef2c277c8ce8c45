// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Changes its address space at random, and reports its real state at checkpoints: "checkpoint N T_NS" on stdout,
 * with its /proc/self/maps in DIR/maps.N; then it waits for a byte on stdin (after the end of stdin it no longer
 * waits). Checkpoint 0 is before all changes, the last one after them. It does not use malloc, as it moves the break.
 * With MAPFUZZ_PLAIN in the environment it makes only changes whose effect is visible; with MAPFUZZ_CALLS it
 * uses no System V shared memory, and its stack does not grow.
 */
#include "workload.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "leak.h"
#include "mapfuzz.h"

/* far from the addresses that the kernel chooses */
#define ARENAS ((char *)0x200000000000)

static struct mf_thread threads[2];
static char second_stack[256 << 10] __attribute__((aligned(4096)));
static unsigned long operations;
static const char *dir;
static bool input_ended;
static long most_mappings;
/* the second thread: is asked to stand still; stands still; does not run (yet, or any more) */
static bool halt, halted, ended = true;

static void write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n <= 0)
			err(1, "cannot write");
		text += n;
		len -= (size_t)n;
	}
}

static void save_maps(unsigned int number)
{
	static char text[64 << 10];
	char path[4096];
	long lines = 0;
	ssize_t n;
	int from, to;

	snprintf(path, sizeof(path), "%s/maps.%u", dir, number);
	from = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (from < 0 || to < 0)
		err(1, "%s", path);
	while ((n = read(from, text, sizeof(text))) > 0) {
		write_all(to, text, (size_t)n);
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	}
	if (n < 0)
		err(1, "/proc/self/maps");
	close(from);
	close(to);
	if (lines > most_mappings)
		most_mappings = lines;
}

static void wait_for_byte(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char byte;

	while (!input_ended && !lk_over())
		if (poll(&input, 1, 100) > 0) {
			input_ended = read(STDIN_FILENO, &byte, 1) <= 0;
			return;
		}
}

static void pause_a_little(void)
{
	const struct timespec step = { .tv_nsec = 100000 };

	nanosleep(&step, NULL);
}

static bool is(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static void set(bool *flag, bool to)
{
	__atomic_store_n(flag, to, __ATOMIC_SEQ_CST);
}

static void checkpoint(void)
{
	static unsigned int number;
	struct timespec now;
	char line[64];
	int len;

	set(&halt, true);
	while (!is(&halted) && !is(&ended))
		pause_a_little();
	save_maps(number);
	clock_gettime(CLOCK_BOOTTIME, &now);
	len = snprintf(line, sizeof(line), "checkpoint %u %lld\n", number++,
		       (long long)now.tv_sec * 1000000000 + now.tv_nsec);
	write_all(STDOUT_FILENO, line, (size_t)len);
	wait_for_byte();
	set(&halt, false);
	while (is(&halted) && !is(&ended))
		pause_a_little();
}

static int second_thread(void *arg)
{
	for (unsigned long i = 0; i < operations && !lk_over(); i++) {
		if (is(&halt)) {
			set(&halted, true);
			while (is(&halt))
				pause_a_little();
			set(&halted, false);
		}
		mf_step(arg);
	}
	set(&ended, true);
	return 0;
}

static void start_thread(struct mf_thread *t, unsigned long seed, unsigned int i)
{
	t->random = (seed + 1) * 0x9e3779b97f4a7c15 + i;
	t->first = !i;
	t->plain = getenv("MAPFUZZ_PLAIN") != NULL;
	t->calls = getenv("MAPFUZZ_CALLS") != NULL;
	t->arena = ARENAS + i * (MF_ARENA_BYTES + (64UL << 20));
	if (mmap(t->arena, MF_ARENA_BYTES, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != t->arena)
		err(1, "the arena is taken");
	if (!i)
		return;
	ended = false;
	/* not a thread of libc, which would allocate */
	if (clone(second_thread, second_stack + sizeof(second_stack),
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, t) < 0)
		err(1, "clone");
}

static void report(void)
{
	for (unsigned int kind = 0; mf_kind_name(kind); kind++) {
		char key[32];

		snprintf(key, sizeof(key), "%s_ok", mf_kind_name(kind));
		wl_num(key, (long long)(threads[0].ok[kind] + threads[1].ok[kind]));
		snprintf(key, sizeof(key), "%s_failed", mf_kind_name(kind));
		wl_num(key, (long long)(threads[0].failed[kind] + threads[1].failed[kind]));
	}
	wl_num("most_mappings", most_mappings);
}

int main(int argc, char **argv)
{
	unsigned long checkpoints, n;
	struct mf_thread *t = &threads[0];

	if (argc < 5)
		errx(2, "usage: mapfuzz SEED OPERATIONS DIR CHECKPOINTS [THREADS]");
	wl_begin("mapfuzz", argv[1]);
	operations = wl_parse(argv[2]);
	dir = argv[3];
	checkpoints = wl_parse(argv[4]);
	n = wl_arg(argc, argv, 5, 1);
	if (n < 1 || n > 2 || !checkpoints)
		errx(2, "one or two threads, and a checkpoint at least");
	lk_begin("mapfuzz", 3600);
	mf_prepare(dir);
	start_thread(t, wl_parse(argv[1]), 0);
	checkpoint();
	if (n > 1)
		start_thread(&threads[1], wl_parse(argv[1]), 1);
	for (unsigned long done = 0, next = 0; done < operations && !lk_over(); done++) {
		if (done == next && done)
			checkpoint();
		if (done == next) /* checkpoints at random, but about as many as requested */
			next += 1 + t->random % (2 * operations / checkpoints + 1);
		mf_step(t);
	}
	/* the operations of the second thread, too */
	while (!is(&ended))
		pause_a_little();
	checkpoint();
	report();
	wl_end(0);
}
