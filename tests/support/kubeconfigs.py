"""Kubeconfigs for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def written(
    folder: Path,
    user: Mapping[str, Any],
    cluster: Mapping[str, Any] = {"server": "https://cluster.example:6443"},
    **context: str,
) -> Path:
    """A kubeconfig in a folder, whose current context ``c`` is of this cluster and this user."""
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": dict(cluster)}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", **context}}],
    }))  # fmt: skip
    return path
