#!/bin/sh
# Gets Keycloak, once for a machine: its distribution through Maven, built for
# these tests, with an empty database in which only an administrator is. The
# tests copy that database, so that a server starts in seconds.
# What it needs and cannot get it says, and leaves Keycloak out.
set -eu

version=26.7.3
digest=27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f
cache=${E2E_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/caddyoauth-e2e}
there=$cache/keycloak-$version-ssf # with what it has for security events

leave_out() {
	echo "Keycloak is left out, and its tests with it: $1" >&2
	exit 0
}

[ -e "$there/ready" ] && exit 0

java=""
for candidate in "${JAVA_HOME:-/nowhere}/bin/java" /usr/lib/jvm/*/bin/java "$(command -v java || true)"; do
	if [ -x "$candidate" ]; then
		major=$("$candidate" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
		if [ "${major:-0}" -ge 21 ]; then
			java=$candidate
			break
		fi
	fi
done
[ -n "$java" ] || leave_out "it needs Java 21 or newer, as JAVA_HOME or in /usr/lib/jvm."
command -v mvn >/dev/null 2>&1 || leave_out "it comes through Maven (mvn), which is not here."

echo "Getting Keycloak $version, once; about a minute."
mkdir -p "$cache"
new=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 1' INT TERM
mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
	-Dartifact="org.keycloak:keycloak-quarkus-dist:$version:zip" -DoutputDirectory="$new" >"$new/log" 2>&1 ||
	leave_out "Maven cannot get it: $(tail -n 3 "$new/log")"
zip=$new/keycloak-quarkus-dist-$version.zip
echo "$digest  $zip" | sha256sum -c --quiet - || { echo "$zip is not what it was when it was written down." >&2; exit 1; }
/usr/bin/python3 -m zipfile -e "$zip" "$new"
rm "$zip"

home=$new/keycloak-$version
kc() {
	JAVA_HOME=$(dirname "$(dirname "$java")") E2E_PASSWORD=admin sh "$home/bin/kc.sh" "$@" >"$new/log" 2>&1 || { tail -n 20 "$new/log" >&2; exit 1; }
}
kc build --db=dev-file --features=ssf
kc bootstrap-admin user --optimized --username admin --password:env E2E_PASSWORD
ln -s "$java" "$home/java"
touch "$home/ready"
[ -e "$there/ready" ] || mv -T "$home" "$there"
