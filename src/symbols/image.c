// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Headers and sections of an untrusted ELF file. */
#include "symbols/image.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#define MAX_SEGMENTS 128
#define MAX_NAMES (4u << 20)
#define MAX_NOTE (64u << 10)

static bool read_at(int fd, void *to, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)to + done, size - done, (off_t)(offset + done));

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

uint8_t *mb_image_bytes(const struct mb_image *im, uint64_t offset, size_t size)
{
	uint8_t *bytes;

	if (!size || offset > im->size || size > im->size - offset || !(bytes = malloc(size)))
		return NULL;
	if (!read_at(im->fd, bytes, size, offset)) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

static bool header_ok(const Elf64_Ehdr *h)
{
	return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_machine == EM_X86_64 &&
	       (h->e_type == ET_EXEC || h->e_type == ET_DYN) && h->e_phentsize == sizeof(Elf64_Phdr) &&
	       h->e_phnum && h->e_phnum <= MAX_SEGMENTS;
}

/* Read the section table. A file can have none. Only object files have more sections than fit into e_shnum. */
static void read_sections(struct mb_image *im, const Elf64_Ehdr *h)
{
	if (!h->e_shnum || h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shstrndx >= h->e_shnum)
		return;
	im->sections = (Elf64_Shdr *)mb_image_bytes(im, h->e_shoff, h->e_shnum * sizeof(Elf64_Shdr));
	if (!im->sections)
		return;
	im->n_sections = h->e_shnum;
	im->names = (char *)mb_image_read(im, &im->sections[h->e_shstrndx], MAX_NAMES, &im->names_len);
	if (im->names)
		im->names[im->names_len - 1] = '\0';
}

/* Find the GNU build-id among notes. */
static void find_build_id(struct mb_image *im, const uint8_t *notes, size_t size)
{
	size_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		size_t name = at + sizeof(Elf64_Nhdr), desc;
		Elf64_Nhdr n;

		memcpy(&n, notes + at, sizeof(n));
		if (n.n_namesz > size - name)
			return;
		desc = name + ((n.n_namesz + 3u) & ~3u);
		if (desc > size || n.n_descsz > size - desc)
			return;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && !memcmp(notes + name, "GNU", 4) &&
		    n.n_descsz && n.n_descsz <= sizeof(im->build_id)) {
			memcpy(im->build_id, notes + desc, n.n_descsz);
			im->build_id_len = n.n_descsz;
			return;
		}
		at = desc + ((n.n_descsz + 3u) & ~3u);
		if (at > size)
			return;
	}
}

static void read_build_id(struct mb_image *im)
{
	const Elf64_Shdr *s = mb_image_section(im, ".note.gnu.build-id");
	size_t size = 0;
	uint8_t *notes = s ? mb_image_read(im, s, MAX_NOTE, &size) : NULL;

	if (notes)
		find_build_id(im, notes, size);
	free(notes);
	for (unsigned int i = 0; i < im->n_segments && !im->build_id_len; i++) {
		const Elf64_Phdr *p = &im->segments[i];

		if (p->p_type != PT_NOTE || p->p_filesz > MAX_NOTE)
			continue;
		notes = mb_image_bytes(im, p->p_offset, p->p_filesz);
		if (notes)
			find_build_id(im, notes, p->p_filesz);
		free(notes);
	}
}

int mb_image_open(struct mb_image *im, int fd)
{
	struct stat st;
	Elf64_Ehdr h;

	*im = (struct mb_image){ .fd = fd };
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -1;
	im->size = (uint64_t)st.st_size;
	if (!read_at(fd, &h, sizeof(h), 0) || !header_ok(&h))
		return -1;
	im->segments = (Elf64_Phdr *)mb_image_bytes(im, h.e_phoff, h.e_phnum * sizeof(Elf64_Phdr));
	if (!im->segments)
		return -1;
	im->n_segments = h.e_phnum;
	read_sections(im, &h);
	read_build_id(im);
	return 0;
}

void mb_image_close(struct mb_image *im)
{
	free(im->segments);
	free(im->sections);
	free(im->names);
	*im = (struct mb_image){ .fd = -1 };
}

bool mb_image_address(const struct mb_image *im, uint64_t offset, uint64_t *address)
{
	for (unsigned int i = 0; i < im->n_segments; i++) {
		const Elf64_Phdr *p = &im->segments[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		if (offset >= p->p_offset && offset - p->p_offset < p->p_filesz) {
			*address = offset - p->p_offset + p->p_vaddr;
			return true;
		}
	}
	return false;
}

const char *mb_image_section_name(const struct mb_image *im, const Elf64_Shdr *s)
{
	return im->names && s->sh_name < im->names_len ? im->names + s->sh_name : "";
}

const Elf64_Shdr *mb_image_section(const struct mb_image *im, const char *name)
{
	for (unsigned int i = 0; i < im->n_sections; i++)
		if (!strcmp(mb_image_section_name(im, &im->sections[i]), name))
			return &im->sections[i];
	return NULL;
}

uint64_t mb_image_section_size(const struct mb_image *im, const Elf64_Shdr *s)
{
	Elf64_Chdr c;

	if (s->sh_type == SHT_NOBITS)
		return 0;
	if (s->sh_offset > im->size || s->sh_size > im->size - s->sh_offset)
		return UINT64_MAX;
	if (!(s->sh_flags & SHF_COMPRESSED))
		return s->sh_size;
	return s->sh_size >= sizeof(c) && read_at(im->fd, &c, sizeof(c), s->sh_offset) ? c.ch_size :
											 UINT64_MAX;
}

/* Decompress a zlib section; other formats are not supported. */
static uint8_t *unpack(const uint8_t *packed, size_t packed_size, uint64_t limit, size_t *size)
{
	uint8_t *bytes = NULL;
	Elf64_Chdr c;
	uLongf got;

	if (packed_size <= sizeof(c))
		return NULL;
	memcpy(&c, packed, sizeof(c));
	if (c.ch_type != ELFCOMPRESS_ZLIB || !c.ch_size || c.ch_size > limit || !(bytes = malloc(c.ch_size)))
		return NULL;
	got = c.ch_size;
	if (uncompress(bytes, &got, packed + sizeof(c), packed_size - sizeof(c)) != Z_OK || got != c.ch_size) {
		free(bytes);
		return NULL;
	}
	*size = got;
	return bytes;
}

uint8_t *mb_image_read(const struct mb_image *im, const Elf64_Shdr *s, uint64_t limit, size_t *size)
{
	uint8_t *bytes, *unpacked;

	if (s->sh_type == SHT_NOBITS || s->sh_size > limit)
		return NULL;
	bytes = mb_image_bytes(im, s->sh_offset, s->sh_size);
	*size = s->sh_size;
	if (!bytes || !(s->sh_flags & SHF_COMPRESSED))
		return bytes;
	unpacked = unpack(bytes, s->sh_size, limit, size);
	free(bytes);
	return unpacked;
}

bool mb_image_same_build(const struct mb_image *a, const struct mb_image *b)
{
	return a->build_id_len && a->build_id_len == b->build_id_len &&
	       !memcmp(a->build_id, b->build_id, a->build_id_len);
}
