"""A real OpenID provider in a process of its own, and the person who signs in at it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import httpx

from tests.support.ports import free_port
from tests.support.waiting import eventually


@contextmanager
def provider(*people: dict[str, Any]) -> Iterator[str]:
    """The issuer's address. Each of the people is their claims, ``sub`` among them."""
    port = free_port()
    users = [word for claims in people for word in ("--user-claims", json.dumps(claims))]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *users],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/.well-known/openid-configuration", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        eventually(answers)
        with urlopen(f"http://127.0.0.1:{port}/.well-known/openid-configuration", timeout=5) as answer:
            issuer = json.load(answer)["issuer"]
        yield str(issuer)
    finally:
        process.terminate()
        process.wait(10)


def sign_in_as(subject: str, address: str) -> httpx.Response:
    """What a person does at the provider's page, and the browser after that."""
    with httpx.Client(follow_redirects=False, timeout=20) as browser:
        there = browser.post(address, data={"sub": subject})
        assert there.status_code in {302, 303}, there.text
        return browser.get(there.headers["location"])
