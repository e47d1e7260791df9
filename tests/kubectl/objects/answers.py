"""Objects as an API server answers them, and a masker for them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from connectors.kubectl.objects import ObjectMasker
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask
from tests.kubectl.bodies import asked

PASSWORD = "correct horse battery"
ENCODED = base64.b64encode(PASSWORD.encode()).decode()
SHOWN = base64.b64encode(b"[hoop:redacted]").decode()
CARD = "4111111111111111"
#: A mask of what detectors find.
FOUND = Mask("found", detectors=("credit_card", "email", "jwt", "private_key", "password_assignment"))


def secret(name: str = "db", **fields: Any) -> dict[str, Any]:
    return {
        "kind": "Secret", "apiVersion": "v1", "metadata": {"name": name, "namespace": "prod", "resourceVersion": "7"},
        "data": {"password": ENCODED, "empty": ""}, "type": "Opaque", **fields,
    }  # fmt: skip


def config(name: str, **data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "namespace": "prod"}, "data": data}


def listed(kind: str, *items: Any, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": list(items), **fields}


def masker(line: str, masks: Sequence[Mask] = (), **options: Any) -> ObjectMasker:
    return ObjectMasker(asked(line), masks, lambda of: Masking(of, b"key"), **options)


def masked(line: str, answer: Any, masks: Sequence[Mask] = (), *, cut: int = 0, **options: Any) -> Any:
    """An answer through a masker, in pieces of ``cut`` bytes."""
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    using = masker(line, masks, **options)
    size = cut or len(data) or 1
    shown = b"".join(using.feed(data[at : at + size]) for at in range(0, len(data), size)) + using.finish()
    return json.loads(shown)


def events(*each: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({"type": "ADDED", "object": obj}).encode() + b"\n" for obj in each)
