// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Unwinds and names this program's own functions, whose order, files and lines are known. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chain.h"
#include "symbols/demangle.h"
#include "symbols/expr.h"
#include "symbols/frame.h"
#include "symbols/address_space.h"
#include "unit.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#define MAX_IPS 64

static struct mb_modules *modules;
static struct mb_address_space *self;

static int set_up(void **state)
{
	(void)state;
	modules = mb_modules_new();
	self = mb_address_space_new(modules, (uint32_t)getpid());
	return !modules || !self;
}

static int tear_down(void **state)
{
	(void)state;
	mb_address_space_free(self);
	mb_modules_free(modules);
	return 0;
}

/* The first frame from `from` on whose function has this name; fails if there is none. */
static unsigned int frame_of(const char *function, const uint64_t *ips, unsigned int n, unsigned int from,
			     struct mb_source_frame *frame)
{
	for (unsigned int i = from; i < n; i++) {
		struct mb_source_frame frames[8];
		unsigned int k = mb_address_space_resolve(self, ips[i], i > 0, frames, 8);

		assert_in_range(k, 1, 8);
		*frame = frames[k - 1];
		if (frame->symbol && !strcmp(frame->symbol, function))
			return i;
	}
	print_error("no %s among the frames from %u on\n", function, from);
	for (unsigned int i = 0; i < n; i++) {
		struct mb_source_frame p;

		mb_address_space_resolve(self, ips[i], i > 0, &p, 1);
		print_error("  %u: 0x%llx %s\n", i, (unsigned long long)ips[i], p.symbol ? p.symbol : "?");
	}
	fail();
	return 0;
}

static void assert_here(const struct mb_source_frame *p, unsigned int line)
{
	char exe[4096] = "";

	assert_non_null(p->file);
	assert_string_equal(strrchr(p->file, '/') + 1, "chain.h");
	assert_int_equal(p->line, line);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_string_equal(p->module, exe);
}

static unsigned int unwind(struct mb_address_space *space, const struct mb_user_regs *regs, const void *bytes, size_t len,
			   uint64_t *ips, unsigned int max, bool *whole)
{
	const struct mb_stack stack = { bytes, len, regs->sp, 0 };

	return mb_address_space_unwind(space, regs, &stack, ips, max, whole);
}

static void the_chain_is_unwound_up_to_main(void **state)
{
	uint64_t ips[MAX_IPS];
	struct mb_source_frame p;
	unsigned int n, i, c;
	bool whole;

	(void)state;
	chain_a();
	n = unwind(self, &snap.regs, snap.bytes, snap.len, ips, MAX_IPS, &whole);
	assert_true(whole);
	assert_true(ips[0] == snap.regs.ip);
	assert_int_equal(frame_of("chain_capture", ips, n, 0, &p), 0);
	assert_int_equal(frame_of("chain_compare", ips, n, 0, &p), 1);
	assert_here(&p, lines[1]);
	c = frame_of("chain_c", ips, n, 2, &p);
	assert_here(&p, lines[2]);
	assert_true(c > 2);
	for (i = 2; i < c; i++) {
		mb_address_space_resolve(self, ips[i], true, &p, 1);
		assert_non_null(p.module);
	}
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
	assert_true(frame_of("qsort_r", ips, c, 2, &p) < c);
	assert_non_null(strstr(p.module, "/libc.so"));
#endif
	assert_int_equal(frame_of("chain_b", ips, n, c, &p), c + 1);
	assert_here(&p, lines[3]);
	assert_int_equal(frame_of("chain_a", ips, n, c, &p), c + 2);
	assert_here(&p, lines[4]);
	i = frame_of("main", ips, n, c, &p);
	assert_true(i > c + 3);
	frame_of("__libc_start_main", ips, n, i, &p); /* not @@GLIBC_2.34 */
	assert_int_equal(frame_of("_start", ips, n, i, &p), n - 1);
}

