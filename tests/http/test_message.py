from __future__ import annotations

import pytest

from connectors.http.message import Headers, Request
from hoopcli.errors import ProtocolError

PAIRS = [("Host", "x"), ("X-List", "a, B"), ("x-list", " c,\t"), ("Authorization", "secret")]


def test_headers_keep_order_and_case_and_compare_without_case() -> None:
    headers = Headers(PAIRS)
    assert [name for name, _ in headers] == ["Host", "X-List", "x-list", "Authorization"]
    assert headers.get("HOST") == "x"
    assert headers.get("none") is None
    assert headers.get("none", "other") == "other"
    assert headers.all("X-LIST") == ["a, B", "c,"]
    assert headers.tokens("x-list") == ["a", "b", "c"]
    assert "hOST" in headers
    assert 1 not in headers
    assert len(headers) == 4


def test_one_value_is_not_chosen_of_two() -> None:
    with pytest.raises(ProtocolError, match="more than once"):
        Headers(PAIRS).get("x-list")


def test_changed_headers_are_others() -> None:
    headers = Headers(PAIRS)
    assert list(headers.without("HOST", "x-LIST")) == [("Authorization", "secret")]
    assert list(headers.with_("x-list", "d"))[-1] == ("x-list", "d")
    assert headers.with_("x-list", "d").all("X-List") == ["d"]
    assert len(headers) == 4
    assert headers == Headers(PAIRS)
    assert hash(headers) == hash(Headers(PAIRS))
    assert headers != Headers()
    assert headers != PAIRS


def test_a_value_is_not_shown() -> None:
    assert "secret" not in repr(Request("GET", "/", Headers(PAIRS)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), ("a b", "x"), ("a:", "x"), ("ä", "x"), ("a", "x\ny"), ("a", "x\r"), ("a", "\x00"), ("a", "\u0100")],
)
def test_what_no_header_may_hold_is_refused(name: str, value: str) -> None:
    with pytest.raises(ProtocolError):
        Headers([(name, value)])
