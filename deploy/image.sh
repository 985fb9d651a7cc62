#!/bin/sh
# Builds the image with whichever of buildah, podman and docker is there. The
# same commit, Go and certificate authorities make the same image, bit for bit:
# no path, no time and no name of a machine gets into it.
#
# IMAGE      its name (caddy-oauth)
# ENGINE     buildah, podman or docker
# GOARCH     its architecture (this machine's)
# CA_BUNDLE  the certificate authorities (this machine's)
# VERSION    what "caddy version" says (from git)
# FULL       1: with all of Caddy's own modules, for a Caddyfile that is mounted
# REDIS      1: the same, with the store that many nodes share
set -eu
cd "$(dirname "$0")/.."

GO=${GO:-go}
IMAGE=${IMAGE:-caddy-oauth}
TAGS=${TAGS:-nobadger,nomysql,nopgx}
if [ "${REDIS:-}" = 1 ]; then FULL=1; else TAGS=$TAGS,noredis; fi
GOARCH=${GOARCH:-$($GO env GOARCH)}
VERSION=${VERSION:-$(git describe --tags --always 2>/dev/null || echo unknown)}

if [ -z "${ENGINE:-}" ]; then
	for ENGINE in buildah podman docker none; do
		command -v "$ENGINE" >/dev/null 2>&1 && break
	done
fi
if [ "$ENGINE" = none ]; then
	echo "An image needs buildah, podman or docker (on Debian: apt-get install buildah)." >&2
	exit 1
fi
if [ -z "${CA_BUNDLE:-}" ]; then
	for CA_BUNDLE in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem none; do
		[ -s "$CA_BUNDLE" ] && break
	done
fi
if [ "$CA_BUNDLE" = none ]; then
	echo "No certificate authorities are here; name a file of them with CA_BUNDLE." >&2
	exit 1
fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
echo "Building a static caddy for $GOARCH. The first time takes some minutes."
# -trimpath leaves the checkout's path out, -buildvcs=false what else lies in it.
export CGO_ENABLED=0 GOOS=linux GOARCH GO TAGS
set -- -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X github.com/caddyserver/caddy/v2.CustomVersion=$VERSION"
if [ "${FULL:-}" = 1 ]; then
	$GO build -tags "$TAGS" "$@" -o "$context/caddy" ./cmd/caddy
else
	deploy/sidecar.sh "$context/caddy" "$@"
fi
cp "$CA_BUNDLE" "$context/ca-certificates.crt"
mkdir "$context/data"
chmod 755 "$context/caddy"
chmod 644 "$context/ca-certificates.crt"
chmod 700 "$context/data"
find "$context" -exec touch -h -d @0 {} +

case $ENGINE in
buildah) # STORAGE_DRIVER and BUILDAH_ISOLATION are its own variables
	buildah bud --identity-label=false --arch "$GOARCH" --timestamp 0 --format oci --no-cache -q -t "$IMAGE" -f deploy/Dockerfile "$context" >/dev/null
	id=$(buildah inspect --type image --format '{{.FromImageDigest}}' "$IMAGE")
	;;
podman)
	podman build --arch "$GOARCH" --timestamp 0 --format oci --no-cache -q -t "$IMAGE" -f deploy/Dockerfile "$context" >/dev/null
	id=$(podman image inspect --format '{{.Digest}}' "$IMAGE")
	;;
docker)
	SOURCE_DATE_EPOCH=0 docker buildx build --platform "linux/$GOARCH" --provenance=false \
		--output type=docker,rewrite-timestamp=true -t "$IMAGE" -f deploy/Dockerfile "$context"
	id=$(docker image inspect --format '{{.Id}}' "$IMAGE")
	;;
*)
	echo "ENGINE is $ENGINE; it takes buildah, podman or docker" >&2
	exit 1
	;;
esac
echo "$IMAGE $id"
