// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * What mapfuzz does to its address space: all calls that change it, valid or not. Only the kernel touches the
 * memory (read() of zeroes), so that missing memory gives an error, not a signal.
 */
#include "workload.h"

#include <alloca.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leak.h"
#include "mapfuzz.h"

#define PAGE	   4096UL
#define HUGE_BYTES (2UL << 20)
#define FILE_BYTES (8UL << 20)
#define BRK_BYTES  (8UL << 20)
#define SHM_BYTES  (256UL << 10)
#define STACK_STEP (32UL << 10)
#define NOREPLACE  0x100000
#define DONTUNMAP  4

enum kind { MMAP, MUNMAP, MREMAP, MPROTECT, MADVISE, MLOCK, NAME, BRK, SHM, STACK, FORK, INVALID, KINDS };

static int zeroes = -1, file = -1, memory_file = -1, shm_id = -1;
static char *brk_base;

const char *mf_kind_name(unsigned int kind)
{
	static const char *const names[] = { "mmap",	"munmap", "mremap", "mprotect",
					     "madvise", "mlock",  "name",   "brk",
					     "shm",	"stack",  "fork",   "invalid" };

	_Static_assert(sizeof(names) / sizeof(names[0]) == KINDS && KINDS <= MF_KINDS, "names");
	return kind < KINDS ? names[kind] : NULL;
}

static unsigned int below(struct mf_thread *t, unsigned int n)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return (unsigned int)((t->random >> 32) * n >> 32);
}

static bool chance(struct mf_thread *t, unsigned int one_in)
{
	return below(t, one_in) == 0;
}

static bool count(struct mf_thread *t, enum kind kind, long result)
{
	if (result == -1)
		t->failed[kind]++;
	else
		t->ok[kind]++;
	return result != -1;
}

static size_t some_len(struct mf_thread *t)
{
	unsigned int dice = below(t, 100);

	if (dice < 70)
		return (1 + below(t, 16)) * PAGE;
	if (dice < 90)
		return (1 + below(t, 128)) * PAGE;
	if (dice < 97)
		return (1 + below(t, 700)) * PAGE;
	return (1 + below(t, 2)) * HUGE_BYTES;
}

/* A random range of len bytes in the arena; one large enough for a huge page is sometimes aligned for it. */
static char *some_place(struct mf_thread *t, size_t len)
{
	size_t align = len >= HUGE_BYTES && chance(t, 2) ? HUGE_BYTES : PAGE;

	return t->arena + below(t, (unsigned int)((MF_ARENA_BYTES - len) / align + 1)) * align;
}

static int some_prot(struct mf_thread *t)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC };

	return prots[below(t, 5)];
}

static void touch(struct mf_thread *t, char *at, size_t len)
{
	for (unsigned int i = below(t, 8); i; i--)
		if (read(zeroes, at + below(t, (unsigned int)(len / PAGE) + 1) * PAGE, 1) < 0)
			continue; /* not writable, or not mapped */
}

/* Remembers a mapping that the kernel made. Outside the arena it replaces an older one, which is unmapped. */
static void remember(struct mf_thread *t, char *at, size_t len, bool shared)
{
	bool inside = at >= t->arena && at < t->arena + MF_ARENA_BYTES;
	struct mf_map *map = inside ? &t->recent[below(t, MF_RECENT)] :
				      &t->outside[below(t, MF_OUTSIDE)];

	if (!inside && map->at)
		count(t, MUNMAP, munmap(map->at, map->len));
	*map = (struct mf_map){ at, len, shared };
	if (chance(t, 2))
		touch(t, at, len);
}

static struct mf_map *some_map(struct mf_thread *t)
{
	return chance(t, 3) ? &t->outside[below(t, MF_OUTSIDE)] : &t->recent[below(t, MF_RECENT)];
}

/* Part of a known mapping, or any range of the arena, with holes or several mappings. */
static char *some_range(struct mf_thread *t, size_t *len)
{
	struct mf_map *map = some_map(t);
	size_t at, pages;

	if (!map->at || map->len < PAGE || chance(t, 3)) {
		*len = some_len(t);
		return some_place(t, *len);
	}
	pages = map->len / PAGE;
	at = chance(t, 2) ? 0 : below(t, (unsigned int)pages);
	*len = (chance(t, 2) ? pages - at : 1 + below(t, (unsigned int)(pages - at))) * PAGE;
	return map->at + at * PAGE;
}

