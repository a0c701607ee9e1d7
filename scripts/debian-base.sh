#!/bin/bash
# Makes a small Debian root filesystem with apt, and prints the path of its
# archive (tar, gzip). It is made once and kept in $KILN_TEST_CACHE, by default
# /var/cache/kiln-test for root and ~/.cache/kiln-test for others.
#
# The release and the mirrors are those of this machine: whatever its apt can
# reach, the apt inside the image can reach too. Nothing is written down here.
set -euo pipefail

if [[ $(id -u) -eq 0 ]]; then
	cache=${KILN_TEST_CACHE:-/var/cache/kiln-test}
else
	cache=${KILN_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kiln-test}
fi
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
archive=$cache/debian-$suite-$(dpkg --print-architecture).tar.gz

if [[ -s $archive ]]; then
	echo "$archive"
	exit
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # several tests may ask at the same time
if [[ -s $archive ]]; then
	echo "$archive"
	exit
fi

work=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Only Debian's own archives: the keys of others would be missing in the image.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
apt-get indextargets --format "deb [signed-by=$keyring] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
	'Created-By: Packages' 'Origin: Debian' | sort -u >"$work/sources.list"
if [[ ! -s $work/sources.list ]]; then
	echo "no package lists of Debian on this machine: run apt-get update first" >&2
	exit 1
fi

# How this machine reaches its mirrors: proxies, and what it says of old lists.
apt-config dump --no-empty --format '%F "%v";%n' Acquire |
	grep -Ei '^Acquire::(https?::proxy|proxy|check-(date|valid-until))' >"$work/apt.conf" || true

include=()
if grep -q https: "$work/sources.list"; then
	include=(--include=ca-certificates)
fi

echo "making $archive with mmdebstrap" >&2
# Devices are left out, as in any image: ordinary users could not unpack them.
mmdebstrap --quiet --variant=minbase --skip=output/dev --aptopt="$work/apt.conf" "${include[@]}" \
	"$suite" "$work/root.tar.gz" "$work/sources.list" >&2
mv "$work/root.tar.gz" "$archive"
echo "$archive"
