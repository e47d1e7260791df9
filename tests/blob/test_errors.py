from __future__ import annotations

import json
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from connectors.blob.errors import StorageError, not_authentic, not_permitted, storage_error
from hoopcli.errors import DeniedError


def test_an_error_as_the_service_writes_it() -> None:
    headers, body = storage_error(403, "AuthorizationFailure", "hoop: no <secrets> & such", request_id="1")
    assert dict(headers) == {
        "Content-Type": "application/xml",
        "Content-Length": str(len(body)),
        "x-ms-error-code": "AuthorizationFailure",
        "x-ms-version": "2024-11-04",
        "x-ms-request-id": "1",
    }
    assert body.startswith(
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthorizationFailure</Code>'
    )
    assert ET.fromstring(body).findtext("Message") == "hoop: no <secrets> & such\nRequestId:1"


def test_an_error_of_the_data_lake() -> None:
    headers, body = storage_error(404, "PathNotFound", "there is no such path", api="dfs")
    assert headers.get("content-type") == "application/json;charset=utf-8"
    assert json.loads(body) == {"error": {"code": "PathNotFound", "message": "there is no such path"}}


def test_who_is_not_known_is_asked_who_he_is() -> None:
    assert storage_error(401, "NoAuthenticationInformation", "")[0].get("www-authenticate") == "Bearer"
    assert "www-authenticate" not in storage_error(403, "x", "")[0]


def test_refusals() -> None:
    assert isinstance(not_authentic("x"), StorageError | DeniedError)
    assert (not_authentic("x").status, not_authentic("x").code) == (403, "AuthenticationFailed")
    assert not_permitted("x").code == "AuthorizationPermissionMismatch"


@given(st.text())
def test_any_message_is_well_formed(message: str) -> None:
    _, body = storage_error(403, "x", message)
    ET.fromstring(body)
    json.loads(storage_error(403, "x", message, api="dfs")[1])
