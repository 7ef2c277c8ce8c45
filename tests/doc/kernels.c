// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Writes docs/kernels.md: the output of "memblame doctor --json" on each kernel, side by side. The arguments are
 * files with that output, each named after its kernel.
 */
#include <err.h>
#include <jansson.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KERNELS 16

static struct {
	const char *name;
	json_t *questions;
} kernels[MAX_KERNELS];
static int n_kernels;

static const char *str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static void read_kernel(char *path)
{
	json_error_t e;
	json_t *doctor = json_load_file(path, 0, &e);

	if (!doctor || !json_is_array(json_object_get(doctor, "questions")))
		errx(1, "%s is no output of memblame doctor --json: %s", path, e.text);
	if (n_kernels == MAX_KERNELS)
		errx(1, "more than %d kernels", MAX_KERNELS);
	kernels[n_kernels].name = basename(path);
	kernels[n_kernels++].questions = json_object_get(doctor, "questions");
}

/* Every kernel's output has the same questions in the same order. */
static const json_t *answer(int kernel, size_t question)
{
	const json_t *a = json_array_get(kernels[kernel].questions, question);
	const json_t *first = json_array_get(kernels[0].questions, question);

	if (!a || strcmp(str(a, "question"), str(first, "question")))
		errx(1, "%s was asked other questions than %s", kernels[kernel].name,
		     kernels[0].name);
	return a;
}

static void print_table(void)
{
	printf("| question |");
	for (int k = 0; k < n_kernels; k++)
		printf(" %s |", kernels[k].name);
	printf("\n|---|");
	for (int k = 0; k < n_kernels; k++)
		printf("---|");
	printf("\n");
	for (size_t q = 0; q < json_array_size(kernels[0].questions); q++) {
		const json_t *first = answer(0, q);

		printf("| %s.%s |", str(first, "family"), str(first, "question"));
		for (int k = 0; k < n_kernels; k++) {
			const json_t *a = answer(k, q);
			bool none = !strcmp(str(a, "quality"), "none");

			printf(" %s%s |", none ? "-" : str(a, "hook"),
			       strcmp(str(a, "quality"), "partial") ? "" : " *");
		}
		printf("\n");
	}
}

/* The names of the kernels for which text(kernel, question) is this text. */
static void print_kernels_with(const char *(*text)(int, size_t), size_t q, const char *what)
{
	const char *between = "";

	for (int k = 0; k < n_kernels; k++) {
		if (strcmp(text(k, q), what))
			continue;
		printf("%s%s", between, kernels[k].name);
		between = ", ";
	}
}

/* Whether the same text was already printed for an earlier kernel. */
static bool said(const char *(*text)(int, size_t), int kernel, size_t q)
{
	for (int k = 0; k < kernel; k++) {
		if (!strcmp(text(k, q), text(kernel, q)))
			return true;
	}
	return false;
}

static const char *missing(int kernel, size_t q)
{
	return str(answer(kernel, q), "missing");
}

/* The hooks that were tried, as one text: "HOOK: ERROR; HOOK: ERROR". */
static const char *tried(int kernel, size_t q)
{
	static char text[MAX_KERNELS][4096];
	const json_t *t;
	size_t i, n = 0;

	text[kernel][0] = '\0';
	json_array_foreach(json_object_get(answer(kernel, q), "tried"), i, t)
		n += (size_t)snprintf(text[kernel] + n, n < 4000 ? 4096 - n : 0, "%s%s: %s",
				      i ? "; " : "", str(t, "hook"), str(t, "error"));
	return text[kernel];
}

static void print_each(const char *(*text)(int, size_t), const char *heading)
{
	printf("\n## %s\n\n", heading);
	for (size_t q = 0; q < json_array_size(kernels[0].questions); q++) {
		const json_t *first = answer(0, q);

		for (int k = 0; k < n_kernels; k++) {
			const char *what = text(k, q);

			if (!*what || said(text, k, q))
				continue;
			printf("- **%s.%s** (", str(first, "family"), str(first, "question"));
			print_kernels_with(text, q, what);
			printf("): %s\n", what);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: kernels FILE...");
	for (int i = 1; i < argc; i++)
		read_kernel(argv[i]);
	printf("# What memblame sees on which kernel\n\n"
	       "Written by `tests/vm/run all --write-doc` from what `memblame doctor` says on each kernel of\n"
	       "tests/vm/kernels; `tests/vm/run all` fails when it is not current. A cell is the hook in use;\n"
	       "`*`: partial, `-`: none. What a machine's own kernel has, `memblame doctor` tells.\n\n");
	print_table();
	print_each(missing, "Not seen");
	print_each(tried, "Hooks tried before the one in use, and what was against them");
	return 0;
}
