from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tsql.lexer import BINARY, END, NAME, NUMBER, ODD_NAME, STRING, VARIABLE, WORD, Doubt, lex


def kinds(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.value) for token in lex(text)[:-1]]


def test_every_kind_of_token() -> None:
    assert kinds("select [a]]b] \"c\"\"d\" N'it''s' 'x' 1.5e-3 .5 0xAF $2 @v @@w #t ##g $action <=") == [
        (WORD, "select"),
        (NAME, "a]b"),
        (NAME, 'c"d'),
        (STRING, "it's"),
        (STRING, "x"),
        (NUMBER, "1.5e-3"),
        (NUMBER, ".5"),
        (BINARY, "0xAF"),
        (NUMBER, "$2"),
        (VARIABLE, "@v"),
        (VARIABLE, "@@w"),
        (WORD, "#t"),
        (WORD, "##g"),
        (WORD, "$action"),
        ("operator", "<="),
    ]


def test_a_token_knows_its_place_and_only_words_and_operators_have_a_key() -> None:
    tokens = lex("a 'b' [c] =")
    assert [(token.start, token.end) for token in tokens] == [(0, 1), (2, 5), (6, 9), (10, 11), (11, 11)]
    assert [token.key for token in tokens] == ["A", "", "", "=", ""]
    assert tokens[-1].kind == END


@pytest.mark.parametrize("name", ["[\u017f]", "[a ]", "[\t]", "[]", '""', "[" + "a" * 129 + "]", "[é]", "[a\u200b]"])
def test_names_that_a_collation_may_hold_equal_to_others(name: str) -> None:
    assert lex(name)[0].kind == ODD_NAME


@pytest.mark.parametrize(
    "text",
    [
        "'",
        "N'",
        '"',
        "[",
        "/*",
        "/* /* */",
        "/*/ */",
        "1a",
        "1.a",
        "0xg",
        "1..2",
        "$",
        "@",
        "\\",
        "{",
        "é",
        "\xa0",
        "a\0b",
    ],
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(Doubt):
        lex(text)


@given(st.text(max_size=200))
def test_any_text_is_tokens_or_a_doubt(text: str) -> None:
    try:
        tokens = lex(text)
    except Doubt as doubt:
        assert str(doubt).isascii()
        return
    position = 0
    for token in tokens:
        assert position <= token.start <= token.end <= len(text)
        position = token.end


@given(st.text(st.characters(exclude_characters="\0\\", exclude_categories=["Cs"]), max_size=50))
def test_a_quoted_value_comes_back(value: str) -> None:
    assert lex("'" + value.replace("'", "''") + "'")[0].value == value
    assert lex("[" + value.replace("]", "]]") + "]")[0].value == value
    assert lex('"' + value.replace('"', '""') + '"')[0].value == value


@given(st.lists(st.sampled_from(["/*", "*/", " ", "x", "'", "--", "\n"]), max_size=12).map("".join))
def test_what_is_in_a_comment_is_never_a_token(body: str) -> None:
    depth, position = 1, 0
    while depth and position < len(body):
        edge = body[position : position + 2]
        depth += (edge == "/*") - (edge == "*/")
        position += 2 if edge in ("/*", "*/") else 1
    if depth or position < len(body) or "/*/" in "/*" + body:
        return
    assert kinds("a /*" + body + " b") == [(WORD, "a"), (WORD, "b")]
