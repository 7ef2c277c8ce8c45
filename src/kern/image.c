// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The compiled BPF objects, from the generated skeletons. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include <string.h>

#include "kern/internal.h"
#include "skeletons.h" /* after abi.h: they use its struct mb_knobs */

void mb_object_image(const char *family, struct mb_object_image *image)
{
	memset(image, 0, sizeof(*image));
#define MB_FAMILY(id, name, on, title)  \
	if (strcmp(family, #name) == 0) \
		image->data = name##_bpf__elf_bytes(&image->size);
#include "memblame/families.def"
#undef MB_FAMILY
}
