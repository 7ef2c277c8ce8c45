/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Functions that call each other in a known order. The innermost one copies the stack. */
#ifndef MB_TESTS_CHAIN_H
#define MB_TESTS_CHAIN_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

#include "symbols/address_space.h"

#define BYTES (16 * 1024)

/* The registers and the stack of a thread at one moment. */
static struct {
	struct mb_user_regs regs;
	size_t len;
	unsigned char bytes[BYTES];
} snap;

static unsigned int lines[16];

/* Makes a call that cannot become a tail call, and records the line of the call. */
#define CALL(i, call)                              \
	do {                                       \
		lines[i] = __LINE__;               \
		call;                              \
		__asm__ volatile("" ::: "memory"); \
	} while (0)

#define KEEP __attribute__((noinline, used))

/* The tests look these functions up by name. None is static, so that the compiler cannot rename them. */
void chain_capture(void);
int chain_compare(const void *a, const void *b);
void chain_c(void);
void chain_b(void);
void chain_a(void);
void chain_jit(void (*made)(void (*)(void)));
void chain_handler(int sig, siginfo_t *info, void *context);
void chain_trap(void);
void chain_signal(void);
_Noreturn void chain_leave(void);
void chain_last(void);

/* Copies up to the end of the stack, including the redzones that sanitizers put between variables. */
__attribute__((noinline, no_sanitize("address", "undefined"))) static void copy_stack(void)
{
	const unsigned char *from = (const unsigned char *)snap.regs.sp;
	pthread_attr_t attr;
	size_t size;
	void *low;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	snap.len = (size_t)((unsigned char *)low + size - from);
	if (snap.len > BYTES)
		snap.len = BYTES;
	for (size_t i = 0; i < snap.len; i++)
		((volatile unsigned char *)snap.bytes)[i] = ((const volatile unsigned char *)from)[i];
}

KEEP void chain_capture(void)
{
	__asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
			 "1: movq %%rax, 0(%0)\n\t"
			 "movq %%rsp, 8(%0)\n\t"
			 "movq %%rbp, 16(%0)\n\t"
			 "movq %%rbx, 24(%0)\n\t"
			 "movq %%r12, 32(%0)\n\t"
			 "movq %%r13, 40(%0)\n\t"
			 "movq %%r14, 48(%0)\n\t"
			 "movq %%r15, 56(%0)\n\t"
			 :
			 : "r"(&snap.regs)
			 : "rax", "memory");
	copy_stack();
	__asm__ volatile("" ::: "memory");
}

static inline __attribute__((always_inline)) void inlined_part(void)
{
	CALL(0, chain_capture());
}

KEEP int chain_compare(const void *a, const void *b)
{
	CALL(1, inlined_part());
	return *(const int *)a - *(const int *)b;
}

KEEP void chain_c(void)
{
	volatile int v[2] = { 2, 1 };

	CALL(2, qsort((void *)v, 2, sizeof(v[0]), chain_compare));
}

KEEP void chain_b(void)
{
	CALL(3, chain_c());
}

KEEP void chain_a(void)
{
	CALL(4, chain_b());
}

KEEP void chain_jit(void (*made)(void (*)(void)))
{
	CALL(5, made(chain_capture));
}

/* The signal interrupts this function at its first byte. The byte before it belongs to another function. */
__asm__(".text\n"
	".globl chain_trap\n"
	".type chain_trap, @function\n"
	"chain_trap:\n"
	".cfi_startproc\n"
	"ud2\n"
	"ret\n"
	".cfi_endproc\n"
	".size chain_trap, . - chain_trap\n");

KEEP void chain_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	(void)sig;
	(void)info;
	CALL(6, chain_capture());
	c->uc_mcontext.gregs[REG_RIP] += 2; /* skip the ud2 */
}

KEEP void chain_signal(void)
{
	CALL(7, chain_trap());
}

static jmp_buf left;

KEEP _Noreturn void chain_leave(void)
{
	CALL(8, chain_capture());
	longjmp(left, 1);
}

/* The last instruction of this function is a call, so the return address lies past the end of the function. */
KEEP void chain_last(void)
{
	CALL(9, chain_leave());
}

#endif
