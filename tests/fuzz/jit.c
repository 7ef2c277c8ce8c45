// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Any file of names: the newest line that contains an address gives its name. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbols/jit.h"

static int fd = -1;

/* Finds the name by reading the whole file, line after line. */
static bool name_of(const char *text, uint64_t address, char *name, size_t size)
{
	bool found = false;

	for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
		unsigned long long start, len;
		char *at, *line = strndup(text, (size_t)(end - text));

		start = strtoull(line, &at, 16);
		if (at != line && *at == ' ' && *line != '-') {
			char *second = at;

			len = strtoull(second, &at, 16);
			if (at != second && *at == ' ' && len && len <= UINT32_MAX &&
			    start + len >= start) {
				at += strspn(at, " ");
				if (*at && address >= start && address - start < len) {
					snprintf(name, size, "%s", at);
					found = true;
				}
			}
		}
		free(line);
	}
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mb_jit j;
	char *text = malloc(size + 1), name[5000];
	uint64_t t = 0;

	if (fd < 0)
		fd = memfd_create("perf-map", MFD_CLOEXEC);
	/* both sides end a line at a NUL, but disagree on where the next line begins: use blanks instead */
	for (size_t i = 0; i < size; i++)
		text[i] = data[i] ? (char)data[i] : ' ';
	text[size] = '\0';
	if (size > 4000 || ftruncate(fd, 0) || !text)
		goto done;
	mb_jit_init(&j);
	j.fd = dup(fd);
	for (size_t at = 0; at < size;) {
		size_t part = (size_t)(uint8_t)text[at] + 1 < size - at ?
				      (size_t)(uint8_t)text[at] + 1 :
				      size - at;

		if (pwrite(fd, text + at, part, (off_t)at) != (ssize_t)part)
			abort();
		at += part;
		mb_jit_allow(&j, 1 << 20);
		mb_jit_look(&j, ++t);
		if (text[at - 1] & 1)
			mb_jit_at(&j, t - (text[at - 1] >> 1 & 1));
	}
	mb_jit_allow(&j, 1 << 20);
	mb_jit_at(&j, UINT64_MAX);
	for (uint64_t address = 0; address < 0x200; address += 3) {
		const char *other, *got = mb_jit_find(&j, address, &other);

		if (name_of(text, address, name, sizeof(name)) != (got != NULL) ||
		    (got && strcmp(name, got) != 0) || other)
			abort();
	}
	mb_jit_free(&j);
done:
	free(text);
	return 0;
}
