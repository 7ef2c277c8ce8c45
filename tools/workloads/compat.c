// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A 32-bit program without a C library: maps and touches 64 KiB every 20 ms, 50 times, frees nothing, then waits a
 * second and prints its line. The JSON line: bytes and count.
 */
#define BYTES 65536
#define COUNT 50

struct timespec32 {
	long s, ns;
};

static long call(long n, long a, long b, long c, long d, long e)
{
	long result;

	/* ebp is both the sixth argument and the frame pointer: 0, so that an unwinder does not follow it */
	__asm__ volatile("push %%ebp; xor %%ebp, %%ebp; int $0x80; pop %%ebp"
			 : "=a"(result)
			 : "a"(n), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory");
	return result;
}

__attribute__((noinline)) static void keep_block(void)
{
	volatile char *block = (char *)call(192, 0, BYTES, 3, 0x22, -1); /* mmap2 */

	for (int i = 0; i < BYTES; i += 4096)
		block[i] = 1;
}

void _start(void)
{
	static const char text[] = "{\"workload\":\"compat\",\"bytes\":3276800,\"count\":50}\n";
	struct timespec32 pause = { 0, 20000000 };

	for (int i = 0; i < COUNT; i++) {
		keep_block();
		call(162, (long)&pause, 0, 0, 0, 0); /* nanosleep */
	}
	pause.s = 1;
	call(162, (long)&pause, 0, 0, 0, 0);
	call(4, 1, (long)text, sizeof(text) - 1, 0, 0); /* write */
	call(1, 0, 0, 0, 0, 0); /* exit */
}
