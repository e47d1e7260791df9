from __future__ import annotations

import pytest

from hoopcli.errors import UsageError
from hoopcli.masking.paths import Paths, Step, json_path
from hoopcli.model.decision import Mask, Method


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$[*]", ()),
        ("$.a", (Step("a", False),)),
        ("$.Customer.eMail", (Step("customer", False), Step("email", False))),
        ("$.items[*].card", (Step("items", False), Step("card", False))),
        ("$.items[0][1].card", (Step("items", False), Step("card", False))),
        ("$..ssn", (Step("ssn", True),)),
        ("$..['a.b']", (Step("a.b", True),)),
        ("$['e-mail'][\"x y\"]", (Step("e-mail", False), Step("x y", False))),
        ("$.a.*", (Step("a", False), Step("*", False))),
        ("$..*", (Step("*", True),)),
        ("$..[*]", (Step("*", True),)),
        ("$.größe", (Step("größe", False),)),
    ],
)
def test_paths(text: str, steps: tuple[Step, ...]) -> None:
    assert json_path(text) == steps


@pytest.mark.parametrize(
    "text", ["$.", "$..", "$a", "$.a b", "$[", "$['a]", "$.a..", "$...a", "$[?(@.a)]", "$.a[1:2]", "$[-1]"]
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        json_path(text)


def masked(paths: Paths, *keys: str) -> str | None:
    place, mask = paths.root, paths.whole
    for key in keys:
        place, mask = paths.enter(place, key)
    return mask.id if mask else None


def test_where_paths_lead() -> None:
    paths = Paths(
        [
            Mask("strict", columns=("$.a.b", "name")),
            Mask("deep", columns=("$..ssn", "$.x..y.z"), method=Method("keep_last", 4)),
            Mask("any", columns=("$.a.*",), method=Method("keep_last", 4)),
        ]
    )
    cases = {
        ("a", "b"): "strict",
        ("A", "B"): "strict",
        ("a", "c"): "any",
        ("a",): None,
        ("b",): None,
        ("q", "a", "b"): None,
        ("ssn",): "deep",
        ("q", "r", "ssn"): "deep",
        ("ssn", "x"): None,
        ("x", "y", "z"): "deep",
        ("x", "q", "y", "z"): "deep",
        ("x", "y", "q", "z"): None,
        ("x", "y", "y", "z"): "deep",
    }
    for keys, expected in cases.items():
        assert masked(paths, *keys) == expected, keys


def test_a_path_to_the_root_is_all() -> None:
    assert Paths([Mask("m", columns=("$",))]).whole == Mask("m", columns=("$",))
    assert Paths([Mask("m", columns=("$.a",))]).whole is None
