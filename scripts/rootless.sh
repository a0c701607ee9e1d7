#!/bin/bash
# Runs `go test` with the tests as an ordinary user: one that is made for this
# run, with subordinate ids, and deleted after it. Root builds the tests.
#
#   scripts/rootless.sh [flags and packages of go test]
#   scripts/rootless.sh ./internal/rootfs/... -run Overlay -v
#
# The user sees a copy of the source tree, for the tree itself may be where only
# root can read.
set -euo pipefail

self=$(realpath "$0")
source=$(dirname "$(dirname "$self")")

# go test -exec calls this script with a test's binary and flags, in the
# directory of its package.
if [[ ${1-} == --exec ]]; then
	binary=$(mktemp "$KILN_ROOTLESS_HOME/XXXXXX.test")
	cp "$2" "$binary" # go keeps it where only root can read
	chmod 755 "$binary"
	cd "$KILN_ROOTLESS_HOME/source/${PWD#"$source"}"
	status=0
	setpriv --reuid "$KILN_ROOTLESS_USER" --regid "$KILN_ROOTLESS_USER" --init-groups --inh-caps=-all \
		env -i HOME="$KILN_ROOTLESS_HOME" USER="$KILN_ROOTLESS_USER" PATH="$PATH" LANG=C.UTF-8 \
		KILN_TEST_CACHE="$KILN_TEST_CACHE" KILN_TEST_STRICT="${KILN_TEST_STRICT-}" \
		KILN_TEST_BINARY="$KILN_TEST_BINARY" KILN_JOBS="${KILN_JOBS-}" \
		"$binary" "${@:3}" || status=$?
	rm -f "$binary"
	exit "$status"
fi

if [[ $(id -u) -ne 0 ]]; then
	exec env CGO_ENABLED=0 go test "${@:-./...}" # already ordinary
fi

user=kiln-$$
home=$(mktemp -d /tmp/kiln-rootless.XXXXXX)
# The processes of the user, by its own and its subordinate ids.
processes() {
	local own first count
	own=$(id -u "$user")
	IFS=: read -r _ first count < <(grep "^$user:" /etc/subuid)
	ps -eo uid=,pid=,args= | awk -v o="$own" -v f="$first" -v n="$count" '$1 == o || ($1 >= f && $1 < f + n)'
}
cleanup() {
	left=$(processes)
	if [[ -n $left ]]; then
		printf 'the tests left these running:\n%s\n' "$left" >&2
		awk '{ print $2 }' <<<"$left" | xargs kill -KILL
		status=1
	fi
	userdel "$user"
	rm -rf --one-file-system "$home"
	exit "$status"
}
status=1
trap cleanup EXIT

useradd --home-dir "$home" --no-create-home --shell /bin/sh "$user"
if ! grep -q "^$user:" /etc/subuid || ! grep -q "^$user:" /etc/subgid; then
	echo "useradd gave $user no subordinate ids: see SUB_UID_COUNT in /etc/login.defs" >&2
	exit 1
fi

# The base image is made by root, once, and read by everyone.
archive=$("$source/scripts/debian-base.sh")
export KILN_TEST_CACHE=${archive%/*}

# So is kiln itself: the user has no compiler's cache.
export KILN_TEST_BINARY=$home/kiln
(cd "$source" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$KILN_TEST_BINARY" ./cmd/kiln)

mkdir "$home/source"
# tar's status 1 says that a file changed meanwhile, as they do while one works.
{ tar -C "$source" --exclude=./.git --exclude=./dist -c . || [[ $? -eq 1 ]]; } | tar -C "$home/source" -x
chown -R "$user:$user" "$home"
chmod 755 "$home"

status=0
KILN_ROOTLESS_USER=$user KILN_ROOTLESS_HOME=$home CGO_ENABLED=0 \
	go test -count=1 -exec "$self --exec" "${@:-./...}" || status=$?
