from __future__ import annotations

import pytest

from connectors.sql.tsql.classify import VERBS
from tests.sql.tsql.cases import Case, classified, describe, load, load_inference, tells

CASES = load()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_batch_does_what_its_case_says(case: Case) -> None:
    assert describe(classified(case.text)) == case.expected


@pytest.mark.parametrize("case", load_inference(), ids=str)
def test_a_batch_tells_what_its_case_says(case: Case) -> None:
    batch = classified(case.text)
    assert "unclassified_reason" not in batch.facts
    assert (tells(batch) or ("nothing",)) == case.expected


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_verb_is_a_known_one_and_every_unclassified_batch_says_why(case: Case) -> None:
    batch = classified(case.text)
    assert {action.verb for action in batch.actions} <= VERBS
    assert batch.actions
    if not case.classified:
        assert batch.statements == ()
        assert batch.outputs is None
        assert str(batch.facts["unclassified_reason"]).endswith(".")


@pytest.mark.parametrize("case", [case for case in CASES if case.classified], ids=str)
def test_the_statements_of_a_batch_are_in_order_and_make_up_its_actions(case: Case) -> None:
    batch = classified(case.text)
    position = 0
    for statement in batch.statements:
        position = case.text.index(statement.text, position) + len(statement.text)
    found = {(a.verb, r) for s in batch.statements for a in s.actions for r in a.resources or ("",)}
    listed = {(a.verb, r) for a in batch.actions for r in a.resources or ("",)}
    assert listed <= found | {("sql:control", "")}
    assert {verb for verb, _ in found} <= {verb for verb, _ in listed}


def test_there_are_enough_cases() -> None:
    assert sum(case.classified for case in CASES) >= 900
    assert sum(case.file == "adversarial.txt" for case in CASES) >= 250


def test_what_tools_send_at_start_up_is_classified() -> None:
    sent = [case for case in CASES if case.file == "startup.txt"]
    assert len(sent) >= 150
    assert [case for case in sent if not case.classified] == []
