// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Changes its address space by known calls of known sizes. As libc's start-up also maps memory, `mapper
 * base` does everything except the work: the difference of the two must be what this program reports.
 */
#include "workload.h"

#include <err.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	long mmap_calls, mmap_failed, munmap_calls, munmap_failed, mremap_calls, mremap_failed;
	long brk_calls;
	/* in pages */
	long mapped, unmapped, replaced, grown, shrunk, brk_grown, brk_shrunk;
} did;

static size_t page;

static char *map(char *where, size_t bytes, int prot, size_t replaces)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0);
	long at = syscall(SYS_mmap, where, bytes, prot, flags, -1, 0);

	if (at == -1)
		err(1, "mmap of %zu bytes", bytes);
	did.mmap_calls++;
	did.mapped += (long)((bytes + page - 1) / page);
	did.replaced += (long)replaces;
	return (char *)at;
}

/* `mapped`: how many of the pages are mapped. */
static void unmap(char *at, size_t pages, size_t mapped)
{
	if (syscall(SYS_munmap, at, pages * page))
		err(1, "munmap of %zu pages", pages);
	did.munmap_calls++;
	did.unmapped += (long)mapped;
}

static char *remap(char *from, size_t pages, size_t to_pages, char *where)
{
	int flags = MREMAP_MAYMOVE | (where ? MREMAP_FIXED : 0);
	long at = syscall(SYS_mremap, from, pages * page, to_pages * page, flags, where);

	if (at == -1)
		err(1, "mremap of %zu to %zu pages", pages, to_pages);
	did.mremap_calls++;
	if (to_pages > pages)
		did.grown += (long)(to_pages - pages);
	else
		did.shrunk += (long)(pages - to_pages);
	if (where)
		did.replaced += (long)to_pages;
	return (char *)at;
}

static char *set_brk(char *to)
{
	did.brk_calls++;
	return (char *)syscall(SYS_brk, to);
}

static void must_fail(long result, int error, const char *what)
{
	if (result != -1 || errno != error)
		errx(1, "%s did not fail as it should", what);
}

static void work_maps(void)
{
	char *at;

	/* whole */
	at = map(NULL, 10 * page, PROT_READ | PROT_WRITE, 0);
	unmap(at, 10, 10);
	/* 17 pages by rounding; a hole in the middle; around the hole; nothing but hole */
	at = map(NULL, 16 * page + 1, PROT_READ | PROT_WRITE, 0);
	unmap(at + 6 * page, 5, 5);
	unmap(at, 17, 12);
	unmap(at, 17, 0);
	/* over an existing mapping: this unmaps pages without munmap */
	at = map(NULL, 32 * page, PROT_NONE, 0);
	map(at + 4 * page, 8 * page, PROT_READ | PROT_WRITE, 8);
	unmap(at, 32, 32);
	/* stays mapped */
	map(NULL, 3 * page, PROT_READ, 0);
}

static void work_remap(void)
{
	char *at = map(NULL, 4 * page, PROT_READ | PROT_WRITE, 0), *target;

	at = remap(at, 4, 64, NULL);
	at = remap(at, 64, 8, NULL);
	target = map(NULL, 8 * page, PROT_NONE, 0);
	at = remap(at, 8, 8, target);
	unmap(at, 8, 8);
}

static void work_brk(void)
{
	char *now = set_brk(NULL);

	if (set_brk(now + 20 * page) != now + 20 * page)
		errx(1, "brk cannot grow");
	did.brk_grown += 20;
	if (set_brk(now + 5 * page) != now + 5 * page)
		errx(1, "brk cannot shrink");
	did.brk_shrunk += 15;
	/* A brk that fails has no error: it answers where the break is. */
	if (set_brk((char *)(1UL << 62)) != now + 5 * page)
		errx(1, "an absurd brk was accepted");
}

static void work_failures(void)
{
	char *gone = map(NULL, page, PROT_READ, 0);

	unmap(gone, 1, 1);
	must_fail(syscall(SYS_mmap, NULL, 1UL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		  ENOMEM, "a huge mmap");
	must_fail(syscall(SYS_mmap, NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL,
		  "an empty mmap");
	did.mmap_failed += 2;
	must_fail(syscall(SYS_munmap, gone + 1, page), EINVAL, "an unaligned munmap");
	did.munmap_failed++;
	must_fail(syscall(SYS_mremap, gone, page, 2 * page, MREMAP_MAYMOVE, 0), EFAULT,
		  "mremap of nothing");
	did.mremap_failed++;
}

static void report(long vm_pages)
{
	long size = (long)page;
	long net = did.mapped - did.replaced - did.unmapped + did.grown - did.shrunk +
		   did.brk_grown - did.brk_shrunk;

	wl_num("mmap_calls", did.mmap_calls);
	wl_num("mmap_bytes", did.mapped * size);
	wl_num("mmap_failed", did.mmap_failed);
	wl_num("mmap_replaced_bytes", did.replaced * size);
	wl_num("munmap_calls", did.munmap_calls);
	wl_num("munmap_bytes", did.unmapped * size);
	wl_num("munmap_failed", did.munmap_failed);
	wl_num("mremap_calls", did.mremap_calls);
	wl_num("mremap_failed", did.mremap_failed);
	wl_num("mremap_grown_bytes", did.grown * size);
	wl_num("mremap_shrunk_bytes", did.shrunk * size);
	wl_num("brk_calls", did.brk_calls);
	wl_num("brk_bytes", did.brk_grown * size);
	wl_num("brk_shrunk_bytes", did.brk_shrunk * size);
	wl_num("net_bytes", net * size);
	/* the kernel's own numbers, as a check of this program */
	wl_num("vm_change_bytes", vm_pages * size);
}

int main(int argc, char **argv)
{
	bool base = argc > 1 && !strcmp(argv[1], "base");
	unsigned long rounds = base ? 0 : wl_arg(argc, argv, 1, 1);
	long before;

	page = wl_page();
	wl_begin("mapper", base ? "base" : "work");
	before = wl_proc_number("/proc/self/statm", "");
	for (unsigned long i = 0; i < rounds; i++) {
		work_maps();
		work_remap();
		work_brk();
		work_failures();
	}
	wl_num("rounds", (long long)rounds);
	report(wl_proc_number("/proc/self/statm", "") - before);
	wl_end(0);
}
