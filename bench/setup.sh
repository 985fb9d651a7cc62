#!/bin/sh
# Installs what the benchmark sets beside the gateway. No service is started or
# enabled: the benchmark starts its own processes, on loopback, and stops them.
set -eu

packages="wrk haproxy apache2 libapache2-mod-oauth2"

missing=""
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
if [ -z "$missing" ]; then
	echo "bench: everything is installed"
	exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "bench: as root, install:$missing" >&2
	echo "bench:   apt-get install -y --no-install-recommends$missing" >&2
	exit 1
fi

# Debian starts a service when its package is installed, unless this file
# forbids it. One that is there already is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
elif "$policy" haproxy start >/dev/null 2>&1; then
	echo "bench: $policy allows services to start; install by hand:$missing" >&2
	exit 1
fi

apt-get update -qq
# shellcheck disable=SC2086 # one word for each package
DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends $missing

# Nor shall they start at the next boot, unless they were there before us.
if command -v systemctl >/dev/null; then
	for p in $missing; do
		case $p in
		haproxy) systemctl disable haproxy >/dev/null 2>&1 || true ;;
		apache2) systemctl disable apache2 apache-htcacheclean >/dev/null 2>&1 || true ;;
		esac
	done
fi
