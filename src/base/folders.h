/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Folders of one's own. */
#ifndef MB_BASE_FOLDERS_H
#define MB_BASE_FOLDERS_H

/* Make each folder of a path that is not there, for its owner only (0700). Returns 0 or -errno. */
int mb_make_folders(const char *path);

#endif
