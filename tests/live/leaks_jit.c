// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Code that is generated at run time and replaced in place: frames have the names that were valid at the
 * time. Also checks the output for code without names.
 */
#include "live.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST 1000
#define SECOND 3000
#define BLOCKS 200

static volatile sig_atomic_t reported;
static char *volatile sink;

static void on_signal(int sig)
{
	reported = sig;
}

static __attribute__((noinline)) void leak_first(void)
{
	for (int i = 0; i < BLOCKS; i++)
		sink = malloc(FIRST);
}

static __attribute__((noinline)) void leak_second(void)
{
	for (int i = 0; i < BLOCKS; i++)
		sink = malloc(SECOND);
}

/* push rbp; mov rbp, rsp; call rdi; pop rbp; ret */
static void (*make_code(void))(void (*)(void))
{
	static const unsigned char code[] = { 0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3 };
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	void (*function)(void (*)(void));

	memcpy(at, code, sizeof(code));
	memcpy(&function, &at, sizeof(at));
	return function;
}

/* The stack of interest ends in this function, so no frames of a library without frame pointers are needed. */
static int made(bool named)
{
	void (*function)(void (*)(void)) = make_code();
	char path[64];
	FILE *map = NULL;
	void *at;

	signal(SIGUSR1, on_signal);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memcpy(&at, &function, sizeof(at));
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	if (named)
		map = fopen(path, "w");
	for (int i = 0; map && i < 2; i++) { /* the map first lists older code at the same address */
		fprintf(map, "%lx 10 %s\n", (unsigned long)at, i ? "made_first" : "made_before");
		fflush(map);
	}
	printf("ready\n");
	fflush(stdout);
	while (!reported)
		usleep(1000);
	function(leak_first);
	for (reported = 0; !reported;)
		usleep(1000);
	if (map) {
		fprintf(map, "%lx 10 made_second\n", (unsigned long)at);
		fflush(map);
	}
	for (reported = 0; !reported;)
		usleep(1000);
	function(leak_second);
	for (;;)
		pause();
	return 0;
}

static struct live_bg *start_made(const char *role)
{
	struct live_bg *bg = live_spawn(LIVE_ARGV(live_bin("tests/live/leaks_jit"), role));

	assert_true(live_wait_text(bg->out_path, "ready"));
	return bg;
}

static void end_made(struct live_bg *bg)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)bg->pid);
	kill(bg->pid, SIGKILL);
	live_result_free(live_wait(bg));
	unlink(path);
}

/* The last complete line of a stream that is still being written; NULL: none yet. */
static json_t *latest(const char *path)
{
	size_t len;
	char *text = live_slurp(path, &len), *end, *line;
	json_t *document;

	while (len && text[len - 1] != '\n')
		len--;
	if (!len) {
		free(text);
		return NULL;
	}
	end = text + len - 1;
	*end = '\0';
	line = strrchr(text, '\n');
	document = live_json(line ? line + 1 : text);
	free(text);
	return document;
}

/* Counts the blocks whose stack has a frame of this name, and checks that they have that size. */
static long long blocks_of(const json_t *document, const char *name, long long size)
{
	long long blocks = 0;
	json_t *group, *frame;
	size_t i, k;

	json_array_foreach(live_get(document, "groups"), i, group)
	{
		if (strcmp(live_str(group, "level"), "alloc") != 0)
			continue;
		json_array_foreach(live_get(group, "stack"), k, frame)
		{
			const char *symbol = json_string_value(json_object_get(frame, "symbol"));

			if (!symbol || strcmp(symbol, name) != 0)
				continue;
			assert_string_equal(live_str(frame, "module"), "[jit]");
			live_equal(name, live_int(group, "outstanding_bytes"),
				   size * live_int(group, "outstanding_count"));
			blocks += live_int(group, "outstanding_count");
		}
	}
	return blocks;
}

/* Waits until there are blocks of that name and size. */
static void wait_for(const char *path, const char *name, long long size)
{
	long long blocks = 0;

	for (int i = 0; i < 900 && blocks < BLOCKS; i++) {
		json_t *document = latest(path);

		blocks = document ? blocks_of(document, name, size) : 0;
		json_decref(document);
		usleep(100000);
	}
	live_equal(name, blocks, BLOCKS);
}

/* Waits for that many more documents, one per tick. */
static void wait_documents(const char *path, unsigned int more)
{
	unsigned int have = 0, want = 0;

	for (int i = 0; i < 900 && (!want || have < want); i++) {
		size_t len;
		char *text = live_slurp(path, &len);

		have = 0;
		for (size_t k = 0; k < len; k++)
			have += text[k] == '\n';
		free(text);
		want = want ? want : have + more;
		usleep(100000);
	}
	assert_true(have >= want);
}

/* Starts leaks on that program. The program then makes its first blocks. */
static struct live_bg *watch(pid_t pid)
{
	struct live_bg *bg;
	char number[16];

	snprintf(number, sizeof(number), "%d", (int)pid);
	bg = live_start(
		LIVE_ARGV("leaks", "--json", "--heap", "--sample", "1", "-i", "1", "-p", number));
	kill(pid, SIGUSR1);
	return bg;
}

static void test_replaced_in_place(void **state)
{
	struct live_bg *program = start_made("named"), *bg;
	struct live_result *r;

	(void)state;
	bg = watch(program->pid);
	wait_for(bg->out_path, "made_first", FIRST);
	kill(program->pid, SIGUSR1);
	wait_documents(bg->out_path, 3);
	kill(program->pid, SIGUSR1);
	wait_for(bg->out_path, "made_second", SECOND);
	wait_for(bg->out_path, "made_first", FIRST); /* the earlier blocks keep their name */
	r = live_stop(bg);
	live_result_free(r);
	end_made(program);
}

static void test_without_names(void **state)
{
	struct live_bg *program = start_made("nameless"), *bg;
	struct live_result *r;
	json_t *document = NULL, *jit = NULL;

	(void)state;
	bg = watch(program->pid);
	for (int i = 0; i < 900 && !json_is_object(jit); i++) {
		json_decref(document);
		document = latest(bg->out_path);
		jit = document ? live_get(live_process(document, program->pid), "jit") : NULL;
		usleep(100000);
	}
	assert_true(live_int(jit, "frames") >= 1);
	live_equal("without a name", live_int(jit, "nameless"), live_int(jit, "frames"));
	assert_true(live_null(jit, "runtime"));
	assert_non_null(strstr(live_str(jit, "hint"), "/tmp/perf-"));
	json_decref(document);
	r = live_stop(bg);
	live_result_free(r);
	end_made(program);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaced_in_place),
		cmocka_unit_test(test_without_names),
	};

	if (argc > 1)
		return made(!strcmp(argv[1], "named"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