static void an_inlined_function_is_a_place_of_its_own(void **state)
{
	uint64_t ips[MAX_IPS];
	struct mb_source_frame p[4];
	unsigned int n;
	bool whole;

	(void)state;
	chain_a();
	n = unwind(self, &snap.regs, snap.bytes, snap.len, ips, MAX_IPS, &whole);
	assert_true(n > 2);
	assert_int_equal(mb_address_space_resolve(self, ips[1], true, p, 4), 2);
	assert_string_equal(p[0].symbol, "inlined_part");
	assert_true(p[0].inlined);
	assert_here(&p[0], lines[0]);
	assert_string_equal(p[1].symbol, "chain_compare");
	assert_false(p[1].inlined);
	assert_here(&p[1], lines[1]);
	assert_true(p[0].ip == ips[1] && p[1].ip == ips[1]);
	assert_true(p[0].module_offset == p[1].module_offset);
	/* the same again, from the cache */
	assert_int_equal(mb_address_space_resolve(self, ips[1], true, p, 4), 2);
	assert_here(&p[1], lines[1]);
	/* no room for the outer function */
	assert_int_equal(mb_address_space_resolve(self, ips[1], true, p, 1), 1);
	assert_string_equal(p[0].symbol, "inlined_part");
}

static void a_stack_that_is_cut_off_gives_the_inner_frames(void **state)
{
	uint64_t all[MAX_IPS], ips[MAX_IPS];
	unsigned int n, fewer = 0;
	bool whole;

	(void)state;
	chain_a();
	n = unwind(self, &snap.regs, snap.bytes, snap.len, all, MAX_IPS, &whole);
	for (size_t len = 0; len < snap.len; len += 56) {
		unsigned char *exact = malloc(len + 1);
		unsigned int k;

		memcpy(exact, snap.bytes, len);
		k = unwind(self, &snap.regs, exact, len, ips, MAX_IPS, &whole);
		assert_in_range(k, 1, n);
		assert_memory_equal(ips, all, k * sizeof(ips[0]));
		assert_int_equal(whole, k == n);
		fewer += k < n;
		free(exact);
	}
	assert_true(fewer > 3);
	assert_int_equal(unwind(self, &snap.regs, snap.bytes, snap.len, ips, 3, &whole), 3);
	assert_false(whole);
	assert_int_equal(unwind(self, &snap.regs, snap.bytes, snap.len, ips, 0, &whole), 0);
}

/* A page missing from the copy only matters to reads that need it: a read that touches it, even in part, fails. */
static void what_is_missing_is_not_read(void **state)
{
	static uint8_t bytes[3 * MB_PAGE_SIZE];
	struct mb_stack stack = { bytes, sizeof(bytes), 0x7000ff0, 1u << 2 };
	uint64_t v;

	(void)state;
	memset(bytes, 7, sizeof(bytes));
	assert_true(mb_stack_read(&stack, 0x7000ff0, 8, &v));
	assert_true(mb_stack_read(&stack, 0x7001ff8, 8, &v));
	assert_false(mb_stack_read(&stack, 0x7001ffc, 8, &v));
	assert_false(mb_stack_read(&stack, 0x7002000, 8, &v));
	assert_false(mb_stack_read(&stack, 0x7002ff8, 8, &v));
	assert_false(mb_stack_read(&stack, 0x7002ffc, 8, &v));
	assert_true(mb_stack_read(&stack, 0x7003000, 8, &v));
	assert_int_equal(v, 0x0707070707070707);
}

