#!/bin/bash
# Shows kiln at work, all of it on this machine: a real Debian base image in a
# real registry, a multi-stage build, and the result pulled and run by others'
# tools. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d /tmp/kiln-demo.XXXXXX)
registry_pid=

# What needs many user ids runs as it is for root, and in a user namespace for
# others.
many_ids=()
if [[ $(id -u) -ne 0 ]]; then
	many_ids=(unshare --user --map-root-user --map-auto)
fi

cleanup() {
	if [[ -n $registry_pid ]]; then
		kill "$registry_pid"
		wait "$registry_pid" || true
	fi
	"${many_ids[@]}" rm -rf --one-file-system "$work"
}
trap cleanup EXIT

bold='' dim='' plain=''
if [[ -t 1 ]]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
run() {
	printf '%s$ %s%s\n' "$dim" "$*" "$plain"
	"$@"
}

say "A registry on a free port of the loopback interface"
cat >"$work/registry.yml" <<YAML
version: 0.1
log: {formatter: text}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:0"}
YAML
docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
registry_pid=$!
registry=
while [[ -z $registry ]]; do
	if ! kill -0 "$registry_pid"; then
		cat "$work/registry.log" >&2
		exit 1
	fi
	sleep 0.1
	registry=$(sed -n 's/.*listening on \(127[0-9.]*:[0-9]*\).*/\1/p' "$work/registry.log")
done
echo "docker-registry listens on $registry"

say "A base image: this machine's Debian, as small as it gets with apt"
archive=$(scripts/debian-base.sh)
umoci init --layout "$work/base"
umoci new --image "$work/base:debian"
umoci raw add-layer --image "$work/base:debian" <(gzip -dc "$archive")
umoci config --image "$work/base:debian" \
	--config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
run skopeo copy --quiet --dest-tls-verify=false "oci:$work/base:debian" "docker://$registry/debian:base"

say "kiln builds examples/hello and pushes it"
run dist/kiln build --root "$work/kiln" --insecure-registry "$registry" \
	--build-arg "BASE=$registry/debian:base" -t "$registry/hello:1" --push examples/hello

say "Once more: every step is in the cache"
run dist/kiln build --root "$work/kiln" --insecure-registry "$registry" \
	--build-arg "BASE=$registry/debian:base" -t "$registry/hello:2" --push examples/hello

say "skopeo pulls it, umoci unpacks it, runc runs it"
run skopeo copy --quiet --src-tls-verify=false "docker://$registry/hello:1" "oci:$work/pulled:hello"
run "${many_ids[@]}" umoci unpack --image "$work/pulled:hello" "$work/bundle"
jq '.process.terminal = false' "$work/bundle/config.json" >"$work/config.json"
mv "$work/config.json" "$work/bundle/config.json"
run "${many_ids[@]}" runc --root "$work/runc" run --bundle "$work/bundle" kiln-demo

if grep -F "$work" /proc/mounts; then
	echo "these are still mounted" >&2
	exit 1
fi
say "Done"
