/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Values of a configuration file: parses text into a checked number or list, and formats it again. */
#ifndef MB_SERVE_CONFIG_VALUE_H
#define MB_SERVE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/out.h"

/* How each kind is stored. Everything except lists and paths is a uint64_t. */
enum mb_config_kind {
	MB_CONFIG_YESNO, /* 0, 1 */
	MB_CONFIG_COUNT,
	MB_CONFIG_SIZE, /* bytes: 512MiB, 1G, 1048576 */
	MB_CONFIG_DURATION, /* ns: 90s, 1h30m, 500ms; seconds if there is no unit */
	MB_CONFIG_PERCENT, /* parts per million; off is 0 */
	MB_CONFIG_LOG, /* enum mb_log_level */
	MB_CONFIG_FAMILIES, /* one bit per family id */
	MB_CONFIG_PATH, /* char *, absolute, owned */
	MB_CONFIG_LISTEN, /* struct mb_words of addresses; repeatable */
	MB_CONFIG_CGROUPS, /* struct mb_words; repeatable */
};

struct mb_words {
	char **list;
	size_t n;
};

#define MB_CONFIG_WHY 256

struct mb_config_range {
	enum mb_config_kind kind;
	uint64_t least, most; /* for lists, most is the maximum number of words */
};

static inline bool mb_config_is_list(enum mb_config_kind kind)
{
	return kind == MB_CONFIG_LISTEN || kind == MB_CONFIG_CGROUPS;
}

/*
 * Parse text into field; a list is extended by one word. Returns 0; -EINVAL with why (of MB_CONFIG_WHY bytes)
 * describing what is wrong and what to write instead; or -ENOMEM, also with why. On failure the field is unchanged.
 */
int mb_config_value_parse(void *field, const struct mb_config_range *r, const char *text, char *why);

/* Write the value at field so that it can be read back; for a list, the word at index. */
void mb_config_value_show(const void *field, enum mb_config_kind kind, size_t index, struct mb_out *o);

/* Format a value that is stored as a number into buf of MB_CONFIG_WHY bytes, as in a file. Returns buf. */
const char *mb_config_number_text(uint64_t v, enum mb_config_kind kind, char *buf);

/* Whether two values of this kind are equal. */
bool mb_config_value_equal(const void *a, const void *b, enum mb_config_kind kind);

/* Free what the field holds; it is then empty. */
void mb_config_value_free(void *field, enum mb_config_kind kind);

/*
 * Format the allowed values for a message ("100ms to 60s", "yes or no", ...) into buf of MB_CONFIG_WHY bytes. Returns
 * buf.
 */
const char *mb_config_value_range(const struct mb_config_range *r, char *buf);

#endif