/* From byte 11 of each entry on, lazy binding has pushed a number: the CFA rule of the PLT is an expression. */
static void an_entry_of_the_plt_is_unwound(void **state)
{
	uint64_t words[] = { 1, 2, 3 };
	struct mb_stack stack = { (const uint8_t *)words, sizeof(words), 0x7000 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const Elf64_Shdr *plt;
	struct mb_image im;
	struct mb_cfi *c;

	(void)state;
	assert_int_equal(mb_image_open(&im, fd), 0);
	plt = mb_image_section(&im, ".plt");
	c = mb_cfi_open(&im);
	assert_non_null(c);
	for (uint64_t at = 16; plt && at < 64 && at < plt->sh_size; at++) {
		uint64_t ip = (plt->sh_addr & ~15ull) + at;
		struct mb_frame f = { .v = { [MB_CFI_SP] = 0x7000, [MB_CFI_RA] = ip }, .valid = 0xff };
		bool pushed = at % 16 >= 11;
		struct mb_cfi_row row;

		mb_cfi_find(c, ip, &row);
		assert_true(row.known);
		assert_int_equal(row.cfa.how, MB_CFI_IS_EXPR);
		assert_int_equal(mb_frame_by_cfi(&f, &stack, &row), MB_STEP_DONE);
		assert_true(f.v[MB_CFI_RA] == (pushed ? 2 : 1));
		assert_true(f.v[MB_CFI_SP] == (pushed ? 0x7010 : 0x7008));
	}
	mb_cfi_close(c);
	mb_image_close(&im);
	close(fd);
}

static void garbage_ends(void **state)
{
	uint8_t *bytes = malloc(BYTES);
	uint64_t ips[MAX_IPS];

	(void)state;
	srandom(1);
	chain_a();
	for (int i = 0; i < 3000; i++) {
		struct mb_user_regs r = snap.regs;
		size_t len = (size_t)random() % BYTES;
		uint64_t word;
		unsigned int n;
		bool whole;

		for (size_t at = 0; at + 8 <= len; at += 8) {
			switch (random() % 4) {
			case 0: word = r.sp + (uint64_t)random() % BYTES; break;
			case 1: word = r.ip + (uint64_t)random() % 4096; break;
			case 2: word = (uint64_t)(uintptr_t)qsort + (uint64_t)random() % 4096; break;
			default: word = (uint64_t)random() << 33 | (uint64_t)random();
			}
			memcpy(bytes + at, &word, 8);
		}
		r.ip += (uint64_t)random() % 2048;
		r.bp = random() % 2 ? r.sp + (uint64_t)random() % BYTES : (uint64_t)random();
		n = unwind(self, &r, bytes, len & ~7ull, ips, MAX_IPS, &whole);
		assert_in_range(n, 1, MAX_IPS);
	}
	free(bytes);
}

static void a_signal_is_unwound_to_what_it_interrupted(void **state)
{
	struct sigaction act = { .sa_sigaction = chain_handler, .sa_flags = SA_SIGINFO }, old;
	uint64_t ips[MAX_IPS];
	struct mb_source_frame p;
	unsigned int n, i;
	bool whole;

	(void)state;
	sigaction(SIGILL, &act, &old);
	chain_signal();
	sigaction(SIGILL, &old, NULL);
	n = unwind(self, &snap.regs, snap.bytes, snap.len, ips, MAX_IPS, &whole);
	assert_true(whole);
	i = frame_of("chain_handler", ips, n, 0, &p);
	assert_here(&p, lines[6]);
	assert_true(ips[i + 2] == (uint64_t)(uintptr_t)chain_trap); /* after the kernel's frame */
	i = frame_of("chain_signal", ips, n, i, &p);
	assert_here(&p, lines[7]);
	frame_of("main", ips, n, i, &p);
}

static void a_call_that_ends_a_function_belongs_to_it(void **state)
{
	uint64_t ips[MAX_IPS];
	struct mb_source_frame p;
	unsigned int n;
	bool whole;

	(void)state;
	if (!setjmp(left))
		chain_last();
	n = unwind(self, &snap.regs, snap.bytes, snap.len, ips, MAX_IPS, &whole);
	assert_true(whole);
	assert_int_equal(frame_of("chain_leave", ips, n, 0, &p), 1);
	assert_int_equal(frame_of("chain_last", ips, n, 0, &p), 2);
	assert_here(&p, lines[9]);
	frame_of("main", ips, n, 2, &p);
}

static void names_are_demangled(void **state)
{
	static const char *const pairs[][2] = {
		{ "_ZNSt6vectorIiSaIiEE9push_backERKi",
		  "std::vector<int, std::allocator<int> >::push_back(int const&)" },
		{ "_Z3fooi", "foo(int)" },
		{ "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad" },
		{ "_RNvCs15kBYyAo9fc_7mycrate7example", "mycrate::example" },
	};
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char buf[256], bomb[512];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_true(mb_demangle(pairs[i][0], buf, sizeof(buf)));
		assert_string_equal(buf, pairs[i][1]);
	}
	assert_false(mb_demangle("malloc", buf, sizeof(buf)));
	assert_false(mb_demangle("_Z", buf, sizeof(buf)));
	assert_false(mb_demangle("_ZNSt6vectorIiSaIiEE9push_backERKi", buf, 20));
	/* each parameter contains the one before it twice: 2 to the 29th names */
	strcpy(bomb, "_Z1fSt4pairIiiE");
	for (int i = 0; i < 28; i++)
		sprintf(bomb + strlen(bomb), "S_IS%c_S%c_E", digits[i], digits[i]);
	assert_false(mb_demangle(bomb, buf, sizeof(buf)));
}

