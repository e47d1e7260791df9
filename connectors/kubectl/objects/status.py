"""What an API server says of a change that it refuses, without what it repeats of the object.

A patch that does not fit is answered with the whole object as text, an update of a pod with the difference.
"""

from __future__ import annotations

from typing import Any

from connectors.kubectl.objects.sentinel import REDACTED

_INVALID = 422
_BETWEEN = " is invalid: "


def withhold(status: dict[str, Any]) -> bool:
    """Leave of a refusal the object's name, and the fields and the kinds of errors. Says whether it was such a one."""
    if status.get("kind") != "Status" or (status.get("reason") != "Invalid" and status.get("code") != _INVALID):
        return False
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    told = []
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, dict):
            told.append(f"{cause.get('field', '')} ({cause.get('reason', '')})")
            cause["message"] = REDACTED
    name, found, _ = str(status.get("message", "")).partition(_BETWEEN)
    why = ", ".join(told) or "the API server does not say which field"
    status["message"] = f"{name if found else 'the object'}{_BETWEEN}{why}; hoop withholds values that it repeats"
    return True
