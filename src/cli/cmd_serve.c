// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* serve: load the configuration, then show it (--check-config) or serve. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "serve/serve.h"

static int show(const struct mb_options *o, const struct mb_serve_config *c, struct mb_err *e)
{
	const char *path = o->config_path ? o->config_path : "the command line";
	struct mb_out out;

	if (mb_out_open(&out, o->out_path, e))
		return (int)e->exit;
	if (o->sink->json) {
		mb_json_object(&out, NULL);
		mb_json_u64(&out, "schema", 1);
		mb_json_str(&out, "kind", "config");
		mb_json_str(&out, "file", o->config_path);
		mb_json_object(&out, "settings");
		mb_serve_config_json(c, &out);
		mb_json_object_end(&out);
		mb_json_object_end(&out);
		mb_json_end_line(&out);
	} else {
		mb_out_printf(&out, "%s: ok\n\n", path);
		mb_serve_config_show(c, false, &out);
	}
	return mb_out_close(&out, e) ? (int)e->exit : MB_EXIT_OK;
}

/* Print all diagnostics of the file, not only the first. They include *e, so *e is cleared. */
static int complain(const struct mb_options *o, const struct mb_config_diagnostics *m, struct mb_err *e)
{
	enum mb_exit exit = e->exit;
	char line[MB_CONFIG_WHY + 512];
	struct mb_out out;

	if (!m->total)
		return (int)exit;
	for (unsigned int i = 0; i < m->n && !o->sink->json; i++)
		fprintf(stderr, "%s\n", mb_config_diagnostic(m, i, line, sizeof(line)));
	if (!o->sink->json && m->total > m->n)
		fprintf(stderr, "%s: %u more mistakes\n", m->path, m->total - m->n);
	if (o->sink->json && !mb_out_open(&out, NULL, e)) {
		mb_json_object(&out, NULL);
		mb_json_u64(&out, "schema", 1);
		mb_json_str(&out, "kind", "error");
		mb_json_str(&out, "message", e->text);
		mb_json_array(&out, "mistakes");
		for (unsigned int i = 0; i < m->n; i++)
			mb_json_str(&out, NULL, mb_config_diagnostic(m, i, line, sizeof(line)));
		mb_json_array_end(&out);
		mb_json_object_end(&out);
		mb_json_end_line(&out);
		mb_out_close(&out, e);
	}
	e->text[0] = '\0';
	return (int)exit;
}

/* Fill the session's configuration from the configuration of serve. */
static int session_of(const struct mb_options *o, const struct mb_serve_config *c, struct mb_session_config *cfg,
		      struct mb_err *e)
{
	struct mb_options all = *o;

	all.families = (unsigned int)c->families;
	for (all.n_cgroups = 0; all.n_cgroups < c->cgroups.n; all.n_cgroups++)
		all.cgroups[all.n_cgroups] = c->cgroups.list[all.n_cgroups];
	all.budget_percent = (double)c->budget_ppm / 10000;
	return mb_options_session(&all, cfg, e);
}

int mb_cmd_serve(const struct mb_options *o, struct mb_err *e)
{
	struct mb_serve_start start = { .path = o->config_path, .overrides = &o->serve };
	struct mb_config_diagnostics diagnostics;
	struct mb_serve_config c;
	int status;

	if (o->n_pids) {
		mb_err_set(e, MB_EXIT_USAGE, 0, "serve watches the machine or cgroups (-c), not processes (-p)");
		return MB_EXIT_USAGE;
	}
	if (mb_serve_config_load(&c, o->config_path, &o->serve, &diagnostics, e))
		return complain(o, &diagnostics, e);
	if (o->check_config)
		status = show(o, &c, e);
	else if (session_of(o, &c, &start.session, e) || mb_kern_check(e))
		status = (int)e->exit;
	else
		status = mb_serve(&c, &start, e);
	mb_serve_config_free(&c);
	return status;
}
