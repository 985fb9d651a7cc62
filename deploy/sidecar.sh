#!/bin/sh
# Builds the binary of the container image: cmd/sidecar, without libraries of Caddy's
# that nothing in it can ask for. What stands in for those is in deploy/leftout, and
# says so when it is called.
#
#   deploy/sidecar.sh OUT [flags for go build]
set -eu
out=$(realpath -m "$1")
shift
cd "$(dirname "$0")/.."
GO=${GO:-go}
TAGS=${TAGS:-nobadger,nomysql,nopgx}

# The versions are those of go.mod. The paths stay relative: they get into the binary.
mods=$(mktemp -d)
trap 'rm -rf "$mods"' EXIT
cp go.mod go.sum "$mods/"
for module in deploy/leftout/*/; do
	name=$(sed -n 's/^module //p' "$module/go.mod")
	$GO mod edit -replace="$name=./${module%/}" "$mods/go.mod"
done
$GO build -modfile="$mods/go.mod" -mod=mod -tags "$TAGS" "$@" -o "$out" ./cmd/sidecar
