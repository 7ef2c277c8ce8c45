#!/usr/bin/env node
// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Leaks like a Node.js program: an array of buffers that only grows.
 *
 * usage: node [--perf-basic-prof] leak.js RATE_BYTES_PER_S SECONDS. With --perf-basic-prof the names of
 * compiled functions are in /tmp/perf-PID.map, which stays after the program has ended, as does a log in the
 * working directory (none with --no-logfile-per-isolate --logfile=+). The environment, the signals and the last
 * line are the same as for the other leaking workloads.
 */
"use strict";
const path = require("path");

const BLOCK = 16384;
const held = [];
const site = {};
let go = !("WORKLOAD_WAIT" in process.env);
let stop = false;
let begin, last, due = 0;

function leakSome() {
	held.push(Buffer.alloc(BLOCK, 1));
}

function leakDue() {
	while ((held.length + 1) * BLOCK <= due)
		leakSome();
}

function end() {
	const usage = process.resourceUsage();

	console.log(JSON.stringify({
		workload: "leak.js", mode: "buffers", pid: process.pid,
		bytes: held.length * BLOCK, count: held.length,
		function: "leakSome", file: path.basename(__filename), line: site.line,
		minflt: usage.minorPageFault, majflt: usage.majorPageFault, maxrss_kb: usage.maxRSS,
	}));
	process.exit(0);
}

function tick() {
	const rate = Number(process.argv[2]), seconds = Number(process.argv[3]);
	const now = process.hrtime.bigint();

	if (go && begin === undefined)
		begin = last = now;
	if (stop || (go && Number(now - begin) / 1e9 >= seconds))
		end();
	if (go) {
		/* the program sees a signal only after its timers: after a stop only little may be due */
		due += rate * Math.min(Number(now - last) / 1e9, 0.02);
		last = now;
		leakDue();
	}
	setTimeout(tick, 10);
}

/* the line of the call above */
const text = leakSome.toString().split("\n").findIndex((line) => line.includes("Buffer.alloc"));
const all = require("fs").readFileSync(__filename, "utf8").split("\n");
site.line = all.indexOf("function leakSome() {") + 1 + text;

process.on("SIGTERM", () => { stop = true; });
process.on("SIGUSR2", () => { go = true; });
if (!go)
	process.stderr.write("leak.js: ready\n");
tick();
