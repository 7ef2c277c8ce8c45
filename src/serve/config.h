/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The configuration of serve: defaults, an INI file, and command line options that override the file. config.def is
 * the table of all keys; the members of struct mb_serve_config are its column "field".
 */
#ifndef MB_SERVE_CONFIG_H
#define MB_SERVE_CONFIG_H

#include "base/err.h"
#include "base/out.h"
#include "memblame/abi.h"
#include "model/history.h"
#include "serve/config_value.h"
#include "serve/http.h"

enum {
#define MB_KEY(section, key, field, kind, least, most, def, when, help) MB_SERVE_##field,
#include "serve/config.def"
#undef MB_KEY
	MB_SERVE_KEYS
};

#define MB_CONFIG_TYPE_YESNO uint64_t
#define MB_CONFIG_TYPE_COUNT uint64_t
#define MB_CONFIG_TYPE_SIZE uint64_t
#define MB_CONFIG_TYPE_DURATION uint64_t
#define MB_CONFIG_TYPE_PERCENT uint64_t
#define MB_CONFIG_TYPE_LOG uint64_t
#define MB_CONFIG_TYPE_FAMILIES uint64_t
#define MB_CONFIG_TYPE_PATH char *
#define MB_CONFIG_TYPE_LISTEN struct mb_words
#define MB_CONFIG_TYPE_CGROUPS struct mb_words

/* A zeroed struct is an empty configuration. Free it with mb_serve_config_free(). */
struct mb_serve_config {
#define MB_KEY(section, key, field, kind, least, most, def, when, help) MB_CONFIG_TYPE_##kind field;
#include "serve/config.def"
#undef MB_KEY
	int from[MB_SERVE_KEYS]; /* line in the file that sets the key; 0: default; -1: the command line */
};

struct mb_serve_key {
	const char *section, *key;
	const char *name; /* "[section] key" */
	struct mb_config_range range;
	const char *initial; /* the default, as text */
	bool reload; /* a reload applies a change; otherwise a restart is needed */
	size_t offset; /* in struct mb_serve_config */
	const char *help;
};

/* The table, an array of MB_SERVE_KEYS rows. */
const struct mb_serve_key *mb_serve_keys(void);

/* Diagnostics of a file: the first ones in full, and the total number. */
#define MB_CONFIG_DIAGNOSTICS 32

struct mb_config_diagnostics {
	const char *path; /* owned by the caller */
	unsigned int n; /* number in list */
	unsigned int total;
	struct {
		unsigned int line; /* 0: about the file as a whole */
		char text[MB_CONFIG_WHY + 64];
	} list[MB_CONFIG_DIAGNOSTICS];
};

/* Format the diagnostic of index i < n as "FILE:LINE: what is wrong; what to write instead" into buf. Returns buf. */
const char *mb_config_diagnostic(const struct mb_config_diagnostics *m, unsigned int i, char *buf, size_t size);

/* Command line options that override the file. The strings belong to the caller and must stay valid. */
#define MB_SERVE_OVERRIDES 64

struct mb_serve_overrides {
	size_t n;
	struct {
		int key; /* MB_SERVE_*, or MB_SERVE_KEYS for the "MINUTES,HOURS,MIB" of --history */
		const char *option, *value;
	} list[MB_SERVE_OVERRIDES];
};

/* Add an override. Returns 0, or -EINVAL with *e set if there are too many. */
int mb_serve_override(struct mb_serve_overrides *o, int key, const char *option, const char *value, struct mb_err *e);

/* Set *c to the defaults. Returns 0 or -ENOMEM with *e set. */
int mb_serve_config_default(struct mb_serve_config *c, struct mb_err *e);

/*
 * Read a file on top of *c. *m lists all diagnostics; it need not be initialized. Returns 0, or -errno with *e set to
 * the first diagnostic (MB_EXIT_USAGE); *c may then only be passed to mb_serve_config_free().
 */
int mb_serve_config_read(struct mb_serve_config *c, const char *path, struct mb_config_diagnostics *m, struct mb_err *e);

/* The same for len bytes in memory, but diagnostics are only listed. Returns their number. */
unsigned int mb_serve_config_parse(struct mb_serve_config *c, const char *text, size_t len,
				   struct mb_config_diagnostics *m);

/*
 * Load the complete configuration, at the start and at each reload: the defaults, the file (path NULL: none), the
 * command line; then check the keys that depend on each other. Returns 0, or -errno with *e set, the diagnostics of
 * the file in *m, and *c empty.
 */
int mb_serve_config_load(struct mb_serve_config *c, const char *path, const struct mb_serve_overrides *o,
			 struct mb_config_diagnostics *m, struct mb_err *e);

/* Free all members; *c is then empty. */
void mb_serve_config_free(struct mb_serve_config *c);

/* Write all settings as a file that can be read back. help adds the meaning of each key, as in the sample file. */
void mb_serve_config_show(const struct mb_serve_config *c, bool help, struct mb_out *o);

/* Write all settings as members of the open JSON object: one object per section. */
void mb_serve_config_json(const struct mb_serve_config *c, struct mb_out *o);

/* Names ("[serve] listen") of the keys that differ: those that a reload applies, and those that need a restart. */
struct mb_serve_changes {
	unsigned int n_reload, n_restart;
	const char *reload[MB_SERVE_KEYS], *restart[MB_SERVE_KEYS];
};

/* Compare two configurations. */
void mb_serve_config_changes(const struct mb_serve_config *from, const struct mb_serve_config *to,
			     struct mb_serve_changes *out);

/* Apply what a reload can change: swap these members of running and loaded. Allocates no memory. */
void mb_serve_config_take(struct mb_serve_config *running, struct mb_serve_config *loaded);

/* The configured flight history. */
struct mb_history_config mb_serve_config_history(const struct mb_serve_config *c);

#endif
