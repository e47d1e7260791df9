"""Finding connectors: classes named by the entry-point group ``hoop.connectors``."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from hoopcli.errors import HoopError, UsageError
from hoopcli.settings.files import nearest
from hoopcli.spi import Connector

GROUP = "hoop.connectors"


def kinds() -> list[str]:
    """The kinds of connection that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load(kind: str) -> Connector:
    """The connector of a kind. Raises UsageError if it is not installed, or two are; HoopError if it does not load."""
    found: list[EntryPoint] = list(entry_points(group=GROUP, name=kind))
    if not found:
        raise UsageError(f"there is no connector of kind {kind!r}", nearest(kind, kinds()))
    if len({point.value for point in found}) > 1:
        raise UsageError(
            f"two installed packages bring a connector of kind {kind!r}: {', '.join(p.value for p in found)}",
            "uninstall one of them",
        )
    try:
        connector: Connector = found[0].load()()
    except HoopError:
        raise
    except Exception as error:
        raise HoopError(f"the connector {found[0].value} does not load: {error}", "run: hoop doctor") from error
    return connector
