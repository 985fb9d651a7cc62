#!/bin/sh
# Gets the clients that are not there with Go, npm and Debian's base: Python's two
# libraries, and a program with Spring Security's, which Maven builds once into a
# cache. What cannot be had is left out with its tests, and a line says so.
set -eu
cd "$(dirname "$0")"

python=""
/usr/bin/python3 -c 'import requests_oauthlib' >/dev/null 2>&1 || python="python3-requests-oauthlib"
/usr/bin/python3 -c 'import authlib' >/dev/null 2>&1 || python="$python python3-authlib"
if [ -n "$python" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		echo "Installing for the tests: $python"
		apt-get update -qq
		# shellcheck disable=SC2086 # a list of packages, one word each
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $python >/dev/null
	else
		echo "The tests of clients need these packages (Debian's names): $python" >&2
	fi
fi

cache=${E2E_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/caddyoauth-e2e}
jar=$cache/spring-client.jar
sum=$(cat spring/pom.xml spring/src/main/java/client/*.java | cksum)
[ -e "$jar" ] && [ "$(cat "$jar.is" 2>/dev/null)" = "$sum" ] && exit 0

leave_out() {
	echo "Spring Security's client is left out, and its tests with it: $1" >&2
	exit 0
}
command -v mvn >/dev/null 2>&1 || leave_out "it comes through Maven (mvn, with a JDK of 17 or newer), which is not here."
echo "Building Spring Security's client for the tests, once; less than a minute."
mkdir -p "$cache"
new=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' INT TERM
mvn -B -q -f spring/pom.xml -DskipTests -DbuildDirectory="$new/target" package >"$new/log" 2>&1 ||
	leave_out "Maven cannot build it: $(tail -n 3 "$new/log")"
mv "$new/target/client.jar" "$jar"
echo "$sum" >"$jar.is"
