// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * altstack BLOCKS far|near: has its own allocator. A signal interrupts each call, and its handler allocates, too,
 * on an alternate stack: far below the interrupted stack, or right below it. It must not be above it:
 * the kernel would then assume that the interrupted call was abandoned, and its return would end the program.
 * The JSON line: bytes and blocks of each function.
 */
#include "workload.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTER 1000
#define INNER 333
#define DEEP __attribute__((noinline))

static void *volatile lost;
static char arena[64 << 20] __attribute__((aligned(64)));
static size_t used;
static int armed;

DEEP void *malloc(size_t size)
{
	size_t at;

	if (armed) {
		armed = 0;
		raise(SIGUSR1);
	}
	at = __atomic_fetch_add(&used, (size + 79) / 64 * 64, __ATOMIC_RELAXED);
	if (at + size + 64 > sizeof(arena)) {
		errno = ENOMEM;
		return NULL;
	}
	*(size_t *)(void *)(arena + at) = size;
	return arena + at + 64;
}

void free(void *block)
{
	(void)block;
}

void *calloc(size_t n, size_t size)
{
	return malloc(n * size); /* no memory is handed out twice */
}

DEEP void *realloc(void *old, size_t size)
{
	void *block = size ? malloc(size) : NULL;

	if (old && block)
		memcpy(block, old, size < ((size_t *)old)[-8] ? size : ((size_t *)old)[-8]);
	return block;
}

void *reallocarray(void *old, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, n * size);
}

static DEEP void *in_handler(void)
{
	return malloc(INNER);
}

static void on_signal(int sig)
{
	(void)sig;
	lost = in_handler();
	lost = in_handler();
}

static DEEP void *in_program(void)
{
	armed = 1;
	return malloc(OUTER);
}

static DEEP void *again_in_program(void *old)
{
	armed = 1;
	return realloc(old, 2 * OUTER);
}

static DEEP void work(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		lost = in_program();
		lost = again_in_program(in_program());
	}
}

static char stacks[1 << 20] __attribute__((aligned(4096)));
static unsigned long blocks;

static void *work_on_alternate(void *arg)
{
	stack_t stack = { .ss_sp = stacks, .ss_size = 65536 };
	struct sigaction on = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	(void)arg;
	if (sigaltstack(&stack, NULL) || sigaction(SIGUSR1, &on, NULL))
		err(1, "no alternate stack");
	work(blocks);
	return NULL;
}

/* The thread's stack begins where the alternate one ends. */
static void work_in_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (pthread_attr_setstack(&attr, stacks + 65536, sizeof(stacks) - 65536) ||
	    pthread_create(&thread, &attr, work_on_alternate, NULL))
		errx(1, "no thread");
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	bool near = argc > 2 && !strcmp(argv[2], "near");

	blocks = wl_arg(argc, argv, 1, 200);
	wl_begin("altstack", near ? "near" : "far");
	usleep(300000);
	if (near)
		work_in_thread();
	else
		work_on_alternate(NULL);
	usleep(1200000);
	wl_num("program_bytes", (long long)blocks * OUTER);
	wl_num("again_bytes", (long long)blocks * 2 * OUTER);
	wl_num("handler_bytes", (long long)blocks * 3 * 2 * INNER);
	wl_end(0);
}
