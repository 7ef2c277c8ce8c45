// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A program whose functions all have a frame pointer. It uses no C library, because Debian's has no frame pointers.
 * Maps and touches 16 KiB every 20 ms for the number of seconds in its argument, and frees nothing.
 * The JSON line: bytes, count, function, line.
 */
#include <stddef.h>
#include <sys/syscall.h>

#define BYTES 16384

static long call(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

__attribute__((noinline)) static char *map_block(void)
{
	return (char *)call(SYS_mmap, 0, BYTES, 3, 0x22, -1, 0);
}

__attribute__((noinline)) static int keep_block(void)
{
	volatile char *block = map_block();

	for (int i = 0; i < BYTES; i += 4096)
		block[i] = 1;
	return __LINE__ - 4;
}

static char *put_text(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	return to;
}

static char *put_number(char *to, unsigned long n)
{
	char digits[24];
	int i = 0;

	do
		digits[i++] = (char)('0' + n % 10);
	while (n /= 10);
	while (i)
		*to++ = digits[--i];
	return to;
}

__attribute__((noinline)) static void work(unsigned long seconds)
{
	struct {
		long s, ns;
	} pause = { 0, 20000000 };
	unsigned long count = 0;
	char line[256], *to = line;
	int at = 0;

	for (; count < seconds * 50; count++) {
		at = keep_block();
		call(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	}
	to = put_text(to, "{\"workload\":\"framed\",\"function\":\"keep_block\",\"bytes\":");
	to = put_number(to, count * BYTES);
	to = put_number(put_text(to, ",\"count\":"), count);
	to = put_number(put_text(to, ",\"line\":"), (unsigned long)at);
	to = put_text(to, "}\n");
	call(SYS_write, 1, (long)line, to - line, 0, 0, 0);
}

__attribute__((noreturn, used)) static void begin(long *stack)
{
	unsigned long seconds = 0;

	for (const char *c = stack[0] > 1 ? (const char *)stack[2] : "5"; *c; c++)
		seconds = seconds * 10 + (unsigned long)(*c - '0');
	work(seconds);
	for (;;)
		call(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

/* The outermost frame: both its CFI and its frame pointer show that it has no caller. */
__asm__(".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	".cfi_startproc\n"
	".cfi_undefined rip\n"
	"xor %ebp, %ebp\n"
	"mov %rsp, %rdi\n"
	"and $-16, %rsp\n"
	"call begin\n"
	"hlt\n"
	".cfi_endproc\n"
	".size _start, .-_start\n");
