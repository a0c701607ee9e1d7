#!/bin/bash
# Runs the Go benchmarks and prints their results as a table.
#
#   scripts/bench.sh [packages, by default all]
set -euo pipefail
cd "$(dirname "$0")/.."

raw=$(mktemp)
trap 'rm -f "$raw"' EXIT
go test -run '^$' -bench . -benchmem "${@:-./...}" >"$raw" || {
	cat "$raw"
	exit 1
}

# A line is: BenchmarkName-2  times  value unit  value unit ...
awk '
	function duration(ns) {
		if (ns >= 1e9) return sprintf("%.2f s", ns / 1e9)
		if (ns >= 1e6) return sprintf("%.2f ms", ns / 1e6)
		if (ns >= 1e3) return sprintf("%.2f µs", ns / 1e3)
		return sprintf("%.1f ns", ns)
	}
	/^pkg:/ { package = $2; sub(/.*\/internal\//, "", package) }
	/^Benchmark/ {
		time = rate = bytes = allocs = more = ""
		for (i = 3; i < NF; i += 2) {
			if ($(i+1) == "ns/op") time = duration($i)
			else if ($(i+1) == "MB/s") rate = $i " MB/s"
			else if ($(i+1) == "B/op") bytes = sprintf("%.1f KiB", $i / 1024)
			else if ($(i+1) == "allocs/op") allocs = $i
			else more = more $i " " $(i+1) " "
		}
		sub(/^Benchmark/, "", $1)
		if (!n++) print "package|benchmark|time|throughput|memory|allocations|more"
		print package "|" $1 "|" time "|" rate "|" bytes "|" allocs "|" more
	}
' "$raw" | column -t -s '|' -o ' | '
