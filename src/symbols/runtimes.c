// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Run times that generate code at run time. */
#include "symbols/runtimes.h"

#include <stddef.h>
#include <string.h>

const char mb_runtime_hint[] = "have the run time write /tmp/perf-PID.map (perf's map of names)";

static const struct mb_runtime runtimes[] = {
	{ "libjvm.so", "JVM",
	  "run jcmd PID Compiler.perfmap (or start java with -XX:+DumpPerfMapAtExit; before JDK 17: "
	  "perf-map-agent)",
	  false },
	{ "libcoreclr.so", ".NET", "start it with DOTNET_PerfMapEnabled=1 in the environment",
	  false },
	{ "libnode.so", "Node.js", "start node with --perf-basic-prof", false },
	{ "node", "Node.js", "start node with --perf-basic-prof", false },
	{ "deno", "Deno", "start deno with --v8-flags=--perf-basic-prof", false },
	{ "libpython", "Python", "start python with -X perf (3.12 or later)", true },
	{ "python", "Python", "start python with -X perf (3.12 or later)", true },
	{ "libluajit", "LuaJIT", "build LuaJIT with -DLUAJIT_USE_PERFTOOLS", false },
	{ "luajit", "LuaJIT", "build LuaJIT with -DLUAJIT_USE_PERFTOOLS", false },
	{ "beam.smp", "Erlang", "start erl with +JPperf true", false },
	{ "libphp", "PHP", "start php with -d opcache.jit_debug=16", false },
	{ "php", "PHP", "start php with -d opcache.jit_debug=16", false },
};

const struct mb_runtime *mb_runtime_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;

	for (size_t i = 0; name && i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		const char *file = runtimes[i].file;
		size_t len = strlen(file);

		/* matches "python3.12", but not "nodepad" or "python-config" */
		if (!strncmp(name, file, len) && (strstr(file, "lib") == file || !name[len] ||
						  (name[len] >= '0' && name[len] <= '9')))
			return &runtimes[i];
	}
	return NULL;
}
