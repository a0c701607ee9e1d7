#!/bin/bash
# As scripts/conformance.sh, for the engine inplace: each case is built in a new
# container with Docker's default seccomp profile and capabilities, whose own root
# kiln changes. It starts a Docker daemon for itself, and needs root and Debian's
# docker.io.
#
#   scripts/conformance-inplace.sh [THEME[/CASE[/ENGINE]]]
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d /var/tmp/conformance.XXXXXX)
chmod 755 "$work"
docker=(/usr/bin/docker --host "unix://$work/docker.sock")
dockerd --iptables=false --ip6tables=false --bridge=none --host "unix://$work/docker.sock" \
	--data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" >"$work/log" 2>&1 &
daemon=$!
cleanup() {
	kill "$daemon"
	wait "$daemon" || true # it says that a signal ended it
	umount "$work"/exec/netns/* || true # none if no container ran
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
for ((i = 0; ; i++)); do
	"${docker[@]}" version >/dev/null 2>&1 && break
	((i < 100)) || { cat "$work/log" >&2; exit 1; }
	sleep 0.2
done

mkdir "$work/image" "$work/tmp"
chmod 1777 "$work/tmp"
cp dist/kiln "$work/image/kiln"
printf 'FROM scratch\nCOPY kiln /kaniko/kiln\nENTRYPOINT ["/kaniko/kiln"]\n' >"$work/image/Dockerfile"
"${docker[@]}" build --quiet --tag kiln "$work/image" >/dev/null

# The files of the cases are at the same place in the containers.
cat >"$work/kiln" <<-EOF
	#!/bin/sh
	exec ${docker[*]} run --rm --interactive --network host --env fromenv --volume $work/tmp:$work/tmp kiln "\$@"
EOF
chmod 755 "$work/kiln"
cd internal/conformance
TMPDIR=$work/tmp KILN=$work/kiln KILN_ENGINES=inplace \
	go test -count=1 -timeout=60m -run "TestConformance/${1-}" -conformance
