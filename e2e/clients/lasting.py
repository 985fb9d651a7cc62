"""Calls an API, lets the token run out, and goes on: requests-oauthlib and Authlib.

lasting.py <library> <job as JSON>; the job's words are those of clients_lasting_test.go.
"""

import json
import os
import sys

import requests

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # everything is on this machine
library, job = sys.argv[1], json.loads(sys.argv[2])
kept = []
if job["relax"]:  # else it raises where less scope was granted than asked for
    os.environ["OAUTHLIB_RELAX_TOKEN_SCOPE"] = "1"


def keep(token, **_):
    kept.append(token["access_token"])


def with_requests_oauthlib():
    from oauthlib.oauth2 import BackendApplicationClient, TokenExpiredError
    from requests.auth import HTTPBasicAuth
    from requests_oauthlib import OAuth2Session

    if "given" in job:
        keep(job["given"])
        session = OAuth2Session(
            job["id"],
            token=job["given"],
            auto_refresh_url=job["token"],
            auto_refresh_kwargs={} if job["secret"] else {"client_id": job["id"]},
            token_updater=keep,
        )
        if job["secret"]:
            return lambda: session.get(job["api"], timeout=20, client_id=job["id"], client_secret=job["secret"])
        return lambda: session.get(job["api"], timeout=20)

    session = OAuth2Session(client=BackendApplicationClient(client_id=job["id"], scope=job["scope"].split()))

    def fetch():
        keep(session.fetch_token(
            job["token"], auth=HTTPBasicAuth(job["id"], job["secret"]), timeout=20, **job["more"]
        ))

    def call():
        try:
            return session.get(job["api"], timeout=20)
        except TokenExpiredError:  # it has no way to do this by itself
            fetch()
            return session.get(job["api"], timeout=20)

    fetch()
    return call


def with_authlib():
    from authlib.integrations.requests_client import OAuth2Session

    session = OAuth2Session(
        job["id"],
        job["secret"] or None,
        token_endpoint_auth_method="client_secret_basic" if job["secret"] else "none",
        scope=job["scope"],
    )
    if "given" in job:
        keep(job["given"])
        session.token, session.update_token = job["given"], keep
        session.metadata["token_endpoint"] = job["token"]
        return lambda: session.get(job["api"], timeout=20)

    def fetch():
        keep(session.fetch_token(job["token"], grant_type="client_credentials", scope=job["scope"], **job["more"]))

    # It renews by itself where it has a token_endpoint, but without audience.
    def call():
        if session.token.is_expired():
            fetch()
        return session.get(job["api"], timeout=20)

    fetch()
    return call


call = {"requests-oauthlib": with_requests_oauthlib, "authlib": with_authlib}[library]()
statuses = [call().status_code]
requests.get(job["until"], timeout=120).raise_for_status()
statuses += [call().status_code, call().status_code]
json.dump({"statuses": statuses, "tokens": len(set(kept))}, sys.stdout)
