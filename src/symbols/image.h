/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The headers and sections of an ELF file (64 bit, x86-64). The file may be anyone's and say anything, and may
 * change while it is read: sizes are checked against limits and the file, bytes are copied, never mapped.
 */
#ifndef MB_SYMBOLS_IMAGE_H
#define MB_SYMBOLS_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MB_BUILD_ID_MAX 64

struct mb_image {
	int fd; /* the caller's */
	uint64_t size;
	Elf64_Phdr *segments;
	unsigned int n_segments;
	Elf64_Shdr *sections;
	unsigned int n_sections;
	char *names; /* of sections */
	size_t names_len;
	uint8_t build_id[MB_BUILD_ID_MAX];
	unsigned int build_id_len;
};

/* Read the headers; fd stays open as long as the image. Returns 0, or -1 where it is no such file. */
int mb_image_open(struct mb_image *im, int fd);
void mb_image_close(struct mb_image *im);

/* The address that the file gives the byte at an offset; false: it is not loaded from there. */
bool mb_image_address(const struct mb_image *im, uint64_t offset, uint64_t *address);

/* A section by name; NULL: there is none. Its name: "" where that is broken. */
const Elf64_Shdr *mb_image_section(const struct mb_image *im, const char *name);
const char *mb_image_section_name(const struct mb_image *im, const Elf64_Shdr *s);

/* The size of a section's contents once they are unpacked; UINT64_MAX: that cannot be told. */
uint64_t mb_image_section_size(const struct mb_image *im, const Elf64_Shdr *s);

/* The contents of a section, unpacked, to be freed; NULL: empty, broken, or larger than limit. */
uint8_t *mb_image_read(const struct mb_image *im, const Elf64_Shdr *s, uint64_t limit, size_t *size);

/* Bytes of the file at an offset, to be freed; NULL: not all of them are there. */
uint8_t *mb_image_bytes(const struct mb_image *im, uint64_t offset, size_t size);

/* Whether both have a build-id, the same. */
bool mb_image_same_build(const struct mb_image *a, const struct mb_image *b);

#endif
