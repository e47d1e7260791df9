"""What must hold of any text: it is classified or it is not, and no verb is ever lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.sql.tsql.classify import Batch
from connectors.sql.tsql.lexer import lex
from connectors.sql.tsql.words import RESERVED, STARTS
from tests.sql.tsql.cases import Case, classified, describe, load

MODULES = tuple(
    f"{verb} {kind}"
    for verb in ("CREATE", "ALTER", "CREATE OR ALTER")
    for kind in ("VIEW", "PROCEDURE", "TRIGGER", "FUNCTION")
)
PERMISSIONS = ("GRANT", "REVOKE", "DENY")

#: Batches whose end takes nothing of what follows: a module is all of its batch.
FIRST = [case.text for case in load() if case.classified and not case.text.startswith(MODULES)]
#: Batches that begin with a word that can only begin a statement.
SECOND = [case.text for case in load() if case.classified and lex(case.text)[0].key in STARTS]

DANGEROUS = {
    "DROP TABLE zz": "sql:drop",
    "DELETE FROM zz": "sql:delete",
    "EXEC zz": "sql:execute",
    "EXEC ('DROP TABLE zz')": "sql:drop",
    "TRUNCATE TABLE zz": "sql:truncate",
    "INSERT INTO zz VALUES (1)": "sql:insert",
    "SELECT * FROM zz": "sql:select",
    "SHUTDOWN": "sql:shutdown",
    "USE zz": "sql:use",
    "GRANT CONTROL ON zz TO bob": "sql:grant",
}

SOUP = st.lists(
    st.sampled_from([
        *sorted(RESERVED), *"(),;.=+-*/<>:[]@#'", "::", "--", "/*", "*/", '"', "\n", "'x'", "N'x'", "1",
        "@v", "@@v", "x", "y.z", "[q]", '"d"', "#t", "THROW", "ENABLE", "MATCHED", "USING", "OUTPUT", "APPLY", "OFFSET",
        "ROWS", "TRY", "CATCH", "COUNT(", "$action", "0x1", "XML", "JSON",
    ]),
    max_size=40,
).map(" ".join)  # fmt: skip


def verbs(batch: Batch) -> set[str]:
    return {action.verb for action in batch.actions}


def is_unclassified(batch: Batch) -> bool:
    return verbs(batch) == {"sql:unclassified"}


@given(st.sampled_from(FIRST), st.sampled_from(SECOND))
@example("SELECT 1", "DELETE FROM orders")
def test_two_batches_in_one_do_what_both_do(first: str, second: str) -> None:
    both = classified(f"{first}\n{second}")
    if not is_unclassified(both):
        assert verbs(both) >= (verbs(classified(first)) | verbs(classified(second))) - {"sql:control"}


@given(st.sampled_from(FIRST), st.sampled_from(sorted(DANGEROUS)), st.data())
def test_a_statement_put_anywhere_into_a_batch_is_seen(text: str, danger: str, data: st.DataObject) -> None:
    tokens = lex(text)
    if text.startswith(PERMISSIONS):
        return
    at = tokens[data.draw(st.integers(0, len(tokens) - 1))].start
    batch = classified(f"{text[:at]}\n{danger};\n{text[at:]}")
    resources = {resource for action in batch.actions for resource in action.resources}
    if not is_unclassified(batch):
        assert DANGEROUS[danger] in verbs(batch)
        assert "zz" not in danger or any("zz" in resource for resource in resources)


@given(st.sampled_from(FIRST), st.data())
def test_taking_a_token_away_never_loses_a_word_that_begins_a_statement(text: str, data: st.DataObject) -> None:
    tokens = lex(text)
    gone = tokens[data.draw(st.integers(0, len(tokens) - 1))]
    rest = text[: gone.start] + text[gone.end :]
    batch = classified(rest)
    if is_unclassified(batch):
        return
    for word in ("TRUNCATE", "SHUTDOWN", "RESTORE", "BACKUP", "DBCC", "KILL"):
        if any(token.key == word for token in lex(rest)) and not rest.startswith((*MODULES, *PERMISSIONS)):
            assert f"sql:{word.lower()}" in verbs(batch)


@given(SOUP)
def test_word_soup_never_raises(text: str) -> None:
    assert classified(text).actions


@given(st.text(max_size=80))
def test_any_text_never_raises(text: str) -> None:
    assert classified(text).actions


@given(st.sampled_from([case for case in load() if case.classified and case.file != "adversarial.txt"]))
def test_case_and_space_mean_nothing(case: Case) -> None:
    tokens = lex(case.text)
    words = [case.text[t.start : t.end] if not t.key or t.key == "$ACTION" else t.key.swapcase() for t in tokens]
    batch = classified("/* x */" + "\r\n\t".join(words) + " -- x")
    expected = [line.lower() for line in case.expected]
    assert [line.lower() for line in describe(batch)] == expected


@given(
    st.sampled_from([case for case in load() if case.classified]),
    st.sampled_from(["\0", "\x1a", "\u200b", "\uff1b", "`"]),
)
def test_an_odd_character_between_tokens_is_never_passed_over(case: Case, odd: str) -> None:
    for token in lex(case.text)[:-1]:
        assert is_unclassified(classified(case.text[: token.start] + odd + case.text[token.start :]))


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_no_reserved_word_is_a_name(word: str) -> None:
    for text in (
        f"SELECT a AS {word} FROM t",
        f"SELECT a FROM t AS {word}",
        f"SELECT t.{word} FROM t",
        f"EXEC dbo.{word}",
    ):
        assert is_unclassified(classified(text))
