/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Helpers for the files of the text sink. */
#ifndef MB_SINKS_TEXT_H
#define MB_SINKS_TEXT_H

#include "memblame/sink.h"

/* Write an untrusted name, padded to width; control characters are replaced, so that none reaches a terminal. */
void mb_text_name(struct mb_out *o, const char *name, int width);

/* Write a title line, highlighted if colour is enabled. */
void mb_text_title(struct mb_out *o, const struct mb_snapshot *s, const char *title);

/* Write one line about lost events and data. */
void mb_text_lost(struct mb_out *o, const struct mb_lost *l);

#endif
