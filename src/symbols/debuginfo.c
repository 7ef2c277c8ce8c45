// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The debug information of one file: finds the files that contain it, and combines names from it and from symbols. */
#include "symbols/debuginfo.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbols/dwarf_find.h"
#include "symbols/open.h"
#include "symbols/symtab.h"

struct mb_debuginfo {
	struct mb_image image; /* fd -1: the debug information is in the file itself */
	struct mb_image alt;
	struct mb_dwarf *dwarf;
	struct mb_symtab *symtab;
};

static void close_image(struct mb_image *im)
{
	if (im->fd < 0)
		return;
	close(im->fd);
	mb_image_close(im);
}

/* Open a file below root if it has the same build-id. */
static bool try_path(int root, const char *path, const struct mb_image *wanted, struct mb_image *im)
{
	struct stat st;
	int fd = root < 0 ? -1 : mb_open_in(root, path, true, &st);

	if (fd < 0)
		return false;
	if (!mb_image_open(im, fd) && mb_image_same_build(im, wanted))
		return true;
	close(fd);
	mb_image_close(im);
	return false;
}

static bool try_build_id(int root, const struct mb_image *wanted, struct mb_image *im)
{
	char path[64 + 2 * MB_BUILD_ID_MAX];
	int len;

	if (wanted->build_id_len < 2)
		return false;
	len = snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%02x/", wanted->build_id[0]);
	for (unsigned int i = 1; i < wanted->build_id_len; i++)
		len += snprintf(path + len, sizeof(path) - (size_t)len, "%02x", wanted->build_id[i]);
	snprintf(path + len, sizeof(path) - (size_t)len, ".debug");
	return try_path(root, path, wanted, im);
}

/* Open the file named in .gnu_debuglink: next to the file, or where distributions store debug files. */
static bool try_link(int root, const char *path, const struct mb_image *wanted, struct mb_image *im)
{
	static const struct {
		const char *before, *below; /* added before and after the file's own directory */
	} places[] = { { "", "" }, { "", "/.debug" }, { "/usr/lib/debug", "" } };
	const Elf64_Shdr *sh = mb_image_section(wanted, ".gnu_debuglink");
	const char *slash = path ? strrchr(path, '/') : NULL;
	char name[NAME_MAX + 1], full[PATH_MAX];
	size_t size = 0;
	uint8_t *bytes;

	bytes = sh && slash ? mb_image_read(wanted, sh, PATH_MAX, &size) : NULL;
	if (!bytes)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)size, (const char *)bytes);
	free(bytes);
	if (!*name || strchr(name, '/'))
		return false;
	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int len = snprintf(full, sizeof(full), "%s%.*s%s/%s", places[i].before, (int)(slash - path), path,
				   places[i].below, name);

		if (len > 0 && (size_t)len < sizeof(full) && try_path(root, full, wanted, im))
			return true;
	}
	return false;
}

/*
 * Find the supplementary file that dwz created for several files. libdw would search for it itself,
 * under any path that the file names.
 */
static bool find_alt(struct mb_debuginfo *d, const struct mb_image *im, int root, int machine)
{
	const Elf64_Shdr *sh = mb_image_section(im, ".gnu_debugaltlink");
	struct mb_image wanted = { .fd = -1 };
	size_t size = 0, name;
	uint8_t *bytes = NULL;

	if (!sh)
		return true;
	bytes = mb_image_read(im, sh, PATH_MAX, &size);
	if (!bytes)
		return false;
	name = strnlen((char *)bytes, size);
	if (name < size && size - name - 1 <= sizeof(wanted.build_id)) {
		wanted.build_id_len = (unsigned int)(size - name - 1);
		memcpy(wanted.build_id, bytes + name + 1, wanted.build_id_len);
	}
	free(bytes);
	return try_build_id(machine, &wanted, &d->alt) || try_build_id(root, &wanted, &d->alt);
}

struct mb_debuginfo *mb_debuginfo_open(const struct mb_image *im, const char *path, int root)
{
	struct mb_debuginfo *d = calloc(1, sizeof(*d));
	const struct mb_image *from = im;
	int machine;

	if (!d)
		return NULL;
	d->image.fd = d->alt.fd = -1;
	machine = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!mb_image_section(im, ".debug_info") &&
	    (try_build_id(machine, im, &d->image) || try_build_id(root, im, &d->image) ||
	     try_link(root, path, im, &d->image)))
		from = &d->image;
	if (mb_image_section(from, ".debug_info") && find_alt(d, from, root, machine))
		d->dwarf = mb_dwarf_open(from, d->alt.fd < 0 ? NULL : &d->alt);
	d->symtab = mb_symtab_open(from, false);
	if (!d->symtab)
		d->symtab = mb_symtab_open(im, false);
	if (!d->symtab)
		d->symtab = mb_symtab_open(im, true);
	if (machine >= 0)
		close(machine);
	return d;
}

void mb_debuginfo_close(struct mb_debuginfo *d)
{
	if (!d)
		return;
	mb_dwarf_close(d->dwarf);
	mb_symtab_close(d->symtab);
	close_image(&d->image);
	close_image(&d->alt);
	free(d);
}

unsigned int mb_debuginfo_find(struct mb_debuginfo *d, uint64_t address, struct mb_source *sources,
			       unsigned int max)
{
	const char *symbol = mb_symtab_find(d->symtab, address);
	unsigned int n = 0;

	if (!max)
		return 0;
	if (d->dwarf)
		n = mb_dwarf_find(d->dwarf, address, sources, max);
	if (!n)
		sources[n++] = (struct mb_source){ 0 };
	/* the symbol is the name known to other files; it can also have a suffix such as .cold or .constprop */
	if (symbol && (n < max || !sources[n - 1].function))
		sources[n - 1].function = symbol;
	return n;
}

size_t mb_debuginfo_cost(const struct mb_debuginfo *d)
{
	return mb_dwarf_cost(d->dwarf) + mb_symtab_cost(d->symtab);
}
