from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.blob.content import json as json_module
from connectors.blob.content.base import LONGEST, Unreadable
from connectors.blob.content.json import JsonMasker
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask, Method
from tests.blob.content.pieces import by_columns, by_detectors, fed, masking

SSN = masking(
    by_columns("ssn", "$.items[*].card", "$..secret", method=Method("keep_last", 4)),
    by_detectors("email", "credit_card"),
)
NULL = masking(by_columns("ssn", method=Method("null")))
DETECTORS = masking(by_detectors())


def masked(text: str, masks: Masking = SSN) -> str:
    data = text.encode()
    out, _ = fed(JsonMasker(masks), data)
    assert len(out) == len(data)
    return out.decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ssn":"123-45-6789"}', '{"ssn":"*******6789"}'),
        ('{"SSN" : "123-45-6789" , "b":1}', '{"SSN" : "*******6789" , "b":1}'),
        ('{"\\u0073sn":"123-45-6789"}', '{"\\u0073sn":"*******6789"}'),
        ('{"ssn":123456789}', '{"ssn":null     }'),
        ('{"ssn":-1}', '{"ssn":0 }'),
        ('{"ssn":true,"a":false}', '{"ssn":null,"a":false}'),
        ('{"ssn":null}', '{"ssn":null}'),
        ('{"ssn":""}', '{"ssn":""}'),
        ('{"ssn":["12345678",{"a":"12345678","b":[1]}]}', '{"ssn":["****5678",{"*":"****5678","*":[0]}]}'),
        ('{"ssn":{},"x":"12345678"}', '{"ssn":{},"x":"12345678"}'),
        ('{"ssn":1,"ssn":"12345678"}', '{"ssn":0,"ssn":"****5678"}'),
        (
            '{"items":[{"card":"12345678"},[{"card":"12345678"}]]}',
            '{"items":[{"card":"****5678"},[{"card":"****5678"}]]}',
        ),
        ('{"card":"12345678"}', '{"card":"12345678"}'),
        ('[{"a":{"secret":[[12345]]}}]', '[{"a":{"secret":[[null ]]}}]'),
        ('"ann@example.com"', '"[redacted]*****"'),
        ('{"ann@example.com":1}', '{"[redacted]*****":1}'),
        ('["ann\\u0040example.com!"]', '["[redacted]**********!"]'),
        (
            '["\\u0061nn@example\\u002ecom \\u00e9\\n\\ud83d\\ude00 x"]',
            '["[redacted]*************** \\u00e9\\n\\ud83d\\ude00 x"]',
        ),
        ('["é 4111 1111 1111 1111 é"]', '["é [redacted]********* é"]'),
        ("[4111111111111111, 4111111111111112]", "[null            , 4111111111111112]"),
        (
            "[4.111111111111111e15, 4111111111111111E0, 4111111111111111.0]",
            "[null                , null              , null              ]",
        ),
        ("[1e999999999, 1E-9, NaN, -Infinity]", "[1e999999999, 1E-9, NaN, -Infinity]"),
        ('{"ssn":"1234567\\"89"}', '{"ssn":"*******7*89"}'),
        ('\ufeff {"ssn":"12345678"}\n', '\ufeff {"ssn":"****5678"}\n'),
        ('{"ssn":"12345678"}\n{"ssn":"87654321"}\r\n', '{"ssn":"****5678"}\n{"ssn":"****4321"}\r\n'),
        ("[1]\n[]", "[1]\n[]"),
    ],
)
def test_what_is_masked(text: str, expected: str) -> None:
    assert masked(text) == expected
    for size in (1, 2, 7):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(json_module, "_BLOCK", 1)
            assert fed(JsonMasker(SSN), text.encode(), [size])[0].decode() == expected


def test_null_is_null() -> None:
    assert masked('[{"ssn":"123-45-6789"},{"ssn":"ab"},{"ssn":"a"},{"ssn":12}]', NULL) == (
        '[{"ssn":null         },{"ssn":null},{"ssn":"" },{"ssn":0 }]'
    )


def test_everything() -> None:
    everything = masking(by_columns("$"))
    assert masked('{"a":["bcd",1],"e":{"f":true}}["x"]', everything) == '{"*":["***",0],"*":{"*":null}}["*"]'


def test_keys_that_tell() -> None:
    assert masked('{"password": "hunter2", "ssn": 219099999, "n": 219099999}', DETECTORS) == (
        '{"password": "*******", "ssn": null     , "n": 219099999}'
    )


def test_counts() -> None:
    text = b'{"ssn":"1","a":["ann@example.com","bob@example.com and ann@example.com"],"secret":[1,2,{"b":3}]}'
    assert fed(JsonMasker(SSN), text)[1] == {"columns": 5, "found": 3}


