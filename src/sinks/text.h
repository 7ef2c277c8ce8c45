/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* For the files of the text sink. */
#ifndef MB_SINKS_TEXT_H
#define MB_SINKS_TEXT_H

#include "memblame/sink.h"

/* Write a name that a stranger chose, at least so wide: no control character reaches a terminal. */
void mb_text_name(struct mb_out *o, const char *name, int width);

/* A line that stands out, where colour is wanted. */
void mb_text_title(struct mb_out *o, const struct mb_snapshot *s, const char *title);

/* One line on what was lost. */
void mb_text_lost(struct mb_out *o, const struct mb_lost *l);

#endif
