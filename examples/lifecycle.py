#!/usr/bin/env python3
"""The life of a token that comes through the gateway, against the demo ("make demo").

Needs requests: pip install requests, or apt install python3-requests.
"""
import sys
import time

import requests

SERVER = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
CLIENT = {"client_id": "demo", "client_secret": "demo-secret"}
LIFETIME = 15  # seconds, of the authorization server's access tokens in the demo


def post(path, **data):
    answer = requests.post(SERVER + path, data={**CLIENT, **data})
    answer.raise_for_status()
    print(f"POST {path}:", answer.status_code)
    return answer.json() if answer.content else None


def call(token):
    answer = requests.get(f"{SERVER}/api/resource", headers={"Authorization": f"Bearer {token}"})
    print("GET /api/resource:", answer.status_code, answer.headers.get("WWW-Authenticate") or answer.text.strip())
    return answer.status_code


def wait():
    print(f"waiting {LIFETIME + 1} seconds ...")
    time.sleep(LIFETIME + 1)


# 1. Prove who we are, and get a token pair.
tokens = post("/auth")

# 2. Call the API with the access token.
assert call(tokens["access_token"]) == 200

# 3. A client that never refreshes. The authorization server's access token runs
#    out behind the gateway's, the gateway refreshes it, and the API answers.
wait()
assert call(tokens["access_token"]) == 200

# 4. A client that refreshes, as OAuth has it: it exchanges the refresh token.
#    The new pair serves as the first one did.
wait()
tokens = post("/refresh", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
assert call(tokens["access_token"]) == 200

# 5. Without the gateway's tokens: one straight from the authorization server is
#    refused when it has run out.
direct = post("/issuer/token", grant_type="client_credentials")
assert call(direct["access_token"]) == 200
wait()
assert call(direct["access_token"]) == 401

# 6. Give the tokens back. They are refused from then on.
post("/revoke", token=tokens["refresh_token"])
assert call(tokens["access_token"]) == 401
