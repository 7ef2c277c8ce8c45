// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The C programs of tests/verdicts. Each habit is a way in which programs use memory, and runs until it is killed.
 * Habits whose name begins with "leak" leak; all others are healthy, however much they grow at first.
 */
#include <err.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 200000
#define TICK_US 20000
#define PER_S (1000000 / TICK_US)

static void *slot[SLOTS];
static long n_slots;
static double arg[4]; /* from the command line */
static uint64_t rng = 88172645463325252ull;

static double chance(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return ((double)(rng >> 11) + 0.5) / 9007199254740992.0;
}

static long any(long n)
{
	return (long)(chance() * (double)n);
}

static __attribute__((noinline)) void *new_value(long size)
{
	return memset(malloc((size_t)size), 1, (size_t)size);
}

static __attribute__((noinline)) void *lose(long size)
{
	void *volatile lost = memset(malloc((size_t)size), 1, (size_t)size);

	return lost;
}

static void put(long i, long size)
{
	void *old = slot[i];

	slot[i] = new_value(size);
	free(old);
}

static void drop(long i)
{
	free(slot[i]);
	slot[i] = NULL;
}

static void pause_tick(void)
{
	usleep(TICK_US);
}

/* How many operations are due in this tick, for an average of `rate` a second. */
static long due(double rate)
{
	static double left;

	left += rate / PER_S;
	long n = (long)left;

	left -= (double)n;
	return n;
}

/* ---- healthy ---- */

/* slots SIZE RATE SPREAD: full from the start, then replaces values; sizes vary by SPREAD. */
static void store(void)
{
	n_slots = 60000;
	for (long i = 0; i < n_slots; i++)
		put(i, (long)(arg[0] + arg[2] * chance()));
	for (;; pause_tick())
		for (long n = due(arg[1]); n > 0; n--)
			put(any(n_slots), (long)(arg[0] + arg[2] * chance()));
}

/* fill SIZE SLOTS RATE: fills evenly, then replaces values. */
static void fill(void)
{
	for (;; pause_tick())
		for (long n = due(arg[2]); n > 0; n--) {
			if (n_slots < (long)arg[1])
				put(n_slots++, (long)arg[0]);
			else
				put(any(n_slots), (long)arg[0]);
		}
}

/* keys SIZE SLOTS RATE: sets random keys, so it fills more and more slowly. */
static void keys(void)
{
	for (;; pause_tick())
		for (long n = due(arg[2]); n > 0; n--)
			put(any((long)arg[1]), (long)arg[0]);
}

/* sessions SIZE RATE LIFE FULL: sessions come at random and stay LIFE seconds on average; FULL 1: starts full. */
static void sessions(void)
{
	double alive = arg[3] * arg[1] * arg[2];

	for (n_slots = 0; n_slots < (long)alive; n_slots++)
		put(n_slots, (long)arg[0]);
	for (;; pause_tick()) {
		for (int n = 0; n < 4; n++)
			if (chance() < arg[1] / PER_S / 4 && n_slots < SLOTS)
				put(n_slots++, (long)(arg[0] * (0.5 + chance())));
		for (long n = (long)((double)n_slots / arg[2] / PER_S + chance()); n > 0 && n_slots;
		     n--) {
			long i = any(n_slots);

			drop(i);
			slot[i] = slot[--n_slots];
			slot[n_slots] = NULL;
		}
	}
}

/* teeth SIZE RATE SECONDS: allocates, and frees everything every SECONDS seconds. */
static void teeth(void)
{
	for (long tick = 0;; tick++, pause_tick()) {
		for (long n = due(arg[1]); n > 0 && n_slots < SLOTS; n--)
			put(n_slots++, (long)arg[0]);
		if (tick % (long)(arg[2] * PER_S) == (long)(arg[2] * PER_S) - 1)
			while (n_slots)
				drop(--n_slots);
	}
}

/* buffer LIMIT RATE: a buffer that grows by realloc, and is written out and shrunk at LIMIT. */
static void buffer(void)
{
	char *at = NULL;
	size_t len = 0;

	for (;; pause_tick()) {
		size_t more = (size_t)(arg[1] / PER_S);

		if (len + more > (size_t)arg[0])
			len = 0;
		at = realloc(at, len + more);
		memset(at + len, 1, more);
		len += more;
	}
}

/* warm SIZE BYTES TAU: allocates up to BYTES, faster at first: 1 - exp(-t / TAU). */
static void warm(void)
{
	double have = 0, t = 0;

	for (;; pause_tick(), t += 1.0 / PER_S) {
		for (; have + arg[0] <= arg[1] * (1 - exp(-t / arg[2])) && n_slots < SLOTS;
		     have += arg[0])
			put(n_slots++, (long)arg[0]);
		free(new_value(300));
	}
}

