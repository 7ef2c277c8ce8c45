/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Help, made from the tables of commands and options. */
#ifndef MB_CLI_HELP_H
#define MB_CLI_HELP_H

#include <stdio.h>

struct mb_command;

/* The list of commands. */
void mb_help_all(FILE *f);

/* Usage, options with their defaults, and examples of one command. */
void mb_help_command(const struct mb_command *c, FILE *f);

#endif
