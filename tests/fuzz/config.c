// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Any bytes as the configuration of serve: either it has mistakes, or printing and reading it again gives the same. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "serve/config.h"

static size_t show(const struct mb_serve_config *c, bool help, char *buf, size_t size)
{
	static struct mb_out out;
	static int fd = -1;
	ssize_t n;

	if (fd < 0)
		fd = memfd_create("config", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET) || mb_out_to(&out, fd, "config"))
		abort();
	mb_serve_config_show(c, help, &out);
	mb_serve_config_json(c, &out);
	if (mb_out_flush(&out))
		abort();
	n = pread(fd, buf, size, 0);
	if (n <= 0 || (size_t)n == size)
		abort();
	/* without the JSON after it */
	return (size_t)((char *)memrchr(buf, '\n', (size_t)n) + 1 - buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[1 << 17];
	struct mb_serve_config c, again;
	struct mb_config_diagnostics m = { .path = "FILE" };
	struct mb_serve_changes changes;
	struct mb_err e = { 0 };
	char line[512];
	unsigned int n;

	if (size > 65536 || mb_serve_config_default(&c, &e) || mb_serve_config_default(&again, &e))
		return 0;
	n = mb_serve_config_parse(&c, (const char *)data, size, &m);
	if (n < m.n || (n > m.n && m.n < MB_CONFIG_DIAGNOSTICS))
		abort();
	for (unsigned int i = 0; i < m.n; i++) {
		mb_config_diagnostic(&m, i, line, sizeof(line));
		if (!m.list[i].line || !m.list[i].text[0])
			abort();
	}
	if (!n) {
		size_t len = show(&c, size & 1, text, sizeof(text));

		if (mb_serve_config_parse(&again, text, len, &m))
			abort();
		mb_serve_config_changes(&c, &again, &changes);
		if (changes.n_reload || changes.n_restart)
			abort();
	}
	mb_serve_config_free(&c);
	mb_serve_config_free(&again);
	return 0;
}