GRAMMAR = ["", " ", "{", "[1,]", "{,}", '{"a"}', '{"a":}', '{"a":1,}', "[1 2]", "]", "{]", "[}", '{"a" 1}', "{1:2}"]
WORDS = ["nul", "tru", "True", "01", "1.", ".5", "+1", "0x10", "1e", "--1", "-", "{}x", "1\ufeff", "1" * 5000, "{a:1}"]
TEXTS = ["'a'", '"a', '"\\', '"\\x"', '"\\u12"', '"a\nb"', '"\x01"', "//x\n1", "\x00", "\u00a01", "\ufeff", '"a" :']
ROOTS = ['"id"\t"ssn"\n"1"\t"123-45-6789"', '"ssn"\n"123-45-6789"', "1 2", '{} "a"', "[]\n1"]
MARKS = ['{"a":1:2}', ":", ",", '["a":1]', "[" * 600, "[1}"]


@pytest.mark.parametrize("text", [*GRAMMAR, *WORDS, *TEXTS, *ROOTS, *MARKS])
def test_what_is_no_json_is_refused(text: str) -> None:
    for size in (1, 1000):
        with pytest.raises(Unreadable):
            fed(JsonMasker(SSN), text.encode(), [size])


@pytest.mark.parametrize("data", [b'"\xff"', b'"a\xc3"', "[1]".encode("utf-16"), b'"\xed\xa0\x80"'])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        fed(JsonMasker(SSN), data)


def test_a_string_that_is_too_long_is_masked_whole() -> None:
    inner = 'x\\"é' * (LONGEST // 4 + 1)
    text = f'{{"a": "{inner}", "ssn": "12345678", "ssn": "{inner}"}}'
    size = len(inner.encode())
    expected = f'{{"a": "{"*" * size}", "ssn": "****5678", "ssn": "{"*" * size}"}}'
    for sizes in ([10**7], [65_537], [LONGEST]):
        out, counts = fed(JsonMasker(SSN), text.encode(), sizes)
        assert out.decode() == expected
        assert counts == {"unreadable": 1, "columns": 2}
    with pytest.raises(Unreadable, match="too long"):
        fed(JsonMasker(SSN), f'{{"{inner}": 1}}'.encode())
    for bad in ('"' + "x" * LONGEST + "\n", '"' + "x" * LONGEST + "\\", '"' + "x" * LONGEST):
        with pytest.raises(Unreadable):
            fed(JsonMasker(SSN), bad.encode(), [70_000])


STRINGS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["ann@example.com", "x 4111 1111 1111 1111", "123-45-6789", 'q"\\/\n', "\ud800"]),
)
KEYS = st.one_of(STRINGS, st.sampled_from(["ssn", "items", "card", "secret", "a"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), STRINGS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(VALUES, min_size=1, max_size=3),
    st.booleans(),
    st.lists(st.integers(1, 40), min_size=1),
    st.sampled_from([SSN, NULL, DETECTORS]),
)
def test_any_cut_gives_the_same_json(values: list[Any], ascii_only: bool, sizes: list[int], masks: Masking) -> None:
    values = [value if len(values) == 1 else [value] for value in values]
    text = "\n".join(json.dumps(value, ensure_ascii=ascii_only) for value in values)
    data = text.encode("utf-8", "replace")
    whole, counts = fed(JsonMasker(masks), data)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_module, "_BLOCK", 8)
        assert fed(JsonMasker(masks), data, sizes) == (whole, counts)
    assert len(whole) == len(data)
    for real, shown in zip(data.decode().split("\n"), whole.decode().split("\n"), strict=True):
        same_shape(json.loads(real), json.loads(shown), masks)


def same_shape(real: Any, shown: Any, masks: Masking) -> None:
    """What is not masked is as it was; nothing that a detector finds is left."""
    match real:
        case list():
            assert isinstance(shown, list)
            assert len(real) == len(shown)
            for one, other in zip(real, shown, strict=True):
                same_shape(one, other, masks)
        case dict():
            assert isinstance(shown, dict)
        case str() if isinstance(shown, str):
            assert not [edit for edit in masks.edits(shown)[0] if edit.mask.detectors == ("email",)]
            if not masks.edits(real)[0] and real != "ssn":
                assert shown == real or set(shown) & {"*"}


def test_a_value_under_a_masked_key_never_leaves() -> None:
    text = json.dumps([{"ssn": {"deep": [{"er": f"value-{n}"}]}, "n": n} for n in range(300)]).encode()
    for sizes in ([1], [100], [10**6]):
        out, _ = fed(JsonMasker(SSN), text, sizes)
        assert b"value-" not in out
        assert [each["n"] for each in json.loads(out)] == list(range(300))


def test_memory_stays_flat() -> None:
    masker = JsonMasker(masking(Mask("m", columns=("ssn",))))
    masker.feed(b"[")
    for _ in range(8):
        masker.feed(b'{"ssn":"123-45-6789","a":[1,2,3]},' * 3000)
        assert len(masker._text) < 200
