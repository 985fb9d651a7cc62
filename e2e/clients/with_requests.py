"""Gets a token with client credentials and calls an API, as anybody would."""

import json
import sys

import requests

token_url, client_id, secret, resource, api = sys.argv[1:]

bare = requests.get(api, timeout=20)

grant = requests.post(
    token_url,
    auth=(client_id, secret),
    data={"grant_type": "client_credentials", "resource": resource, "scope": "orders:read"},
    timeout=20,
)
grant.raise_for_status()

answer = requests.get(
    api,
    headers={"Authorization": "Bearer " + grant.json()["access_token"]},
    timeout=20,
)

json.dump(
    {
        "bare": bare.status_code,
        "challenge": bare.headers.get("WWW-Authenticate"),
        "status": answer.status_code,
        "seen": answer.json(),
    },
    sys.stdout,
)