static void do_mmap(struct mf_thread *t)
{
	static const int wheres[] = { MAP_FIXED, MAP_FIXED, MAP_FIXED, NOREPLACE, NOREPLACE, 0 };
	size_t len = some_len(t);
	bool shared = chance(t, 3), anon = !chance(t, 3);
	int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | (anon ? MAP_ANONYMOUS : 0);
	int fd = anon ? -1 : chance(t, 2) ? file : memory_file;
	off_t offset = anon ? 0 : (off_t)(below(t, FILE_BYTES / PAGE / 2) * PAGE);
	char *where = NULL, *at;

	if (!chance(t, 4)) {
		where = some_place(t, len);
		flags |= wheres[below(t, 6)];
	} else if (chance(t, 4)) {
		flags |= MAP_32BIT;
	}
	if (chance(t, 4))
		flags |= MAP_NORESERVE;
	if (len <= 64 * PAGE && chance(t, 8))
		flags |= MAP_POPULATE;
	if (chance(t, 8))
		len -= below(t, PAGE); /* rounded up */
	at = mmap(where, len, some_prot(t), flags, fd, offset);
	if (count(t, MMAP, (long)at))
		remember(t, at, (len + PAGE - 1) / PAGE * PAGE, shared);
}

static void do_munmap(struct mf_thread *t)
{
	size_t len;
	char *at = some_range(t, &len);

	/* all of the arena now and then, or there would be more and more pieces */
	if (chance(t, 600)) {
		at = t->arena;
		len = MF_ARENA_BYTES;
	} else if (chance(t, 8)) {
		len -= below(t, PAGE);
	}
	count(t, MUNMAP, munmap(at, len));
}

static void do_mremap(struct mf_thread *t)
{
	struct mf_map *map = some_map(t);
	size_t len = map->len, to = chance(t, 2) ? some_len(t) : len + PAGE * below(t, 16);
	char *from = map->at, *at, *where = NULL;
	bool shared = map->shared;
	int flags = chance(t, 3) ? 0 : MREMAP_MAYMOVE;

	if (!from)
		return;
	if (len > PAGE && chance(t, 4)) { /* only its end or its start */
		len = (1 + below(t, (unsigned int)(len / PAGE))) * PAGE;
		from += chance(t, 2) ? map->len - len : 0;
	}
	if (t->plain && (to >= 2 << 20 || len >= 2 << 20))
		return;
	if (flags && !t->plain && chance(t, 3)) {
		flags |= MREMAP_FIXED;
		where = some_place(t, to);
	}
	if (flags && chance(t, 4)) {
		flags |= DONTUNMAP;
		to = len;
	} else if (flags && shared && chance(t, 3)) {
		len = 0; /* maps the same pages a second time */
	}
	at = mremap(from, len, to, flags, where);
	if (!count(t, MREMAP, (long)at))
		return;
	if (from == map->at && len == map->len && !(flags & DONTUNMAP))
		map->at = NULL;
	remember(t, at, to, shared);
}

static void do_mprotect(struct mf_thread *t)
{
	size_t len;
	char *at = some_range(t, &len);

	count(t, MPROTECT, mprotect(at, len, some_prot(t)));
}

static void do_madvise(struct mf_thread *t)
{
	/* some by number, as they are newer than this libc; 99 does not exist */
	static const int advices[] = { MADV_DONTNEED, MADV_DONTNEED, MADV_FREE,	  MADV_WILLNEED,
				       MADV_HUGEPAGE, MADV_NORMAL,   MADV_RANDOM, MADV_NOHUGEPAGE,
				       MADV_REMOVE,   MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP,
				       18,	      19,	     20,	  23,
				       102,	      103,	     99 };
	size_t len;
	char *at = some_range(t, &len);

	count(t, MADVISE, madvise(at, len, advices[below(t, sizeof(advices) / sizeof(advices[0]))]));
}

static void do_mlock(struct mf_thread *t)
{
	size_t len;
	char *at = some_range(t, &len);

	if (len > 8 * PAGE)
		len = 8 * PAGE;
	count(t, MLOCK, chance(t, 2) ? mlock(at, len) : munlock(at, len));
}

static void do_name(struct mf_thread *t)
{
	size_t len;
	char *at = some_range(t, &len);

	count(t, NAME, prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, len, chance(t, 2) ? "fuzz" : NULL));
}

/* Uses the system call, as libc assumes that it owns the break. If brk fails, the break stays where it is. */
static void do_brk(struct mf_thread *t)
{
	char *to = brk_base + below(t, BRK_BYTES);

	if (chance(t, 2))
		to = brk_base + below(t, BRK_BYTES / PAGE) * PAGE;
	if (chance(t, 20))
		to = chance(t, 2) ? brk_base - PAGE : (char *)(1UL << 62);
	if (count(t, BRK, (char *)syscall(SYS_brk, to) == to ? 0 : -1) && chance(t, 4))
		touch(t, brk_base, (size_t)(to - brk_base));
}

