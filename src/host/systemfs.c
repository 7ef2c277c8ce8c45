// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads the state of the machine. The files stay open, so that a tick only has to read them. */
#include "host/systemfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define NODES "/sys/devices/system/node"
#define FIRST_ROOM (64 * 1024) /* initial size of the text buffer; /proc/zoneinfo has several lines per CPU and zone */
#define MOST_ROOM (16 * 1024 * 1024)

enum { FILE_MEMINFO, FILE_VMSTAT, FILE_ZONEINFO, FILE_BUDDYINFO, FILE_PSI_MEMORY, FILE_PSI_IO, FILES };

struct mb_systemfs {
	int fd[FILES];
	int node_fd[MB_SYSTEM_NODES];
	uint32_t node[MB_SYSTEM_NODES];
	uint32_t n_nodes, nodes_left_out;
	char *text;
	size_t room;
};

static const char *const paths[FILES] = {
	[FILE_MEMINFO] = "/proc/meminfo",	    [FILE_VMSTAT] = "/proc/vmstat",
	[FILE_ZONEINFO] = "/proc/zoneinfo",	    [FILE_BUDDYINFO] = "/proc/buddyinfo",
	[FILE_PSI_MEMORY] = "/proc/pressure/memory", [FILE_PSI_IO] = "/proc/pressure/io",
};

static int is_node(const struct dirent *d)
{
	return strncmp(d->d_name, "node", 4) == 0 && isdigit((unsigned char)d->d_name[4]);
}

/*
 * Opens the numastat files in the order of node numbers. Kernels without CONFIG_NUMA do not have
 * them.
 */
static void open_nodes(struct mb_systemfs *f)
{
	struct dirent **found = NULL;
	int n = scandir(NODES, &found, is_node, versionsort);

	for (int i = 0; i < n; i++) {
		char path[sizeof(NODES) + sizeof(found[i]->d_name) + 16];
		int fd = -1;

		snprintf(path, sizeof(path), NODES "/%s/numastat", found[i]->d_name);
		if (f->n_nodes == MB_SYSTEM_NODES)
			f->nodes_left_out++;
		else
			fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			f->node[f->n_nodes] = (uint32_t)strtoul(found[i]->d_name + 4, NULL, 10);
			f->node_fd[f->n_nodes++] = fd;
		}
		free(found[i]);
	}
	free(found);
}

struct mb_systemfs *mb_systemfs_open(void)
{
	struct mb_systemfs *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->text = malloc(FIRST_ROOM);
	f->room = f->text ? FIRST_ROOM : 0;
	for (int i = 0; i < FILES; i++)
		f->fd[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
	open_nodes(f);
	return f;
}

static bool grow(struct mb_systemfs *f)
{
	size_t room = f->room ? 2 * f->room : FIRST_ROOM;
	char *bigger = room <= MOST_ROOM ? realloc(f->text, room) : NULL;

	if (!bigger)
		return false;
	f->text = bigger;
	f->room = room;
	return true;
}

/*
 * Reads the whole text of a file from its beginning; NULL: it cannot be read. Valid until the next
 * call.
 */
static const char *slurp(struct mb_systemfs *f, int fd)
{
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return NULL;
	for (;;) {
		if (len + 1 >= f->room && !grow(f))
			return NULL;
		n = pread(fd, f->text + len, f->room - len - 1, (off_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	f->text[len] = '\0';
	return n < 0 ? NULL : f->text;
}

static void read_numbers(struct mb_systemfs *f, struct mb_system *s, int file, enum mb_system_file as)
{
	const char *text = slurp(f, f->fd[file]);

	if (text)
		mb_system_parse(s, as, text);
}

void mb_systemfs_read(struct mb_systemfs *f, struct mb_system *s)
{
	const char *text;

	mb_system_init(s);
	s->t_ns = mb_now_ns();
	if (!f)
		return;
	read_numbers(f, s, FILE_MEMINFO, MB_SYSTEM_MEMINFO);
	read_numbers(f, s, FILE_VMSTAT, MB_SYSTEM_VMSTAT);
	read_numbers(f, s, FILE_PSI_MEMORY, MB_SYSTEM_PSI_MEMORY);
	read_numbers(f, s, FILE_PSI_IO, MB_SYSTEM_PSI_IO);
	if ((text = slurp(f, f->fd[FILE_ZONEINFO])))
		mb_system_parse_zoneinfo(s, text);
	if ((text = slurp(f, f->fd[FILE_BUDDYINFO])))
		mb_system_parse_buddyinfo(s, text);
	for (uint32_t i = 0; i < f->n_nodes; i++) {
		if ((text = slurp(f, f->node_fd[i])))
			mb_system_parse_numastat(s, f->node[i], text);
	}
	s->nodes_left_out += f->nodes_left_out;
}

void mb_systemfs_close(struct mb_systemfs *f)
{
	if (!f)
		return;
	for (int i = 0; i < FILES; i++) {
		if (f->fd[i] >= 0)
			close(f->fd[i]);
	}
	for (uint32_t i = 0; i < f->n_nodes; i++)
		close(f->node_fd[i]);
	free(f->text);
	free(f);
}
