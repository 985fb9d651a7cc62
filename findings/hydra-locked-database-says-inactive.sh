#!/usr/bin/env bash
# Ory Hydra 2.3.0: while its database cannot be read, a live token is "not active" and
# a right secret is "invalid_client".
#
# With its database in an SQLite file that another process holds locked (a backup does
# for a moment), Hydra hides the error in the answers that RFC 7662 and RFC 6749 have
# for what is wrong with a token or a client: introspection of a live token is 200
# {"active":false}, and the token endpoint says 401 invalid_client to the right secret.
# Neither is 5xx, so who asks cannot tell an outage from a revocation; its readiness
# says ok all the while. When the lock is gone, the same token is active again.
#
# Output seen:
#   before: 200 active: True
#   locked: 200 active: False
#   locked: token endpoint 401 invalid_client
#   locked: ready 200
#   after: 200 active: True
#
# Needs Go, a C compiler and Python 3. The build takes minutes.
set -euo pipefail
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
mkdir "$dir/build"
(
	cd "$dir/build"
	go mod init hydra
	go mod edit -replace github.com/gobuffalo/pop/v6=github.com/ory/pop/v6@v6.2.1-0.20241121111754-e5dfc0f3344b
	go get -tool github.com/ory/hydra/v2@v2.3.0
	go build -tags sqlite -o "$dir/hydra" github.com/ory/hydra/v2
) >"$dir/log" 2>&1 || { tail "$dir/log"; exit 1; }
ports=$(python3 -c '
import socket
both = [socket.socket() for _ in range(2)]
for one in both: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in both))')
public=${ports% *} admin=${ports#* }
cat >"$dir/hydra.yml" <<YAML
dsn: sqlite://$dir/hydra.sqlite?_fk=true&mode=rwc&_busy_timeout=1000
secrets: {system: [only-for-this-script-only]}
serve: {public: {host: 127.0.0.1, port: $public}, admin: {host: 127.0.0.1, port: $admin}}
urls: {self: {issuer: "http://127.0.0.1:$public"}, login: "http://127.0.0.1:9/login", consent: "http://127.0.0.1:9/consent"}
oauth2: {hashers: {algorithm: bcrypt, bcrypt: {cost: 4}}}
sqa: {opt_out: true}
log: {level: warn}
YAML
"$dir/hydra" migrate sql --read-from-env --yes --config "$dir/hydra.yml" >"$dir/log" 2>&1
"$dir/hydra" serve all --dev --sqa-opt-out --config "$dir/hydra.yml" >"$dir/log" 2>&1 &
server=$!
cat >"$dir/ask.py" <<'PY'
import base64, json, sqlite3, sys, time, urllib.error, urllib.parse, urllib.request

public, admin, database = "http://127.0.0.1:" + sys.argv[1], "http://127.0.0.1:" + sys.argv[2], sys.argv[3]


def ask(url, form=None, body=None, kind="application/x-www-form-urlencoded"):
    request = urllib.request.Request(url, (urllib.parse.urlencode(form) if form else body or "").encode() or None)
    request.add_header("Content-Type", kind)
    request.add_header("Authorization", "Basic " + base64.b64encode(b"app:secret").decode())
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, json.loads(answer.read())


def introspect(when):
    status, said = ask(admin + "/admin/oauth2/introspect", {"token": token})
    print(when + ":", status, "active:", said["active"])


for _ in range(240):
    try:
        ask(public + "/health/ready")
        break
    except OSError:
        time.sleep(0.25)
ask(admin + "/admin/clients", body=json.dumps({
    "client_id": "app", "client_secret": "secret", "grant_types": ["client_credentials"],
    "token_endpoint_auth_method": "client_secret_basic"}), kind="application/json")
token = ask(public + "/oauth2/token", {"grant_type": "client_credentials"})[1]["access_token"]
introspect("before")
lock = sqlite3.connect(database, isolation_level=None)
lock.execute("BEGIN EXCLUSIVE")
introspect("locked")
status, said = ask(public + "/oauth2/token", {"grant_type": "client_credentials"})
print("locked: token endpoint", status, said["error"])
print("locked: ready", ask(public + "/health/ready")[0])
lock.execute("ROLLBACK")
introspect("after")
PY
python3 "$dir/ask.py" "$public" "$admin" "$dir/hydra.sqlite" >"$dir/seen" || { cat "$dir/seen"; tail "$dir/log"; exit 1; }
cat "$dir/seen"
diff - "$dir/seen" <<'SEEN' || { echo "changed: this is not what was seen before"; exit 1; }
before: 200 active: True
locked: 200 active: False
locked: token endpoint 401 invalid_client
locked: ready 200
after: 200 active: True
SEEN
echo "as before"
