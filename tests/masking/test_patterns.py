"""Patterns over names of tables and of files."""

from __future__ import annotations

import pytest

from hoopcli.masking.patterns import resource_matcher


@pytest.mark.parametrize(
    ("pattern", "resource", "matches"),
    [
        ("shop.dbo.*", "shop.dbo.a.b", True),
        ("shop.*.a", "shop.x.y.a", False),
        ("shop.*.a", "shop.[x.y].a", True),
        ("acme/c/*", "acme/c/2024/a.csv", True),
        ("acme/c/*", "acme/c", False),
        ("acme/c/*", "acme/c/", False),
        ("acme/c/secret*", "acme/c/secret.csv", True),
        ("acme/c/secret*", "acme/c/secret/a", False),
        ("acme/*/a.csv", "acme/c.d/a.csv", True),
        ("acme/*/a.csv", "acme/c/d/a.csv", False),
        ("acme/*/a.csv", "acme/[c/d]/a.csv", False),
        ("acme/c/.*", "acme/c/.git", True),
        ("acme/c/.*", "acme/c/.git/config", False),
        ("acme/c/a", "acme/c/a\n", False),
        ("*", "acme/c/a", True),
    ],
)
def test_resources(pattern: str, resource: str, matches: bool) -> None:
    assert bool(resource_matcher(pattern)(resource)) is matches


def test_case() -> None:
    assert resource_matcher("acme/C/*")("acme/c/a")
    assert not resource_matcher("acme/C/*", exact_case=True)("acme/c/a")
