/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Values of a configuration file: from text to number or list, checked, and back. */
#ifndef MB_SERVE_CONFIG_VALUE_H
#define MB_SERVE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/out.h"

/* What each kind is kept as. All but lists and paths are a uint64_t. */
enum mb_config_kind {
	MB_CONFIG_YESNO, /* 0, 1 */
	MB_CONFIG_COUNT,
	MB_CONFIG_SIZE, /* bytes: 512MiB, 1G, 1048576 */
	MB_CONFIG_DURATION, /* ns: 90s, 1h30m, 500ms; without a unit seconds */
	MB_CONFIG_PERCENT, /* parts per million; off: 0 */
	MB_CONFIG_LOG, /* enum mb_log_level */
	MB_CONFIG_FAMILIES, /* a bit per family id */
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
	uint64_t least, most; /* lists: most words */
};

static inline bool mb_config_is_list(enum mb_config_kind kind)
{
	return kind == MB_CONFIG_LISTEN || kind == MB_CONFIG_CGROUPS;
}

/*
 * Read text into field, a list gets one word more. Returns 0; -EINVAL with why (of MB_CONFIG_WHY bytes) saying what is
 * wrong and what to write instead; or -ENOMEM, with why too. The field is then as it was.
 */
int mb_config_value_parse(void *field, const struct mb_config_range *r, const char *text, char *why);

/* Write the value at field as it can be read again; of a list the word of this index. */
void mb_config_value_show(const void *field, enum mb_config_kind kind, size_t index, struct mb_out *o);

/* A value that is kept as a number, as it is written, into buf of MB_CONFIG_WHY, which is returned. */
const char *mb_config_number_text(uint64_t v, enum mb_config_kind kind, char *buf);

bool mb_config_value_equal(const void *a, const void *b, enum mb_config_kind kind);

/* Free what it holds; it is empty then. */
void mb_config_value_free(void *field, enum mb_config_kind kind);

/* Its allowed values for people: "100ms to 60s", "yes or no", ... into buf of MB_CONFIG_WHY, which is returned. */
const char *mb_config_value_range(const struct mb_config_range *r, char *buf);

#endif