/* push rbp; mov rbp, rsp; call rdi; pop rbp; ret */
static const unsigned char made_code[] = { 0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3 };

/* Writes to the perf map: `before`, the address, `after`. */
static void write_map(const char *mode, const char *before, uint64_t start, const char *after)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	f = fopen(path, mode);
	assert_non_null(f);
	fprintf(f, "%s%llx%s", before, (unsigned long long)start, after);
	fclose(f);
}

static void code_made_at_run_time_is_unwound_and_named(void **state)
{
	unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *code = page + 64; /* sanitizers read the bytes before a function */
	void (*made)(void (*)(void));
	uint64_t ips[MAX_IPS], start = (uint64_t)(uintptr_t)code;
	char path[64];
	struct mb_source_frame p;
	unsigned int n;
	bool whole;

	(void)state;
	assert_true(page != MAP_FAILED);
	memcpy(code, made_code, sizeof(made_code));
	assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_EXEC), 0);
	memcpy(&made, &code, sizeof(made));
	chain_jit(made);
	usleep(110000); /* the page is not in the maps read earlier */
	n = unwind(self, &snap.regs, snap.bytes, snap.len, ips, MAX_IPS, &whole);
	assert_true(whole);
	assert_true(ips[1] == start + 6);
	assert_int_equal(frame_of("chain_jit", ips, n, 0, &p), 2);
	assert_here(&p, lines[5]);
	assert_int_equal(mb_address_space_resolve(self, ips[1], true, &p, 1), 1);
	assert_null(p.symbol);
	assert_string_equal(p.module, "[jit]");

	write_map("w", "nonsense\n", start, " 8 Made.first(a, b)\nffffffffffffffff ffff x\n");
	mb_address_space_resolve(self, ips[1], true, &p, 1);
	assert_string_equal(p.symbol, "Made.first(a, b)");
	write_map("a", "", start + 64, " 10 later");
	mb_address_space_resolve(self, start + 64, false, &p, 1);
	assert_null(p.symbol); /* not a whole line yet */
	write_map("a", "\n", start + 4096, " 10 behind it\n");
	mb_address_space_resolve(self, start + 64, false, &p, 1);
	assert_string_equal(p.symbol, "later");
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	unlink(path);
	munmap(page, 4096);
}

