// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Start, pace, end and the truth for the programs that leak. None of this code allocates. */
#include "workload.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "leak.h"

static const char *program;
static uint64_t begun_ns, end_ns;
static volatile sig_atomic_t go, stop;

static void on_signal(int signo)
{
	if (signo == SIGTERM)
		stop = 1;
	else
		go = 1;
}

static void say(const char *what)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "%s: %s\n", program, what);

	if (write(STDERR_FILENO, text, (size_t)len) != len)
		err(1, "stderr");
}

/* Any thread may have received the signal, so this code does not rely on the signal to end a sleep. */
static void wait_for(volatile sig_atomic_t *flag)
{
	const struct timespec step = { .tv_nsec = 5000000 };

	while (!*flag && !stop)
		nanosleep(&step, NULL);
}

void lk_begin(const char *name, unsigned long seconds)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	program = name;
	if (sigaction(SIGTERM, &action, NULL) || sigaction(SIGUSR2, &action, NULL))
		err(1, "sigaction");
	if (getenv("WORKLOAD_WAIT")) {
		say("ready");
		wait_for(&go);
	}
	begun_ns = wl_now_ns();
	end_ns = begun_ns + seconds * 1000000000;
}

bool lk_over(void)
{
	return stop || wl_now_ns() >= end_ns;
}

uint64_t lk_elapsed_ns(void)
{
	return wl_now_ns() - begun_ns;
}

bool lk_tick(unsigned int ms)
{
	uint64_t step = ms * 1000000ULL;
	uint64_t next = begun_ns + (lk_elapsed_ns() / step + 1) * step;
	struct timespec at = { .tv_sec = (time_t)(next / 1000000000),
			       .tv_nsec = (long)(next % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	return !lk_over();
}

uint64_t lk_due(unsigned long bytes_per_s)
{
	return stop ? 0 : bytes_per_s * (lk_elapsed_ns() / 1000000) / 1000;
}

unsigned int lk_random(unsigned int below)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned int)((state >> 32) * below >> 32);
}

void lk_count(struct lk_site *site, long bytes)
{
	__atomic_add_fetch(&site->bytes, bytes, __ATOMIC_RELAXED);
	__atomic_add_fetch(&site->count, bytes < 0 ? -1 : 1, __ATOMIC_RELAXED);
}

static const char *key(const char *name, unsigned int i)
{
	static char text[32];

	snprintf(text, sizeof(text), i ? "%s_%u" : "%s", name, i + 1);
	return text;
}

void lk_finish(const struct lk_site *sites, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const char *file = sites[i].file ? sites[i].file : "";

		if (strrchr(file, '/'))
			file = strrchr(file, '/') + 1;
		wl_num(key("bytes", i), sites[i].bytes);
		wl_num(key("count", i), sites[i].count);
		wl_str(key("function", i), sites[i].function ? sites[i].function : "");
		wl_str(key("file", i), file);
		wl_num(key("line", i), sites[i].line);
	}
	if (getenv("WORKLOAD_STAY")) {
		say("idle");
		wait_for(&stop);
	}
}
