// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * plugins DIR ROUNDS BYTES LIVE_US [stay]: loads DIR/a.so and DIR/b.so in turn, lets each leak BYTES (from 65536 on, a
 * mapping), and unloads it LIVE_US later. Does the same with DIR/c.so and deletes it; then loads DIR/d.so, replaces it
 * by DIR/e.so, and loads it again. Deletes or replaces a file once its parent has it open, or after 20 s. JSON: loads;
 * loads at the first address; "opened": number of files that the parent had open. "stay": runs until SIGTERM.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uintptr_t first;
static unsigned int same, loads, opened;

static __attribute__((noinline)) void load(const char *dir, const char *name, size_t bytes,
					   useconds_t live)
{
	char path[4096];
	void *library, *(*leak)(size_t);
	struct link_map *map;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	library = dlopen(path, RTLD_NOW);
	if (!library || dlinfo(library, RTLD_DI_LINKMAP, &map)) {
		fprintf(stderr, "plugins: %s\n", dlerror());
		exit(1);
	}
	*(void **)&leak = dlsym(library, "leak");
	first = first ? first : map->l_addr;
	same += map->l_addr == first;
	loads++;
	leak(bytes);
	if (live)
		usleep(live);
	if (dlclose(library))
		exit(1);
}

static bool parent_has(const char *path)
{
	char folder[64], to[4096];
	bool has = false;
	struct dirent *e;
	DIR *fds;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", getppid());
	fds = opendir(folder);
	while (fds && !has && (e = readdir(fds))) {
		ssize_t len = readlinkat(dirfd(fds), e->d_name, to, sizeof(to) - 1);

		if (len > 0)
			to[len] = '\0';
		has = len > 0 && !strcmp(to, path);
	}
	if (fds)
		closedir(fds);
	return has;
}

static void wait_opened(const char *path)
{
	int looks = 0;

	/* several looks, as the parent also opens it for a moment to look for allocators */
	for (int i = 0; i < 400 && looks < 5; i++) {
		looks = parent_has(path) ? looks + 1 : 0;
		usleep(50000);
	}
	opened += looks == 5;
}

int main(int argc, char **argv)
{
	char from[4096], to[4096];
	unsigned int rounds;
	useconds_t live;
	size_t bytes;
	sigset_t stop;
	int signal;

	if (argc < 5)
		return 2;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	if (argc > 5)
		sigprocmask(SIG_BLOCK, &stop, NULL);
	rounds = (unsigned int)atoi(argv[2]);
	bytes = strtoul(argv[3], NULL, 10);
	live = (useconds_t)atoi(argv[4]);
	for (unsigned int i = 0; i < rounds; i++) {
		load(argv[1], "a.so", bytes, live);
		load(argv[1], "b.so", bytes, live);
	}
	for (unsigned int i = 0; i < rounds; i++)
		load(argv[1], "c.so", bytes, live);
	snprintf(to, sizeof(to), "%s/c.so", argv[1]);
	wait_opened(to);
	unlink(to);
	for (unsigned int i = 0; i < rounds; i++)
		load(argv[1], "d.so", bytes, live);
	snprintf(from, sizeof(from), "%s/e.so", argv[1]);
	snprintf(to, sizeof(to), "%s/d.so", argv[1]);
	wait_opened(to);
	if (rename(from, to))
		return 1;
	for (unsigned int i = 0; i < rounds; i++)
		load(argv[1], "d.so", bytes, live);
	printf("{\"workload\":\"plugins\",\"loads\":%u,\"same\":%u,\"opened\":%u,\"rounds\":%u}\n",
	       loads, same, opened, rounds);
	fflush(stdout);
	if (argc > 5)
		sigwait(&stop, &signal);
	return 0;
}
