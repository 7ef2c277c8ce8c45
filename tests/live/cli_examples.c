// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Each example of the help works when it is pasted. */
#include <stdlib.h>
#include <string.h>

#include "live.h"

/* Runs an example of the help as if it were pasted, but with files of its own. */
static void run_example(const char *line)
{
	const char *tmp = live_tmp(), *bin = live_bin("memblame");
	char *command = NULL, *script;
	size_t size;
	FILE *f = open_memstream(&command, &size);
	struct live_result *r;

	for (const char *p = line; *p; p++) {
		if (strncmp(p, "/tmp/", 5) == 0) {
			fprintf(f, "%s/", tmp);
			p += 4;
		} else {
			fputc(*p, f);
		}
	}
	/* reports of OOM kills are stored */
	if (strstr(line, "memblame oom"))
		fprintf(f, " --state-dir %s", tmp);
	fclose(f);
	assert_true(asprintf(&script, "PATH=%.*s:$PATH; %s", (int)(strrchr(bin, '/') - bin), bin, command) > 0);
	r = live_exec(LIVE_ARGV("sh", "-c", script), NULL);
	if (r->status)
		live_fail("%s: status %d: %s", command, r->status, r->err);
	live_result_free(r);
	free(command);
	free(script);
}

/* Runs the examples of a command's help. Returns how many there are. */
static unsigned int run_examples(const char *name)
{
	struct live_result *help = live_memblame(LIVE_ARGV("help", name));
	char *at = strstr(help->out, "\nExamples:\n"), *save = NULL;
	unsigned int n = 0;

	assert_non_null(at);
	at += strlen("\nExamples:\n");
	for (char *line = strtok_r(at, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++)
		run_example(line);
	live_result_free(help);
	return n;
}

static void test_examples(void **state)
{
	struct live_result *help = live_memblame(LIVE_ARGV("help"));
	char *at = strstr(help->out, "Commands:\n"), *save = NULL;
	unsigned int n = 0;

	(void)state;
	assert_non_null(at);
	for (char *line = strtok_r(at, "\n", &save); line && strncmp(line, "memblame", 8); line = strtok_r(NULL, "\n", &save)) {
		char name[32];

		/* demo takes 20 s, and has a test of its own */
		if (sscanf(line, "  %31[a-z] ", name) == 1 && line[2] != ' ' && strcmp(name, "demo"))
			n += run_examples(name);
	}
	assert_true(n >= 33);
	live_result_free(help);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
