// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Any registers and stack bytes: unwinding through this program's own files ends, within the copy. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/address_space.h"

#define MAX_IPS 64
#define STACK_WORDS 512

/* A number from the input, which repeats: it points into code, or into the stack, or anywhere. */
static uint64_t word(const uint8_t *data, size_t size, size_t i, uint64_t sp)
{
	static const void *const code[] = { (const void *)qsort, (const void *)mb_address_space_unwind,
					    (const void *)memcpy, (const void *)getpid };
	uint64_t v = 0;
	size_t at = i * 8 % size;

	memcpy(&v, data + at, size - at < 8 ? size - at : 8);
	if (v % 4 == 1)
		return (uint64_t)(uintptr_t)code[v / 4 % 4] + v / 16 % 65536;
	if (v % 4 == 2)
		return sp + (v / 4 + i) * 8 % (STACK_WORDS * 8 + 64);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mb_modules *modules;
	static struct mb_address_space *space;
	const uint64_t sp = 0x7ffc00000000;
	uint64_t ips[MAX_IPS], words[sizeof(struct mb_user_regs) / 8], *stack;
	struct mb_user_regs regs;
	struct mb_stack copy;
	unsigned int n;
	size_t len;
	bool whole;

	if (!modules && (!(modules = mb_modules_new()) || !(space = mb_address_space_new(modules, (uint32_t)getpid()))))
		abort();
	if (!size)
		return 0;
	for (size_t i = 0; i < sizeof(words) / 8; i++)
		words[i] = word(data, size, i, sp);
	memcpy(&regs, words, sizeof(regs));
	if (data[size - 1] % 8)
		regs.sp = sp;
	len = data[size / 2] * STACK_WORDS / 255 * 8;
	stack = malloc(len + 1); /* so that sanitizers detect a byte too many */
	if (!stack)
		abort();
	for (size_t i = 0; i < len / 8; i++)
		stack[i] = word(data, size, i + sizeof(words) / 8, sp);
	copy = (struct mb_stack){ (const uint8_t *)stack, len, regs.sp, data[size - 1] / 64 };
	n = mb_address_space_unwind(space, &regs, &copy, ips, MAX_IPS, &whole);
	if (n < 1 || n > MAX_IPS || ips[0] != regs.ip)
		abort();
	free(stack);
	return 0;
}
