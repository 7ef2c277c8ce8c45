/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * The configuration of serve: defaults, an INI file, and what the command line says instead. config.def is the table
 * of all that can be set; the members of struct mb_serve_config are those of its column "field".
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

/* Zeroed is empty. Free with mb_serve_config_free(). */
struct mb_serve_config {
#define MB_KEY(section, key, field, kind, least, most, def, when, help) MB_CONFIG_TYPE_##kind field;
#include "serve/config.def"
#undef MB_KEY
	int from[MB_SERVE_KEYS]; /* the line of the file that says so; 0: default; -1: the command line */
};

struct mb_serve_key {
	const char *section, *key;
	const char *name; /* "[section] key" */
	struct mb_config_range range;
	const char *initial; /* as text */
	bool reload; /* a reload takes a change over; else a restart does */
	size_t offset; /* in struct mb_serve_config */
	const char *help;
};

/* The table, of MB_SERVE_KEYS rows. */
const struct mb_serve_key *mb_serve_keys(void);

/* What is wrong with a file: the first of them in full, and how many there are. */
#define MB_CONFIG_DIAGNOSTICS 32

struct mb_config_diagnostics {
	const char *path; /* the caller's */
	unsigned int n; /* listed */
	unsigned int total;
	struct {
		unsigned int line; /* 0: of the file as a whole */
		char text[MB_CONFIG_WHY + 64];
	} list[MB_CONFIG_DIAGNOSTICS];
};

/* "FILE:LINE: what is wrong; what to write instead" of the mistake of index i < n, into buf, which is returned. */
const char *mb_config_diagnostic(const struct mb_config_diagnostics *m, unsigned int i, char *buf, size_t size);

/* What the command line says instead of the file; the words stay the caller's, and must stay. */
#define MB_SERVE_OVERRIDES 64

struct mb_serve_overrides {
	size_t n;
	struct {
		int key; /* MB_SERVE_*; MB_SERVE_KEYS: "MINUTES,HOURS,MIB" of --history */
		const char *option, *value;
	} list[MB_SERVE_OVERRIDES];
};

/* One more. Returns 0 or -EINVAL with *e set: too many. */
int mb_serve_override(struct mb_serve_overrides *o, int key, const char *option, const char *value, struct mb_err *e);

/* All as it is when nothing is said. Returns 0 or -ENOMEM with *e set. */
int mb_serve_config_default(struct mb_serve_config *c, struct mb_err *e);

/*
 * Read a file over what c has. All mistakes of it are listed in *m, which may be fresh. Returns 0, or -errno with *e
 * set to the first of them (MB_EXIT_USAGE); c is then good for mb_serve_config_free() only.
 */
int mb_serve_config_read(struct mb_serve_config *c, const char *path, struct mb_config_diagnostics *m, struct mb_err *e);

/* The same from len bytes of memory, whose mistakes are only listed. Returns their number. */
unsigned int mb_serve_config_parse(struct mb_serve_config *c, const char *text, size_t len,
				   struct mb_config_diagnostics *m);

/*
 * The whole way, at the start and at each reload: defaults, the file (path NULL: none), the command line; then
 * what must fit together does. Returns 0, or -errno with *e set, the file's mistakes in *m, and c empty.
 */
int mb_serve_config_load(struct mb_serve_config *c, const char *path, const struct mb_serve_overrides *o,
			 struct mb_config_diagnostics *m, struct mb_err *e);

void mb_serve_config_free(struct mb_serve_config *c);

/* All settings as a file that can be read again; help: each with its meaning, as in the sample. */
void mb_serve_config_show(const struct mb_serve_config *c, bool help, struct mb_out *o);

/* The same as members of the JSON object that is open: one object per section. */
void mb_serve_config_json(const struct mb_serve_config *c, struct mb_out *o);

/* Names ("[serve] listen") of what differs: what a reload takes over, and what needs a restart. */
struct mb_serve_changes {
	unsigned int n_reload, n_restart;
	const char *reload[MB_SERVE_KEYS], *restart[MB_SERVE_KEYS];
};

void mb_serve_config_changes(const struct mb_serve_config *from, const struct mb_serve_config *to,
			     struct mb_serve_changes *out);

/* Take over what a reload can: running has it of loaded then, loaded what running had. Takes no memory. */
void mb_serve_config_take(struct mb_serve_config *running, struct mb_serve_config *loaded);

/* The flight history that is configured. */
struct mb_history_config mb_serve_config_history(const struct mb_serve_config *c);

#endif
