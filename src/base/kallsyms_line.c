// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Parses the lines of /proc/kallsyms. */
#include "base/kallsyms_line.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool mb_kallsyms_line_next(FILE *f, struct mb_kallsyms_line *l)
{
	while (fgets(l->text, sizeof(l->text), f)) {
		char *end, *name, *module;

		l->address = strtoull(l->text, &end, 16);
		if (!l->address || end[0] != ' ' || !end[1] || end[2] != ' ')
			continue;
		l->type = (char)tolower((unsigned char)end[1]);
		name = end + 3;
		module = name + strcspn(name, " \t\n");
		if (*module)
			*module++ = '\0';
		module += strspn(module, " \t\n");
		module[strcspn(module, "\n")] = '\0';
		l->name = name;
		l->module = module;
		return true;
	}
	return false;
}