static void do_shm(struct mf_thread *t)
{
	struct mf_map *map = some_map(t);
	int flags = chance(t, 2) ? SHM_RDONLY : 0;
	char *at;

	if (shm_id < 0 || t->calls)
		return;
	if (chance(t, 2)) {
		count(t, SHM, shmdt(map->at)); /* the address may have no attached segment */
		return;
	}
	at = chance(t, 2) ? shmat(shm_id, NULL, flags) :
			    shmat(shm_id, some_place(t, SHM_BYTES), flags | (chance(t, 2) && !t->plain ? SHM_REMAP : 0));
	if (count(t, SHM, (long)at))
		remember(t, at, SHM_BYTES, false);
}

static LK_DEEP void grow_stack(unsigned int steps)
{
	volatile char *more = alloca(STACK_STEP);

	for (size_t at = 0; at < STACK_STEP; at += PAGE)
		more[at] = 1;
	if (steps)
		grow_stack(steps - 1);
	more[0] = 2;
}

static void do_fork(struct mf_thread *t)
{
	long pid = fork();

	if (!count(t, FORK, pid))
		return;
	if (!pid) {
		t->child = true;
		for (int i = 0; i < 20; i++)
			mf_step(t);
		_exit(0);
	}
	if (waitpid((pid_t)pid, NULL, 0) != pid)
		errx(1, "no child to wait for");
}

static void do_invalid(struct mf_thread *t)
{
	char *at = some_place(t, 2 * PAGE), *absurd = (char *)(1UL << 62);
	long result = -1;

	switch (below(t, 8)) {
	case 0:
		result = syscall(SYS_munmap, at + 1, PAGE);
		break;
	case 1:
		result = syscall(SYS_munmap, at, 0);
		break;
	case 2:
		result = syscall(SYS_munmap, absurd, PAGE);
		break;
	case 3:
		result = syscall(SYS_mmap, NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 4:
		result = syscall(SYS_mmap, NULL, 1UL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 5:
		result = syscall(SYS_mmap, absurd, PAGE, PROT_READ,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 6:
		result = syscall(SYS_mremap, at, PAGE, 2 * PAGE, MREMAP_FIXED, at);
		break;
	case 7:
		result = syscall(SYS_mmap, at, PAGE, PROT_READ, MAP_PRIVATE, 99, 0);
		break;
	}
	count(t, INVALID, result);
}

/* Rare operations: each changes something that a process has only once, or takes long. */
static void do_rare(struct mf_thread *t)
{
	unsigned int dice = below(t, 100);

	if (dice < 40) {
		do_shm(t);
	} else if (dice < 50 && t->first && !t->child) {
		do_fork(t);
	} else if (dice < 60 && t->first && !t->calls) {
		grow_stack(below(t, 64));
		t->ok[STACK]++;
	} else {
		do_invalid(t);
	}
}

void mf_step(struct mf_thread *t)
{
	static void (*const often[])(struct mf_thread *) = {
		do_mmap,   do_mmap,   do_mmap,	   do_mmap,	do_munmap,
		do_munmap, do_munmap, do_mremap,   do_mremap,	do_mprotect,
		do_mprotect, do_madvise, do_madvise, do_mlock, do_name,
	};
	unsigned int dice = below(t, 100);

	if (dice == 0)
		do_rare(t);
	else if (dice < 5 && t->first)
		do_brk(t);
	else
		often[below(t, sizeof(often) / sizeof(often[0]))](t);
}

void mf_prepare(const char *dir)
{
	char path[4096];

	brk_base = (char *)syscall(SYS_brk, NULL);
	snprintf(path, sizeof(path), "%s/mapfuzz.file", dir);
	zeroes = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	memory_file = memfd_create("mapfuzz", MFD_CLOEXEC);
	if (zeroes < 0 || file < 0 || memory_file < 0 || unlink(path) ||
	    ftruncate(file, FILE_BYTES) || ftruncate(memory_file, FILE_BYTES))
		err(1, "%s", path);
	shm_id = shmget(IPC_PRIVATE, SHM_BYTES, IPC_CREAT | 0600);
	if (shm_id < 0)
		return; /* the kernel has no System V shared memory */
	/* IPC_RMID frees the segment after the last detach; this attachment stays */
	if (shmat(shm_id, NULL, 0) == (void *)-1)
		err(1, "shmat");
	shmctl(shm_id, IPC_RMID, NULL);
}
