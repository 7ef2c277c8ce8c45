// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Checks and cleans text of unknown origin. */
#include "base/utf8.h"

#include <string.h>

size_t mb_utf8_len(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 :
		   s[0] < 0xc2 ? 0 :
		   s[0] < 0xe0 ? 2 :
		   s[0] < 0xf0 ? 3 :
		   s[0] < 0xf5 ? 4 :
				 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

bool mb_utf8_is_shown(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;

	if (len == 1)
		return p[0] >= 0x20 && p[0] != 0x7f;
	if (len == 2)
		return p[0] != 0xc2 || p[1] >= 0xa0; /* C1 */
	if (len == 3 && p[0] == 0xe2 && p[1] == 0x80) /* line and paragraph separators, and changes of direction */
		return p[2] < 0xa8 || p[2] > 0xae;
	return len && !(p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe);
}

char *mb_utf8_clean(char *to, size_t size, const char *s)
{
	size_t at = 0;

	while (*s) {
		size_t len = mb_utf8_len(s), take = len ? len : 1;
		bool shown = mb_utf8_is_shown(s, len);
		size_t put = shown ? len : 1;

		if (at + put >= size)
			break;
		if (shown)
			memcpy(to + at, s, len);
		else
			to[at] = '?';
		at += put;
		s += take;
	}
	if (size)
		to[at] = '\0';
	return to;
}