static void a_process_that_has_ended_is_still_resolved(void **state)
{
	struct mb_source_frame p[4];
	struct mb_address_space *s;
	unsigned int n;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	s = mb_address_space_new(modules, (uint32_t)pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_non_null(s);
	usleep(110000);
	assert_false(mb_address_space_refresh(s));
	n = mb_address_space_resolve(s, (uint64_t)(uintptr_t)chain_b, false, p, 4);
	assert_true(n >= 1);
	assert_string_equal(p[n - 1].symbol, "chain_b");
	assert_int_equal(mb_address_space_resolve(s, 16, false, p, 4), 1);
	assert_null(p[0].symbol);
	assert_null(p[0].module);
	mb_address_space_free(s);
	assert_null(mb_address_space_new(modules, (uint32_t)pid));
}

/* Runs a copy of this program, which waits as its argument says. */
static pid_t run_copy(const char *path)
{
	char command[256], byte;
	int out[2];
	pid_t pid;

	snprintf(command, sizeof(command), "cp /proc/%d/exe %s", getpid(), path);
	assert_int_equal(system(command), 0);
	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (!pid) {
		dup2(out[1], 1);
		execl(path, path, "wait", NULL);
		_exit(1);
	}
	close(out[1]);
	assert_int_equal(read(out[0], &byte, 1), 1);
	close(out[0]);
	return pid;
}

static void a_deleted_program_is_resolved(void **state)
{
	char path[64], line[512];
	uint64_t start, offset, own_start = 0;
	struct mb_source_frame p[4];
	struct mb_address_space *s;
	unsigned int n;
	pid_t pid;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/memblame-symbols-%d", getpid());
	pid = run_copy(path);
	unlink(path);
	s = mb_address_space_new(modules, (uint32_t)pid);
	assert_non_null(s);
	/* where the same function is in the copy */
	mb_address_space_resolve(self, (uint64_t)(uintptr_t)chain_c, false, p, 1);
	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	f = fopen(line, "r");
	while (fgets(line, sizeof(line), f))
		if (strstr(line, path) && sscanf(line, "%lx-%*x r-xp %lx", &start, &offset) == 2)
			own_start = start - offset;
	fclose(f);
	assert_true(own_start != 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	n = mb_address_space_resolve(s, own_start + p[0].module_offset, false, p, 4);
	assert_string_equal(p[n - 1].symbol, "chain_c");
	assert_string_equal(p[n - 1].module, path);
	mb_address_space_free(s);
}

/* Maps this program's code a second time, unmaps it, and maps something else at its address. */
static void code_that_is_mapped_no_more_stays_known(void **state)
{
	struct mb_address_space *s;
	struct mb_source_frame p[4];
	unsigned char *page;
	uint64_t ip;
	unsigned int n;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	mb_address_space_resolve(self, (uint64_t)(uintptr_t)chain_a, false, p, 1);
	page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)(p[0].module_offset & ~4095ull));
	assert_true(page != MAP_FAILED);
	close(fd);
	ip = (uint64_t)(uintptr_t)page + (p[0].module_offset & 4095);
	s = mb_address_space_new(modules, (uint32_t)getpid());
	assert_int_equal(munmap(page, 4096), 0);
	usleep(110000);
	assert_true(mb_address_space_refresh(s));
	n = mb_address_space_resolve(s, ip, false, p, 4);
	assert_string_equal(p[n - 1].symbol, "chain_a");
	assert_true(page == mmap(page, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	assert_false(mb_address_space_refresh(s));
	usleep(110000); /* the refused refresh is made up for */
	assert_int_equal(mb_address_space_resolve(s, ip, false, p, 4), 1);
	assert_null(p[0].symbol);
	assert_string_equal(p[0].module, "[jit]");
	munmap(page, 4096);
	mb_address_space_free(s);
}

static void maps_are_read_again_ten_times_a_second_at_most(void **state)
{
	struct mb_address_space *s = mb_address_space_new(modules, (uint32_t)getpid());

	(void)state;
	assert_false(mb_address_space_refresh(s));
	usleep(110000);
	assert_true(mb_address_space_refresh(s));
	assert_false(mb_address_space_refresh(s));
	mb_address_space_free(s);
	assert_null(mb_address_space_new(modules, 0x7ffffff0));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chain_is_unwound_up_to_main),
		cmocka_unit_test(an_inlined_function_is_a_place_of_its_own),
		cmocka_unit_test(a_stack_that_is_cut_off_gives_the_inner_frames),
		cmocka_unit_test(an_entry_of_the_plt_is_unwound),
		cmocka_unit_test(what_is_missing_is_not_read),
		cmocka_unit_test(garbage_ends),
		cmocka_unit_test(a_signal_is_unwound_to_what_it_interrupted),
		cmocka_unit_test(a_call_that_ends_a_function_belongs_to_it),
		cmocka_unit_test(names_are_demangled),
		cmocka_unit_test(code_made_at_run_time_is_unwound_and_named),
		cmocka_unit_test(a_process_that_has_ended_is_still_resolved),
		cmocka_unit_test(a_deleted_program_is_resolved),
		cmocka_unit_test(code_that_is_mapped_no_more_stays_known),
		cmocka_unit_test(maps_are_read_again_ten_times_a_second_at_most),
	};

	if (argc > 1 && !strcmp(argv[1], "wait")) {
		if (write(1, "", 1) == 1)
			pause();
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
