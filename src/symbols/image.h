/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Headers and sections of a 64-bit x86-64 ELF file. The file is not trusted and can change while it
 * is read: sizes are checked against limits and the file size, and bytes are copied, never mapped.
 */
#ifndef MB_SYMBOLS_IMAGE_H
#define MB_SYMBOLS_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MB_BUILD_ID_MAX 64

/* An open ELF file; all pointers are owned by it. */
struct mb_image {
	int fd; /* owned by the caller */
	uint64_t size;
	Elf64_Phdr *segments;
	unsigned int n_segments;
	Elf64_Shdr *sections;
	unsigned int n_sections;
	char *names; /* section name table */
	size_t names_len;
	uint8_t build_id[MB_BUILD_ID_MAX];
	unsigned int build_id_len;
};

/* Read the headers. fd must stay open until mb_image_close(). Returns 0, or -1 if it is not such an ELF file. */
int mb_image_open(struct mb_image *im, int fd);
void mb_image_close(struct mb_image *im);

/* Convert a file offset to a virtual address. Returns false if no executable segment loads it. */
bool mb_image_address(const struct mb_image *im, uint64_t offset, uint64_t *address);

/*
 * Find a section by name; returns NULL if there is none. mb_image_section_name() returns "" if the
 * name is malformed.
 */
const Elf64_Shdr *mb_image_section(const struct mb_image *im, const char *name);
const char *mb_image_section_name(const struct mb_image *im, const Elf64_Shdr *s);

/* Size of a section's contents after decompression; UINT64_MAX if it is not known. */
uint64_t mb_image_section_size(const struct mb_image *im, const Elf64_Shdr *s);

/*
 * Read the decompressed contents of a section; the caller frees them. Returns NULL if they are
 * empty, malformed, or larger than limit.
 */
uint8_t *mb_image_read(const struct mb_image *im, const Elf64_Shdr *s, uint64_t limit, size_t *size);

/* Read size bytes at a file offset; the caller frees them. Returns NULL if the file is too short. */
uint8_t *mb_image_bytes(const struct mb_image *im, uint64_t offset, size_t size);

/* Returns true if both files have a build-id and the ids are equal. */
bool mb_image_same_build(const struct mb_image *a, const struct mb_image *b);

#endif
