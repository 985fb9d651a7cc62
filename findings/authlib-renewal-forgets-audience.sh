#!/usr/bin/env bash
# Authlib 1.9.10 (Python): a session of client_credentials fetched with `audience`
# and `resource` renews itself without them.
#
# OAuth2Session remembers the scope, the endpoint and the grant type that it was made
# with, and nothing that fetch_token was given. When the token runs out, the next
# request gets another one by itself, and asks for it without audience and resource:
# from a server that goes by them the second token is for another API, or refused, an
# hour after all was well.
#
# Output seen:
#   1: audience=api://orders grant_type=client_credentials resource=https://orders.example.com scope=orders:read
#   2: grant_type=client_credentials scope=orders:read
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q install Authlib==1.9.10 requests==2.34.2 joserfc==1.8.0 cryptography==50.0.2
AUTHLIB_INSECURE_TRANSPORT=1 "$dir/venv/bin/python" - >"$dir/seen" <<'PY'
import http.server, json, threading, urllib.parse
from authlib.integrations.requests_client import OAuth2Session

asked = []

class Server(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        self.answer({})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked.append(sorted(urllib.parse.parse_qsl(body)))
        # The first one is at its end already, within the leeway of a minute.
        self.answer({"access_token": "token", "token_type": "Bearer", "expires_in": 30 if len(asked) == 1 else 3600})

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = "http://127.0.0.1:%d" % server.server_port
session = OAuth2Session("orders", "a secret", scope="orders:read", token_endpoint=here + "/token", grant_type="client_credentials")
session.fetch_token(audience="api://orders", resource="https://orders.example.com")
session.get(here + "/orders")
for number, form in enumerate(asked, 1):
    print("%d: %s" % (number, " ".join("=".join(pair) for pair in form)))
PY
cat "$dir/seen"
diff - "$dir/seen" <<'SEEN' || { echo "changed: this is not what was seen before"; exit 1; }
1: audience=api://orders grant_type=client_credentials resource=https://orders.example.com scope=orders:read
2: grant_type=client_credentials scope=orders:read
SEEN
echo "as before"
