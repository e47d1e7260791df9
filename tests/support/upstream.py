"""The demo's server as the upstream of tests."""

from __future__ import annotations

from connectors.sql.demo.running import RunningServer as RunningUpstream
from connectors.sql.demo.running import identity
from connectors.sql.demo.running import running as upstream

__all__ = ["RunningUpstream", "identity", "upstream"]
