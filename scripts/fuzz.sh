#!/bin/bash
# Runs every fuzz test of the source tree for a while.
#
#   scripts/fuzz.sh [time for each, by default 10s]
set -euo pipefail

time=${1:-10s}
cd "$(dirname "$0")/.."

grep -rHoE '^func Fuzz[A-Za-z0-9_]*' --include='*_test.go' cmd internal | sort |
	while IFS=: read -r file function; do
		name=${function#func }
		package=./$(dirname "$file")
		echo "--- $package $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package" </dev/null
	done
