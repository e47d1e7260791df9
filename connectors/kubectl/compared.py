"""Refusal of patches that would tell what a mask hides: by a ``test`` that fails or not, or by a copy beside the mask.

Which values a mask hides is decided where they are delivered, with all that detectors know. So where a mask is about
the object at all, only what no mask is about may be compared or copied.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.kubectl.body import Body, Form
from connectors.kubectl.patches import Operation, operations
from hoopcli.errors import DeniedError
from hoopcli.model.decision import Mask

_LIVE = frozenset({"test", "copy", "move"})
#: What identifies an object and its version, and numbers that no mask is about.
_OPEN = frozenset(
    {
        ("apiVersion",),
        ("kind",),
        ("metadata", "generation"),
        ("metadata", "name"),
        ("metadata", "namespace"),
        ("metadata", "resourceVersion"),
        ("metadata", "uid"),
        ("spec", "replicas"),
        ("status", "observedGeneration"),
    }
)


def check_compared(masks: Sequence[Mask], body: Body | None) -> None:
    """Raise DeniedError for a JSON patch that compares or copies what a mask of the object may hide."""
    if not masks or body is None or body.form is not Form.JSON_PATCH:
        return
    for each in operations(body):
        if each.op in _LIVE and _read(each) not in _OPEN:
            raise DeniedError(
                f"the patch has a {each.op} of /{'/'.join(_read(each))}, and the object is under masks",
                "leave the operation out, or test /metadata/resourceVersion",
            )


def _read(operation: Operation) -> tuple[str, ...]:
    """The live value that an operation looks at."""
    return operation.path if operation.op == "test" else operation.source
