#!/bin/bash
# Starts a Docker daemon of its own in a directory, to compare kiln's images with
# Docker's, and stops it without leaving anything behind.
#
#   scripts/dockerd.sh start DIR
#   DOCKER_HOST=unix://DIR/docker.sock DOCKER_BUILDKIT=1 /usr/bin/docker build --network host .
#   scripts/dockerd.sh stop DIR
#
# It needs root and the package docker.io. It touches neither the firewall nor
# another daemon's data; containers have the host's network or none.
set -euo pipefail

usage() {
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
	exit 2
}
[[ $# -eq 2 ]] || usage
mkdir -p "$2"
dir=$(realpath "$2")
export DOCKER_HOST=unix://$dir/docker.sock

start() {
	if [[ -e $dir/dockerd.pid ]]; then
		echo "there is a daemon in $dir already: stop it first" >&2
		exit 1
	fi
	dockerd --iptables=false --ip6tables=false --bridge=none --host "$DOCKER_HOST" \
		--data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" \
		</dev/null >"$dir/dockerd.log" 2>&1 &
	for _ in {1..300}; do
		/usr/bin/docker version >/dev/null 2>&1 && return
		kill -0 $! 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$dir/dockerd.log" >&2
	stop
	exit 1
}

# A daemon that is told to stop ends its containers and its containerd, too.
stop() {
	if [[ -e $dir/dockerd.pid ]]; then
		pid=$(<"$dir/dockerd.pid")
		kill "$pid" 2>/dev/null || true
		while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
	fi
	# What it mounted, the deepest first; it mounts its data over itself.
	awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r point; do umount "$point"; done
	rm -rf --one-file-system "$dir"/{data,exec,docker.sock,dockerd.pid,dockerd.log}
	rmdir "$dir" 2>/dev/null || true # unless it holds something else
}

case $1 in
start) start ;;
stop) stop ;;
*) usage ;;
esac