static void *idle_thread(void *unused)
{
	void *mine = new_value(200000);

	(void)unused;
	for (;;) {
		free(new_value(5000));
		usleep(100000);
	}
	return mine;
}

/* threads N SECONDS: a pool that starts a thread every SECONDS seconds. */
static void threads(void)
{
	for (int n = 0;; n++) {
		pthread_t t;

		if (n < (int)arg[0])
			pthread_create(&t, NULL, idle_thread, NULL);
		usleep((useconds_t)(arg[1] * 1e6));
	}
}

/* forks RATE: forks a child for each request, which allocates and ends. */
static void forks(void)
{
	for (n_slots = 0; n_slots < 5000; n_slots++)
		put(n_slots, 1000);
	for (;; usleep((useconds_t)(1e6 / arg[0]))) {
		pid_t pid = fork();

		if (!pid) {
			for (int i = 0; i < 200; i++)
				new_value(5000);
			usleep(300000);
			_exit(0);
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}

/* maps BYTES LIFE: regions that are mapped, used, and unmapped LIFE seconds later. */
static void maps(void)
{
	enum { MOST = 64 };
	static char *at[MOST];
	size_t len = (size_t)arg[0];

	for (long i = 0;; i++) {
		long k = i % (long)fmin(MOST, arg[1] * 5);

		if (at[k])
			munmap(at[k], len);
		at[k] = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at[k] == MAP_FAILED)
			err(1, "mmap");
		memset(at[k], 1, len);
		usleep(200000);
	}
}

/* reserve BYTES RATE: fills a region that was mapped at the start. */
static void reserve(void)
{
	size_t len = (size_t)arg[0], used = 0, more = (size_t)(arg[1] / PER_S);
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (;; pause_tick())
		for (size_t end = used + more; used < end && used < len; used += 4096)
			at[used] = 1;
}

/* shared BYTES RATE: gradually touches shared memory that was mapped at the start. */
static void shared(void)
{
	size_t len = (size_t)arg[0], used = 0, more = (size_t)(arg[1] / PER_S);
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	for (;; pause_tick())
		for (size_t end = used + more; used < end && used < len; used += 4096)
			at[used] = 1;
}

/* fragments: freed and new blocks differ in size: the heap grows to a plateau, the sum of its blocks does not. */
static void fragments(void)
{
	n_slots = 20000;
	for (long i = 0; i < n_slots; i++)
		put(i, 100 + any(2000));
	for (long round = 0;; round++, pause_tick())
		for (long n = due(1500); n > 0; n--)
			put(any(n_slots), 100 + any(2000) + round % 7 * 16);
}

static void idle(void)
{
	for (n_slots = 0; n_slots < 20000; n_slots++)
		put(n_slots, 1000);
	for (;;)
		pause();
}

/* steps SIZE N SECONDS: loads N modules at random times, one every SECONDS seconds on average. */
static void steps(void)
{
	for (long n = 0;; pause_tick()) {
		free(new_value(2000));
		if (n < (long)arg[1] && chance() < 1 / (arg[2] * PER_S)) {
			put(n_slots++, (long)(arg[0] * (0.2 + chance())));
			n++;
		}
	}
}

/* queue SIZE RATE MOST: a queue whose length wanders. */
static void queue(void)
{
	n_slots = (long)arg[2] / 2;
	for (long i = 0; i < n_slots; i++)
		put(i, (long)arg[0]);
	for (;; pause_tick())
		for (long n = due(arg[1]); n > 0; n--) {
			if (chance() < (double)n_slots / arg[2])
				drop(--n_slots);
			else
				put(n_slots++, (long)arg[0]);
		}
}

/* ---- leaks ---- */

/* leak SIZE RATE */
static void leak(void)
{
	for (;; pause_tick())
		for (long n = due(arg[1]); n > 0; n--)
			lose((long)arg[0]);
}

/* leak_store SIZE RATE STORE_SIZE STORE_RATE: leaks beside a full store whose values are replaced. */
static void leak_store(void)
{
	long ticks = 0;

	n_slots = 60000;
	for (long i = 0; i < n_slots; i++)
		put(i, (long)arg[2]);
	for (;; pause_tick(), ticks++) {
		for (long n = due(arg[3]); n > 0; n--)
			put(any(n_slots), (long)arg[2]);
		/* due() has state, which the store uses */
		if (ticks % (long)(PER_S / arg[1] < 1 ? 1 : PER_S / arg[1]) == 0)
			lose((long)arg[0]);
	}
}

/* leak_part SIZE RATE SHARE: does not free a share of its requests. */
static void leak_part(void)
{
	for (;; pause_tick())
		for (long n = due(arg[1]); n > 0; n--) {
			void *p = new_value((long)arg[0]);

			if (chance() >= arg[2])
				free(p);
		}
}

/* leak_old SIZE RATE SECONDS: starts with the leaks of SECONDS seconds. */
static void leak_old(void)
{
	for (long n = (long)(arg[1] * arg[2]); n > 0; n--)
		lose((long)arg[0]);
	leak();
}

static void *leaking_thread(void *unused)
{
	for (;; usleep(50000))
		lose((long)arg[0]);
	return unused;
}

/* leak_threads SIZE N: N threads leak 20 blocks a second each. */
static void leak_threads(void)
{
	pthread_t t;

	for (int i = 0; i < (int)arg[1]; i++)
		pthread_create(&t, NULL, leaking_thread, NULL);
	pause();
}

/* leak_maps BYTES RATE */
static void leak_maps(void)
{
	for (;; pause_tick())
		for (long n = due(arg[1]); n > 0; n--) {
			void *at = mmap(NULL, (size_t)arg[0], PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (at != MAP_FAILED)
				memset(at, 1, (size_t)arg[0]);
		}
}

/* leak_shared BYTES RATE: maps shared memory and never unmaps it. */
static void leak_shared(void)
{
	for (;; pause_tick())
		for (long n = due(arg[1]); n > 0; n--) {
			void *at = mmap(NULL, (size_t)arg[0], PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);

			if (at != MAP_FAILED)
				memset(at, 1, (size_t)arg[0]);
		}
}

#define PLACE(n)                                                   \
	static __attribute__((noinline)) void place_##n(long size) \
	{                                                          \
		memset(lose(size), n, 1);                          \
	}
PLACE(1)
PLACE(2)
PLACE(3)
PLACE(4)
PLACE(5)

/* leak_places BYTES RATE: leaks equally at five call sites, while other code allocates and frees. */
static void leak_places(void)
{
	static void (*const places[])(long) = { place_1, place_2, place_3, place_4, place_5 };

	n_slots = 1000;
	for (;; pause_tick()) {
		for (long n = due(arg[1]); n > 0; n--)
			for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
				places[i]((long)arg[0]);
		for (int i = 0; i < 20; i++)
			put(any(n_slots), 300);
	}
}

/* leak_realloc BYTES RATE: an array that only grows. */
static void leak_realloc(void)
{
	char *at = NULL;
	size_t len = 0;

	for (;; pause_tick())
		for (long n = due(arg[1]); n > 0; n--) {
			at = realloc(at, len + (size_t)arg[0]);
			memset(at + len, 1, (size_t)arg[0]);
			len += (size_t)arg[0];
		}
}

/* leak_teeth SIZE RATE: leaks beside garbage that is freed every 6 s. */
static void leak_teeth(void)
{
	for (long tick = 0;; tick++, pause_tick()) {
		for (int n = 0; n < 20 && n_slots < SLOTS; n++)
			put(n_slots++, 2000);
		for (long n = due(arg[1]); n > 0; n--)
			lose((long)arg[0]);
		if (tick % (6 * PER_S) == 0)
			while (n_slots)
				drop(--n_slots);
	}
}

/* leak_pool BYTES RATE: leaks in its own pool at the end of the heap, while other code allocates and frees. */
static void leak_pool(void)
{
	n_slots = 1000;
	for (;; pause_tick()) {
		for (long n = due(arg[1]); n > 0; n--) {
			void *at = sbrk((intptr_t)arg[0]);

			if (at != (void *)-1)
				memset(at, 1, (size_t)arg[0]);
		}
		for (int i = 0; i < 20; i++)
			put(any(n_slots), 300);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} habits[] = {
	{ "store", store },
	{ "fill", fill },
	{ "keys", keys },
	{ "sessions", sessions },
	{ "teeth", teeth },
	{ "buffer", buffer },
	{ "warm", warm },
	{ "threads", threads },
	{ "forks", forks },
	{ "maps", maps },
	{ "reserve", reserve },
	{ "shared", shared },
	{ "fragments", fragments },
	{ "idle", idle },
	{ "steps", steps },
	{ "queue", queue },
	{ "leak", leak },
	{ "leak_store", leak_store },
	{ "leak_part", leak_part },
	{ "leak_old", leak_old },
	{ "leak_threads", leak_threads },
	{ "leak_maps", leak_maps },
	{ "leak_shared", leak_shared },
	{ "leak_places", leak_places },
	{ "leak_realloc", leak_realloc },
	{ "leak_teeth", leak_teeth },
	{ "leak_pool", leak_pool },
};

int main(int argc, char **argv)
{
	for (int i = 0; i < 4 && i + 2 < argc; i++)
		arg[i] = strtod(argv[i + 2], NULL);
	rng ^= (uint64_t)getpid() << 20;
	for (size_t i = 0; argc > 1 && i < sizeof(habits) / sizeof(habits[0]); i++)
		if (!strcmp(argv[1], habits[i].name))
			habits[i].run();
	errx(2, "usage: habits HABIT [NUMBER...]");
}
