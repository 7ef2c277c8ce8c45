// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A process that waits for one letter at a time and performs the memory work that the letter stands for. */
#include "scripted_workload.h"

#include "live.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L

static char *touch(size_t pages, int flags)
{
	char *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		_exit(90);
	madvise(area, pages * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < pages; i++)
		*(volatile char *)(area + i * PAGE) = 1;
	return area;
}

static char *held; /* memory held between letters m and u */

static void *touch_thread(void *arg)
{
	touch((size_t)(uintptr_t)arg, MAP_PRIVATE);
	return NULL;
}

static void *wait_thread(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* Returns the answer to the letter: the pid of a child, or 0. */
static pid_t obey(char letter)
{
	pthread_t thread;
	pid_t child;

	switch (letter) {
	case 'n': /* nothing */
		return 0;
	case 'a': /* anonymous memory */
		touch(8000, MAP_PRIVATE);
		return 0;
	case 's': /* shared memory */
		touch(4000, MAP_SHARED);
		return 0;
	case 'm': /* memory that the process holds */
		held = touch(SCRIPTED_HELD_PAGES, MAP_PRIVATE);
		return 0;
	case 'u': /* and frees again */
		munmap(held, SCRIPTED_HELD_PAGES * PAGE);
		return 0;
	case 't': /* in a thread that ends */
		if (pthread_create(&thread, NULL, touch_thread, (void *)1000UL))
			_exit(91);
		pthread_join(thread, NULL);
		return 0;
	case 'w': /* threads that stay */
		for (int i = 0; i < 5; i++)
			if (pthread_create(&thread, NULL, wait_thread, NULL))
				_exit(91);
		return 0;
	case 'x': /* a storm with pauses, which takes a few seconds */
		for (int i = 0; i < SCRIPTED_STORM_ROUNDS; i++) {
			munmap(touch(SCRIPTED_STORM_PAGES, MAP_PRIVATE), SCRIPTED_STORM_PAGES * PAGE);
			usleep(50000);
		}
		return 0;
	case 'z': /* a storm without pauses */
		for (int i = 0; i < SCRIPTED_STORM_ROUNDS; i++)
			munmap(touch(SCRIPTED_STORM_PAGES, MAP_PRIVATE), SCRIPTED_STORM_PAGES * PAGE);
		return 0;
	case 'f': /* a child that touches memory and exits */
		child = fork();
		if (!child) {
			touch(500, MAP_PRIVATE);
			_exit(7);
		}
		waitpid(child, NULL, 0);
		return child;
	default:
		_exit(92);
	}
}

pid_t scripted_do(struct scripted *p, const char *letters)
{
	pid_t answer = 0;

	for (; *letters; letters++) {
		assert_int_equal(write(p->to, letters, 1), 1);
		assert_int_equal(read(p->from, &answer, sizeof(answer)), (int)sizeof(answer));
	}
	return answer;
}

struct scripted *scripted_new(void)
{
	struct scripted *p = calloc(1, sizeof(*p));
	int to[2], from[2];
	pid_t answer;
	char letter;

	assert_int_equal(pipe(to) | pipe(from), 0);
	fflush(NULL);
	p->pid = fork();
	if (!p->pid) {
		/*
		 * Die with the test. An end of file on the pipe cannot signal it, because other scripted
		 * workloads hold the pipe open.
		 */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to[1]);
		while (read(to[0], &letter, 1) == 1) {
			answer = obey(letter);
			if (write(from[1], &answer, sizeof(answer)) < 0)
				break;
		}
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	p->to = to[1];
	p->from = from[0];
	snprintf(p->text, sizeof(p->text), "%d", (int)p->pid);
	/* two warm-up rounds, so that waiting for a letter and answering it cause no more faults */
	scripted_do(p, "nn");
	return p;
}

void scripted_free(struct scripted *p)
{
	close(p->to);
	close(p->from);
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	free(p);
}

long long scripted_faults(const struct scripted *p)
{
	char path[64], *text;
	unsigned long minor, major;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)p->pid);
	text = live_slurp(path, NULL);
	assert_int_equal(sscanf(strrchr(text, ')') + 2,
				"%*c %*d %*d %*d %*d %*d %*u %lu %*u %lu", &minor, &major), 2);
	free(text);
	return (long long)minor + (long long)major;
}
