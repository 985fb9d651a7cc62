#!/bin/sh
# Calls an API, lets the token run out, and goes on when it gets 401: curl alone.
# lasting.sh <token endpoint> <id> <secret> <API> <until> <more of the form…>
set -eu
token_endpoint=$1 id=$2 secret=$3 api=$4 until=$5
shift 5
fetch() {
	curl -sS --noproxy '*' -u "$id:$secret" -d grant_type=client_credentials "$@" "$token_endpoint" |
		sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p'
}
call() { curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' --oauth2-bearer "$token" "$api"; }

token=$(fetch "$@")
first=$(call)
curl -sS --noproxy '*' "$until" >/dev/null
second=$(call) tokens=1
if [ "$second" = 401 ]; then
	token=$(fetch "$@")
	second=$(call) tokens=2
fi
printf '{"statuses":[%s,%s,%s],"tokens":%s}' "$first" "$second" "$(call)" "$tokens"
