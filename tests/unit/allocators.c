// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Which instruction is probed, for function prologues as compilers write them; the allocators of this machine. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "symbols/allocators.h"
#include "unit.h"

static void expect(const char *what, const uint8_t *code, size_t len, uint32_t op, size_t offset, bool slow)
{
	bool is_slow;
	size_t at = mb_allocator_choose(code, len, op, &is_slow);

	if (at != offset || is_slow != slow)
		fail_msg("%s: +%zu%s, not +%zu%s", what, at, is_slow ? " slow" : "", offset, slow ? " slow" : "");
}

#define EXPECT(what, op, offset, slow, ...)                                   \
	do {                                                                  \
		static const uint8_t code[] = { __VA_ARGS__ };                \
		expect(what, code, sizeof(code), MB_HEAP_##op, offset, slow); \
	} while (0)

static void the_first_that_is_emulated(void **state)
{
	(void)state;
	EXPECT("malloc of glibc 2.36: push %r12", MALLOC, 0, false, 0x41, 0x54, 0x55, 0x53, 0x48, 0x89, 0xfb);
	EXPECT("free of glibc 2.36: test %rdi,%rdi; je", FREE, 3, false, 0x48, 0x85, 0xff, 0x0f, 0x84, 0xbf, 0, 0, 0,
	       0x55);
	EXPECT("endbr64; push %rbp", MALLOC, 4, false, 0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5);
	EXPECT("endbr64; test; je", FREE, 7, false, 0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x85, 0xff, 0x74, 0x10, 0xc3);
	EXPECT("cmpb $0x0,(%rip); push %r12", POSIX_MEMALIGN, 7, false, 0x80, 0x3d, 1, 2, 3, 0, 0, 0x41, 0x54, 0xc3);
	EXPECT("mov %rdi,%rax; nop", MALLOC, 3, false, 0x48, 0x89, 0xf8, 0x90, 0xc3);
	EXPECT("jmp", FREE, 0, false, 0xe9, 0x10, 0, 0, 0);
	EXPECT("sub $8,%rsp; call: free does not need the stack", FREE, 4, false, 0x48, 0x83, 0xec, 0x08, 0xe8, 0, 0,
	       0, 0, 0xc3);
}

static void the_first_of_all_where_there_is_none(void **state)
{
	(void)state;
	EXPECT("sub $8,%rsp: the return address has moved", MALLOC, 0, true, 0x48, 0x83, 0xec, 0x08, 0x55, 0xc3);
	EXPECT("mov %rsi,%rdi: an argument is lost", MALLOC, 0, true, 0x48, 0x89, 0xf7, 0x55, 0xc3);
	EXPECT("mov %esi,%edi", MALLOC, 0, true, 0x89, 0xf7, 0x55, 0xc3);
	EXPECT("xor %edx,%edx", CALLOC, 0, true, 0x31, 0xd2, 0x55, 0xc3);
	EXPECT("ret", FREE, 0, true, 0xc3, 0x55);
	EXPECT("jmp *(%rip)", FREE, 0, true, 0xff, 0x25, 0, 0, 0, 0, 0x55);
	EXPECT("call *%rax", FREE, 0, true, 0xff, 0xd0, 0x55);
	EXPECT("endbr64 alone is not emulated", MALLOC, 0, true, 0xf3, 0x0f, 0x1e, 0xfa);
	EXPECT("no code", MALLOC, 0, true, 0x0f);
	EXPECT("jmpw: the kernel refuses it", FREE, 0, true, 0x66, 0xe9, 0, 0, 0x55);
}

static void a_loop_does_not_come_by_again(void **state)
{
	(void)state;
	/* test %rdi,%rdi; je +1; dec %rdi; jmp back to the je */
	EXPECT("jump to the probe", FREE, 0, true, 0x48, 0x85, 0xff, 0x74, 0x05, 0x48, 0xff, 0xcf, 0xeb, 0xf9, 0xc3);
	/* the same, but back to the first instruction: the probe would see another call */
	EXPECT("jump to the entry", FREE, 3, false, 0x48, 0x85, 0xff, 0x74, 0x05, 0x48, 0xff, 0xcf, 0xeb, 0xf6, 0xc3);
}

/* ---- what is installed here ---- */

static bool has(const struct mb_allocator *a, uint32_t op)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->calls[i].op == op)
			return true;
	}
	return false;
}

static void check_library(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t slow = 0;
	struct mb_allocator a;

	if (fd < 0) {
		print_message("%s is not installed: skipped\n", path);
		skip();
	}
	assert_true(mb_allocator_read(&a, fd));
	close(fd);
	assert_true(has(&a, MB_HEAP_MALLOC));
	assert_true(has(&a, MB_HEAP_CALLOC));
	assert_true(has(&a, MB_HEAP_REALLOC));
	assert_true(has(&a, MB_HEAP_FREE));
	for (size_t i = 0; i < a.n; i++) {
		slow += a.calls[i].slow;
		assert_true(a.calls[i].offset >= a.calls[i].function && a.calls[i].offset < a.calls[i].function + 64);
		for (size_t j = 0; j < i; j++)
			assert_true(a.calls[i].function != a.calls[j].function);
	}
	print_message("%s: %zu functions, %zu slow\n", path, a.n, slow);
}

#define LIBRARY(test, path)            \
	static void test(void **state) \
	{                              \
		(void)state;           \
		check_library(path);   \
	}

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"

LIBRARY(glibc, LIBRARIES "libc.so.6")
LIBRARY(jemalloc, LIBRARIES "libjemalloc.so.2")
LIBRARY(tcmalloc, LIBRARIES "libtcmalloc_minimal.so.4")
LIBRARY(mimalloc, LIBRARIES "libmimalloc.so.2")
LIBRARY(musl, "/usr/lib/x86_64-linux-musl/libc.so")

/* libstdc++ has operator new, but that calls malloc of another library. */
static void a_library_of_cpp_is_no_allocator(void **state)
{
	int fd = open(LIBRARIES "libstdc++.so.6", O_RDONLY | O_CLOEXEC);
	struct mb_allocator a;

	(void)state;
	if (fd < 0)
		skip();
	assert_true(mb_allocator_read(&a, fd));
	close(fd);
	assert_int_equal(a.n, 0);
	assert_false(a.nameless);
}

static void what_is_no_program_is_refused(void **state)
{
	struct mb_allocator a;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_false(mb_allocator_read(&a, fd));
	assert_int_equal(a.n, 0);
	close(fd);
}

static void count_libc(void *arg, int fd, const char *path)
{
	struct mb_allocator a;

	if (mb_allocator_read(&a, fd) && a.n && strstr(path, "libc"))
		++*(int *)arg;
	close(fd);
}

static void own_libc_is_mapped_once(void **state)
{
	int found = 0;

	(void)state;
	assert_true(mb_mapped_files((uint32_t)getpid(), count_libc, &found));
	assert_int_equal(found, 1);
	assert_false(mb_mapped_files(0x7fffffff, count_libc, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_is_emulated),
		cmocka_unit_test(the_first_of_all_where_there_is_none),
		cmocka_unit_test(a_loop_does_not_come_by_again),
		cmocka_unit_test(glibc),
		cmocka_unit_test(jemalloc),
		cmocka_unit_test(tcmalloc),
		cmocka_unit_test(mimalloc),
		cmocka_unit_test(musl),
		cmocka_unit_test(a_library_of_cpp_is_no_allocator),
		cmocka_unit_test(what_is_no_program_is_refused),
		cmocka_unit_test(own_libc_is_mapped_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
