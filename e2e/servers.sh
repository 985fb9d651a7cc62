#!/bin/sh
# Builds the authorization servers that the tests run as real programs, each once,
# into a cache that E2E_SERVERS may name. A second run finds them there and costs
# nothing. What cannot be had on a machine is left out with its tests, and a line
# says so; in CI those tests fail.
set -eu
cd "$(dirname "$0")/issuers"

servers=${E2E_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/caddyoauth-e2e}
mkdir -p "$servers"

# server <name> <what it is> <directory> <command…>: the command makes $new from
# what is in the directory, unless it did so before.
server() {
	name=$1 title=$2 from=$3
	shift 3
	# The names of what git would have, but not what a build leaves there.
	sum=$(find "$from" -name target -prune -o -type f -print | LC_ALL=C sort | xargs cat | cksum)
	if [ -e "$servers/$name" ] && [ "$(cat "$servers/$name.is" 2>/dev/null)" = "$sum" ]; then
		return
	fi
	new=$servers/$name.new log=$servers/$name.log
	rm -rf "$new"
	echo "Building $title for the tests, once."
	began=$(date +%s)
	if "$@" >"$log" 2>&1; then
		rm -rf "${servers:?}/$name"
		mv "$new" "$servers/$name"
		echo "$sum" >"$servers/$name.is"
		echo "$title is built, after $(($(date +%s) - began)) s."
	else
		tail -n 5 "$log" >&2
		echo "$title cannot be had here ($log), so its tests are left out." >&2
	fi
}

hydra() { ${GO:-go} build -C hydra -tags sqlite -o "$new" github.com/ory/hydra/v2; }
dex() { CGO_ENABLED=0 ${GO:-go} build -C dex -o "$new" github.com/dexidp/dex/cmd/dex; }

# Maven brings a Java with it, where there is none.
have_maven() {
	command -v mvn >/dev/null 2>&1 && return
	[ "$(id -u)" = 0 ] && apt-get install -y -qq --no-install-recommends maven default-jdk-headless
}

# The jar is made outside of the source: two runs may build at a time.
spring() {
	have_maven && mvn -B -q -f spring/pom.xml -DskipTests -DbuildDirectory="$new.target" package &&
		mv "$new.target/issuer.jar" "$new" && rm -rf "$new.target"
}

# Maven waits for what it fetches, Go for the processor.
server spring.jar "Spring Authorization Server" spring spring &
server dex Dex dex dex
server hydra "Ory Hydra" hydra hydra
wait
