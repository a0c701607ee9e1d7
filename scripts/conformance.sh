#!/bin/bash
# Builds the cases of internal/conformance with dist/kiln in each engine and
# compares the images with the wanted ones. Root does it as an ordinary user too,
# one that is made for this run and deleted after it.
#
#   scripts/conformance.sh [THEME[/CASE[/ENGINE]]]
set -euo pipefail
cd "$(dirname "$0")/.."

export KILN=$PWD/dist/kiln
if [[ $(id -u) -eq 0 ]]; then
	export KILN_USER=kiln-conformance-$$
	trap 'userdel "$KILN_USER"' EXIT
	useradd --no-create-home "$KILN_USER"
fi
cd internal/conformance # go test of the directory it is in prints the table also when all is well
go test -count=1 -timeout=60m -run "TestConformance/${1-}" -conformance
