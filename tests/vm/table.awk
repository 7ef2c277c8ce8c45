# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# Puts the lines of tests/vm/run side by side: a row per test, a column per kernel, why not below.
# Fails when a test failed, fewer than `least` kernels booted, or they ran different binaries.
# A file per kernel, named as it is.

# Also for a kernel that said nothing.
BEGIN {
	for (i = 1; i < ARGC; i++)
		kernels[++columns] = ARGV[i]
}
$1 != FILENAME { next }
$2 == "boot" && !($1 in release) { release[$1] = $3; booted++ }
$2 == "binary" { binaries[$3] = binaries[$3] (index(binaries[$3], $1 " ") ? "" : $1 " ") }
$2 == "note" { sub(/^[^ ]+ note /, ""); notes = notes FILENAME ": " $0 "\n" }
$2 == "pass" || $2 == "FAIL" || $2 == "skip" {
	test = $3
	sub(/:$/, "", test)
	reason = ""
	if (index($0, ": "))
		reason = substr($0, index($0, ": ") + 2)
	if (!(test in seen)) {
		seen[test] = 1
		tests[++rows] = test
		if (length(test) > width) width = length(test)
	}
	# of two results under one name the worse one counts
	if (cell[test, $1] != "FAIL") cell[test, $1] = $2
	total[$1, $2]++
	if ($2 == "FAIL") failed++
	if (reason != "") {
		key = $2 " " test ": " reason
		if (!(key in where)) why[++whys] = key
		where[key] = where[key] (where[key] ? ", " : "") $1
	}
}

function line(name, kind,   i) {
	printf "%-*s", width, name
	for (i = 1; i <= columns; i++) {
		k = kernels[i]
		if (kind == "head") printf "  %8s", k
		else if (kind == "cell") printf "  %8s", (name, k) in cell ? cell[name, k] : "-"
		else printf "  %8d", total[k, kind]
	}
	print ""
}

END {
	if (width < 7) width = 7
	line("", "head")
	for (r = 1; r <= rows; r++) line(tests[r], "cell")
	line("passed", "pass")
	line("failed", "FAIL")
	line("skipped", "skip")
	print ""
	for (i = 1; i <= columns; i++) {
		k = kernels[i]
		print k ": " (k in release ? release[k] : "did not boot")
	}
	for (i = 1; i <= whys; i++) print why[i] " (" where[why[i]] ")"
	printf "%s", notes
	for (sum in binaries) {
		print "memblame sha256 " sum " on " binaries[sum]
		sums++
	}
	if (sums > 1) print "FAIL the kernels did not all run the same memblame"
	if (booted < least) print "FAIL " booted + 0 " kernels booted, fewer than " least
	exit failed || sums != 1 || booted < least
}
