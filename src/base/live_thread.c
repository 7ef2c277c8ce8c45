// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Processes whose main thread has ended. */
#include "base/live_thread.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Whether the thread has ended; *there is false if there is no such thread. In the file, the state follows the name,
 * which may contain any character.
 */
static bool has_ended(uint32_t tid, bool *there)
{
	char path[64], text[512];
	const char *at;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/stat", tid);
	f = fopen(path, "re");
	*there = f != NULL;
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	at = strrchr(text, ')');
	return at && at[1] && (at[2] == 'Z' || at[2] == 'X');
}

uint32_t mb_live_thread(uint32_t pid)
{
	uint32_t live = pid;
	char path[64];
	struct dirent *e;
	bool there;
	DIR *d;

	if (!has_ended(pid, &there))
		return pid;
	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	d = opendir(path);
	while (d && live == pid && (e = readdir(d))) {
		uint32_t tid = (uint32_t)strtoul(e->d_name, NULL, 10);

		if (tid && tid != pid && !has_ended(tid, &there) && there)
			live = tid;
	}
	if (d)
		closedir(d);
	return live;
}

uint32_t mb_process_of(uint32_t tid)
{
	char path[64], line[256];
	uint32_t tgid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", tid);
	f = fopen(path, "re");
	while (f && !tgid && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Tgid: %u", &tgid) != 1)
			tgid = 0;
	}
	if (f)
		fclose(f);
	return tgid;
}
