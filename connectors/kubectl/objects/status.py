"""What an API server says of a change that it refuses, without what it repeats of the object.

A patch that does not fit is answered with the whole object as text, an update of a pod with the difference. What an
admission policy or webhook says, in a refusal or a warning, may be of the old object too.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.kubectl.objects.sentinel import REDACTED

_INVALID = 422
_BETWEEN = " is invalid: "
_ADMISSION = re.compile(r"(?:admission webhook \S+|\w+AdmissionPolicy \S+ with binding \S+) denied (?:the )?request")
_WITHHELD = "hoop withholds values that it repeats"
#: Warnings of the API server's own: of fields that the client sent, and of versions that end.
_OWN_WARNING = re.compile(
    r'299 - "(?:(?:unknown|duplicate) field \\"[^\\"]*\\"|[\w./]+ [\w]+ is deprecated in v1\.\d+\+(?:[,;] [\w./+ ]+)*)"'
)


def withheld_warning(warning: str) -> bool:
    """Whether a ``Warning`` of an answer to a change may repeat something of the object."""
    return _OWN_WARNING.fullmatch(warning.strip()) is None


def withhold(status: dict[str, Any]) -> bool:
    """Leave of a refusal the object's name, and the fields and the kinds of errors. Says whether it was such a one."""
    if status.get("kind") != "Status":
        return False
    admission = _ADMISSION.search(str(status.get("message", "")))
    if admission is None and status.get("reason") != "Invalid" and status.get("code") != _INVALID:
        return False
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    told = []
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, dict):
            told.append(f"{cause.get('field', '')} ({cause.get('reason', '')})")
            cause["message"] = REDACTED
    if admission is not None:
        status["message"] = f"{admission.string[: admission.end()]}; {_WITHHELD}"
        return True
    name, found, _ = str(status.get("message", "")).partition(_BETWEEN)
    why = ", ".join(told) or "the API server does not say which field"
    status["message"] = f"{name if found else 'the object'}{_BETWEEN}{why}; {_WITHHELD}"
    return True
