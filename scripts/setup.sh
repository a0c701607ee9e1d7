#!/bin/bash
# Installs what the tests and the demo use beside Go, from Debian's packages.
# Does nothing where all of it is there; otherwise it needs root.
set -euo pipefail

needed=(
	mmdebstrap      # makes real Debian base images
	docker-registry # is where the demo pushes to
	skopeo          # pulls what kiln pushed
	umoci           # unpacks it
	runc            # runs it
	busybox-static  # makes small base images
	uidmap          # many ids for ordinary users
	util-linux      # setpriv runs the tests as an ordinary user
	passwd          # useradd makes that user
	procps          # pgrep sees what it left running
	jq curl
)

missing=()
for package in "${needed[@]}"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[[ $status == installed ]] || missing+=("$package")
done
# Base images take their mirrors from the package lists of this machine.
lists=$(apt-get indextargets 'Created-By: Packages' 'Origin: Debian')
if [[ ${#missing[@]} -eq 0 && -n $lists ]]; then
	exit
fi

if [[ $(id -u) -ne 0 ]]; then
	echo "make setup needs root here, to install: ${missing[*]:-the package lists of apt}" >&2
	exit 1
fi
apt-get update -qq
if [[ ${#missing[@]} -eq 0 ]]; then
	exit
fi

# A registry that is installed for a test is not to start by itself.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
echo "installing: ${missing[*]}"
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
