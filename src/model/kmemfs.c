// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Parses the kernel's statistics about its own memory. */
#include "model/kmemfs.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memblame/abi.h"

/* Exceeds any machine: text with a larger value is malformed. */
#define MOST (1ull << 50)

/* Copy the next line, truncated to size. Returns false at the end of the text. */
static bool take_line(const char **text, char *line, size_t size)
{
	size_t len = strcspn(*text, "\n");

	if (!**text)
		return false;
	snprintf(line, size, "%.*s", (int)(len < size ? len : size - 1), *text);
	*text += len + ((*text)[len] == '\n');
	return true;
}

/* Parse the next number, followed by a space or the end; *at advances past it. */
static bool take_number(const char **at, uint64_t *out)
{
	char *end;

	*at += strspn(*at, " ");
	if (!isdigit((unsigned char)**at))
		return false;
	*out = strtoull(*at, &end, 10);
	*at = end;
	return (*end == ' ' || !*end) && *out <= MOST;
}

/*
 * Copy the next word, up to one of the characters in end, truncated to MB_KMEMFS_NAME. Returns
 * false if empty.
 */
static bool take_word(const char **at, const char *end, char name[MB_KMEMFS_NAME])
{
	size_t len;

	*at += strspn(*at, " ");
	len = strcspn(*at, end);
	snprintf(name, MB_KMEMFS_NAME, "%.*s", (int)(len < MB_KMEMFS_NAME ? len : MB_KMEMFS_NAME - 1), *at);
	*at += len;
	return len > 0;
}

/*
 * "dentry  22344  22344  192  21  1 : tunables 0 0 0 : slabdata 1064 1064 0": active objects, all
 * objects, object size
 */
static bool parse_cache(const char *line, struct mb_kmemfs_line *out)
{
	uint64_t active, all, size;

	if (line[0] == '#' || strncmp(line, "slabinfo", 8) == 0)
		return false;
	if (!take_word(&line, " ", out->name) || !take_number(&line, &active) || !take_number(&line, &all) ||
	    !take_number(&line, &size) || (size && active > MOST / size))
		return false;
	out->objects = active;
	out->bytes = active * size;
	return true;
}

/*
 * "0x0000...-0x0000...   20480 kernel_clone+0x94/0x3e0 pages=4 vmalloc N0=4". The number of pages
 * is used if present, because the size includes a guard page.
 */
static bool parse_area(const char *line, struct mb_kmemfs_line *out)
{
	const char *at = line + strcspn(line, " "), *of_pages = strstr(line, " pages=");
	uint64_t size, pages = 0;

	if (strncmp(line, "0x", 2) != 0 || strstr(line, " ioremap") || strstr(line, " phys=") ||
	    strstr(line, " unpurged"))
		return false;
	if (!take_number(&at, &size) || !take_word(&at, " +", out->name))
		return false;
	if (of_pages) {
		of_pages += strlen(" pages=");
		if (!take_number(&of_pages, &pages) || pages > MOST / MB_PAGE_SIZE)
			return false;
	}
	out->objects = 1;
	out->bytes = pages ? pages * MB_PAGE_SIZE : size;
	return true;
}

bool mb_kmemfs_slabinfo(const char **text, struct mb_kmemfs_line *out)
{
	char line[512];

	while (take_line(text, line, sizeof(line))) {
		if (parse_cache(line, out))
			return true;
	}
	return false;
}

bool mb_kmemfs_vmallocinfo(const char **text, struct mb_kmemfs_line *out)
{
	char line[512];

	while (take_line(text, line, sizeof(line))) {
		if (parse_area(line, out))
			return true;
	}
	return false;
}
