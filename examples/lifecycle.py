#!/usr/bin/env python3
"""The life of an OAuth token, against the demo ("make demo").

Needs requests: pip install requests, or apt install python3-requests.
"""
import time

import requests

SERVER = "http://127.0.0.1:8080"
CLIENT = {"client_id": "demo", "client_secret": "demo-secret"}


def call(token):
    answer = requests.get(f"{SERVER}/api/resource", headers={"Authorization": f"Bearer {token}"})
    print("GET /api/resource:", answer.status_code, answer.headers.get("WWW-Authenticate") or answer.text.strip())
    return answer.status_code


# 1. Prove who we are, and get a token pair.
tokens = requests.post(f"{SERVER}/auth", data=CLIENT).json()

# 2. Call the API with the access token.
assert call(tokens["access_token"]) == 200

# 3. Let the access token run out. The API refuses it.
print(f"waiting {tokens['expires_in']} seconds ...")
time.sleep(tokens["expires_in"] + 1)
assert call(tokens["access_token"]) == 401

# 4. Exchange the refresh token for a new pair, and call again.
renewal = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **CLIENT}
tokens = requests.post(f"{SERVER}/refresh", data=renewal).json()
assert call(tokens["access_token"]) == 200
