/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Histograms and rows of a process: values that do not fit in a single number. */
#ifndef MB_MODEL_DETAIL_H
#define MB_MODEL_DETAIL_H

#include "model/model.h"

/* Free a process's details; NULL is accepted. */
void mb_details_free(struct mb_detail *d);

/* Add the histograms and rows in from to those of p. */
void mb_details_add(struct mb_process *p, const struct mb_detail *from);

#endif
