"""Patterns over names of tables and of files."""

from __future__ import annotations

import pytest

from hoopcli.masking.patterns import paths_overlap, resource_matcher


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


@pytest.mark.parametrize(
    ("pattern", "path", "overlap"),
    [
        ("acme/docs/secret/x.txt", "acme/docs/*", True),
        ("acme/docs/secret/*", "acme/docs/*", True),
        ("acme/*/secret/*", "acme/docs/*", True),
        ("acme/docs/*", "acme/docs/old/*", True),
        ("acme/docs/s*", "acme/docs/*t", True),
        ("Acme/DOCS/secret", "acme/docs/*", True),
        ("*", "acme/docs/*", True),
        ("acme/other/*", "acme/docs/*", False),
        ("acme/docs", "acme/docs/*", False),
        ("prod/secrets/*", "*/secrets/*", True),
        ("prod/secrets/db", "*/secrets/*", True),
        ("prod/pods/*", "*/secrets/*", False),
        ("prod/secrets/db/x", "*/secrets/db", False),
    ],
)
def test_what_a_path_with_unknown_parts_may_mean(pattern: str, path: str, overlap: bool) -> None:
    assert paths_overlap(pattern, path) is overlap


def test_case() -> None:
    assert resource_matcher("acme/C/*")("acme/c/a")
    assert not resource_matcher("acme/C/*", exact_case=True)("acme/c/a")
