from __future__ import annotations

from datetime import timedelta

import pytest

from hoopcli.cli.options import duration
from hoopcli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h", 3600), ("30m", 1800), ("90s", 90), ("1h30m", 5400), (" 1h1m1s ", 3661)]
)
def test_durations(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "1d", "-1h", "1h 30m", "1.5h", "9" * 40 + "h", "1m1h"])
def test_not_durations(text: str) -> None:
    with pytest.raises(UsageError, match="--ttl"):
        duration(text)
