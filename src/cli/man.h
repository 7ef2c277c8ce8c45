/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Manual pages and completion of shells, made from the tables of commands and options. tests/unit/cli.c writes them. */
#ifndef MB_CLI_MAN_H
#define MB_CLI_MAN_H

#include <stdio.h>

struct mb_command;

/* memblame(1), and the page of one command, memblame-NAME(1), in the macros of man(7). */
void mb_man_all(FILE *f);
void mb_man_command(const struct mb_command *c, FILE *f);

/* Completion scripts. */
void mb_completion_bash(FILE *f);
void mb_completion_zsh(FILE *f);
void mb_completion_fish(FILE *f);

#endif
