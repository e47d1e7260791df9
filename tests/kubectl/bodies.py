"""Bodies and request heads for the tests of what requests mean."""

from __future__ import annotations

import json
from typing import Any

from connectors.http.message import Headers
from connectors.kubectl.body import Body, read_body
from connectors.kubectl.request_info import RequestInfo, request_info

NOTHING = Headers()
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def body(document: Any, content_type: str = "application/json") -> Body:
    return read_body(content_type, json.dumps(document).encode())


def asked(line: str) -> RequestInfo:
    """``GET /api/v1/pods``; what does not begin with a slash is in the namespace prod of the core group."""
    method, target = line.split(" ")
    return request_info(method, target if target.startswith("/") else f"/api/v1/namespaces/prod/{target}")
