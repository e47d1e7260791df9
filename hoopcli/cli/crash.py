"""A defect of hoop, written down without anything that the user entrusted to it."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from hoopcli import __version__
from hoopcli.errors import HoopError


def report(defect: BaseException) -> HoopError:
    """Write a report and return the error to show.

    The report has the kinds of the errors and where they were raised. It has no messages, arguments or variables: any
    of them could hold a secret.
    """
    lines = [
        f"hoop {__version__}, Python {platform.python_version()}, {platform.platform()}",
        datetime.now(UTC).isoformat(timespec="seconds"),
        *_frames(defect),
    ]
    try:
        handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 - it is kept
            "w", prefix="hoop-crash-", suffix=".txt", delete=False, encoding="utf-8"
        )
        with handle:
            handle.write("\n".join(lines) + "\n")
        where = f"a report without your data is in {handle.name}"
    except OSError:
        where = "no report could be written"
    return HoopError(
        f"hoop failed in a way that it should not ({type(defect).__name__})", f"{where}; HOOP_DEBUG=1 shows all of it"
    )


def _frames(defect: BaseException) -> list[str]:
    lines: list[str] = []
    seen: BaseException | None = defect
    while seen is not None:
        lines.append(f"{type(seen).__module__}.{type(seen).__qualname__}")
        frames = traceback.extract_tb(seen.__traceback__)
        lines += [f"  {_shortened(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
        seen = seen.__cause__ or seen.__context__
    return lines


def _shortened(filename: str) -> str:
    """The path within its package; the rest names the user."""
    for root in sorted(sys.path, key=len, reverse=True):
        if root and filename.startswith(root):
            return filename[len(root) :].lstrip("/\\")
    return Path(filename).name
