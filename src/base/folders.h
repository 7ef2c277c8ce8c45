/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Private directories. */
#ifndef MB_BASE_FOLDERS_H
#define MB_BASE_FOLDERS_H

/* Create each missing directory of a path, accessible by its owner only (0700). Returns 0 or -errno. */
int mb_make_folders(const char *path);

#endif
