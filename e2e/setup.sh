#!/bin/sh
# Gets what the tests need besides Go: a C compiler for the race detector, Node
# for the real authorization servers, curl and Python's requests as clients, nginx
# and HAProxy as proxies in front, Redis for shared sessions, Chromium to log in
# with, buildah for the container image; and Keycloak, Hydra, Dex and Spring.
# As root on Debian it installs what is missing; elsewhere it says what to install.
set -eu
cd "$(dirname "$0")"

missing=""
need() { # need <package> <test…>: notes the package when the test fails
	package=$1
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $package"
}
compiles() { echo '#include <stdlib.h>
int main(void) { return 0; }' | "${CC:-gcc}" -x c - -o /dev/null; }
need "gcc libc6-dev" compiles # first: without it nothing can be tested with -race
need curl command -v curl
need python3-requests /usr/bin/python3 -c 'import requests'
need python3-requests-oauthlib /usr/bin/python3 -c 'import requests_oauthlib'
need python3-authlib /usr/bin/python3 -c 'import authlib'
need nodejs command -v node
need npm command -v npm
need nginx-light sh -c 'command -v nginx || test -x /usr/sbin/nginx' # proxies that ask the gateway, and a cache before it
need haproxy sh -c 'command -v haproxy || test -x /usr/sbin/haproxy'
need redis-server command -v redis-server # also as Sentinel
need chromium command -v chromium

if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "Installing for the tests:$missing"
		# Debian starts a service with its package, unless this file forbids it.
		policy=/usr/sbin/policy-rc.d
		if [ ! -e "$policy" ]; then
			trap 'rm -f "$policy"' EXIT
			trap 'exit 1' INT TERM
			printf '#!/bin/sh\nexit 101\n' >"$policy"
			chmod +x "$policy"
		fi
		apt-get update -qq
		# shellcheck disable=SC2086 # a list of packages, one word each
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
	else
		echo "The tests need these packages (Debian's names); install them and try again:$missing" >&2
		exit 1
	fi
fi

# One test builds the container image and runs it; it is left out without these.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	if ! command -v buildah >/dev/null 2>&1 || ! command -v ip >/dev/null 2>&1; then
		echo "Installing for the test of the container image: buildah iproute2"
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah iproute2 >/dev/null; } ||
			echo "They cannot be installed here, so that test is left out." >&2
	fi
fi

./issuers/keycloak/setup.sh
./clients/setup.sh

version=$(node --version)
case $version in
v1[0-9].* | v[0-9].*)
	echo "The authorization servers of the tests need Node 20 or newer; here is $version." >&2
	exit 1
	;;
esac
npm ci --silent --no-audit --no-fund
./servers.sh
