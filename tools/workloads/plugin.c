// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* A library that leaks, in a function whose name the build sets: NAME. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *NAME(size_t bytes);
void *leak(size_t bytes);

/* From the heap if it is small, otherwise in its own mapping. */
__attribute__((noinline)) void *NAME(size_t bytes)
{
	void *at = bytes < 65536 ? malloc(bytes) :
				   mmap(NULL, bytes, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return bytes < 65536 && at ? memset(at, 1, bytes) : at;
}

void *leak(size_t bytes)
{
	char *at = NAME(bytes);

	*(volatile char *)at = 1;
	return at;
}
