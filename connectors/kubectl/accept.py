"""What representations a client may ask for: those that hoop reads, so that no object passes it unread.

Objects come as JSON: whole, as a Table or as metadata alone. Protobuf and CBOR are left out of ``Accept``; compression
is not asked for. The schemas of OpenAPI hold no objects and are left as they are.
"""

from __future__ import annotations

from connectors.http.message import Headers
from connectors.kubectl.request_info import RequestInfo

_JSON = "application/json"
_ANYTHING = frozenset({"*/*", "application/*"})
#: Subresources whose answer is bytes of a container or of another server.
_BYTES = frozenset({"log", "proxy", "exec", "attach", "portforward"})
_PARAMETERS = frozenset({"as", "g", "v", "q", "stream", "pretty", "charset", "profile"})
_MOST = 20


def narrowed(info: RequestInfo, headers: Headers) -> Headers:
    """The fields of a request whose answer hoop can read."""
    if info.path.startswith("/openapi/"):
        return headers
    headers = headers.without("accept-encoding").with_("Accept-Encoding", "identity")
    if info.subresource in _BYTES or not (info.is_resource or info.path.startswith(("/api", "/apis"))):
        return headers
    return headers.with_("Accept", accept(",".join(headers.all("accept"))))


def accept(value: str) -> str:
    """An ``Accept`` with only its forms of JSON, in order; plain JSON where none is left."""
    kept = [choice for choice in map(_json_form, value.split(",")[:_MOST]) if choice]
    return ",".join(dict.fromkeys(kept)) or _JSON


def is_json(content_type: str | None) -> bool:
    """Whether an answer of this ``Content-Type`` is JSON, so that its objects can be masked."""
    essence, _, parameters = (content_type or "").lower().partition(";")
    return essence.strip() == _JSON and "charset" not in parameters.replace("charset=utf-8", "")


def _json_form(choice: str) -> str:
    essence, *parameters = (part.strip() for part in choice.split(";"))
    if essence.lower() in _ANYTHING:
        return _JSON
    if essence.lower() != _JSON:
        return ""
    known = [parameter for parameter in parameters if parameter.partition("=")[0].strip().lower() in _PARAMETERS]
    return ";".join([_JSON, *known])
