// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads call-frame information, symbols and debug information of an ELF file in which any bytes are changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbols/module.h"

#define PATCH 12 /* bytes of input per change: where, how many, what */

static uint8_t *base, *changed;
static size_t size;
static uint64_t text, text_size;

/* Reads the file to be changed: a shared object with all kinds of information. */
static void read_base(void)
{
	FILE *f = fopen(ELF_BASE, "r");
	struct mb_image im;
	const Elf64_Shdr *sh;

	if (!f || mb_image_open(&im, fileno(f)) || !(sh = mb_image_section(&im, ".text")))
		abort();
	text = sh->sh_addr;
	text_size = sh->sh_size;
	size = im.size;
	base = mb_image_bytes(&im, 0, size);
	changed = malloc(size);
	mb_image_close(&im);
	fclose(f);
	if (!base || !changed)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mb_modules *m;
	struct mb_module *mod;
	struct stat st;
	int fd;

	if (!base)
		read_base();
	memcpy(changed, base, size);
	for (; n >= PATCH; data += PATCH, n -= PATCH) {
		uint32_t at;

		memcpy(&at, data, sizeof(at));
		at %= size;
		memcpy(changed + at, data + 4, 1 + data[3] % 8 <= size - at ? 1 + data[3] % 8 : size - at);
	}
	m = mb_modules_new();
	fd = memfd_create("elf", MFD_CLOEXEC);
	if (!m || fd < 0 || write(fd, changed, size) != (ssize_t)size || fstat(fd, &st))
		abort();
	mod = mb_module_get(m, fd, &st, "/elf");
	for (uint64_t at = 0; at < text_size; at += text_size / 8 + 1) {
		const struct mb_sources *a = mb_module_sources(mod, text + at, 0);

		mb_module_row(mod, text + at);
		if (a && a->n > 32)
			abort();
	}
	mb_module_put(mod);
	mb_modules_free(m);
	return 0;
}
