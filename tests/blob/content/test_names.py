from __future__ import annotations

import pytest

from connectors.blob.content.names import Names
from hoopcli.masking.masker import DETECTORS
from hoopcli.model.decision import Mask, Method
from tests.blob.content.pieces import by_columns, by_detectors, masking


def mask_of(names: Names, column: str) -> str | None:
    mask = names.column(column)
    return mask.id if mask else None


@pytest.mark.parametrize(
    "name", ["ssn", "SSN", " ssn ", '"ssn"', "[ssn]", "'ssn'", "`ssn`", "customer.ssn", "x.email", "email"]
)
def test_a_column_by_its_name(name: str) -> None:
    assert mask_of(Names(masking(by_columns("ssn", "$..email"))), name) == "columns"


@pytest.mark.parametrize("name", ["", "ssn2", "my_ssn", "e-mail", "."])
def test_other_columns_have_none(name: str) -> None:
    assert mask_of(Names(masking(by_columns("ssn", "$..email"))), name) is None


def test_paths_of_flattened_names() -> None:
    names = Names(masking(by_columns("$.customer.email")))
    assert mask_of(names, "customer.email") == "columns"
    assert mask_of(names, "email") is None
    assert mask_of(Names(masking(by_columns("$"))), "anything") == "columns"


def test_fields_as_for_tables() -> None:
    names = Names(masking(Mask("f", fields=("*.dbo.customers.ssn",))))
    assert mask_of(names, "ssn") == "f"


def test_the_strictest_wins() -> None:
    names = Names(
        masking(
            Mask("lax", columns=("ssn",), method=Method("keep_last", 4)),
            Mask("strict", columns=("$..ssn",), method=Method("redact")),
        )
    )
    assert mask_of(names, "ssn") == "strict"


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "ssn", "SSN No", "api_key", "AccountKey", "sig", "secret_access_key"]
)
def test_names_that_tell(name: str) -> None:
    assert mask_of(Names(masking(by_detectors())), name) == "found"
    assert mask_of(Names(masking(by_columns("x"))), name) is None


@pytest.mark.parametrize(
    "name", ["name", "note", "passport", "missn", "ann@example.com", "4111111111111111", "p" * 200, "secret='x'"]
)
def test_names_that_tell_nothing(name: str) -> None:
    assert mask_of(Names(masking(by_detectors())), name) is None


def test_the_probes_hold_nothing_in_themselves() -> None:
    everything = masking(*(Mask(each.name, detectors=(each.name,)) for each in DETECTORS))
    assert everything.edits("&name=" + "Zx9" * 8) == ([], {})
    assert everything.edits("name: 219099999") == ([], {})


def test_what_is_remembered_is_limited() -> None:
    names = Names(masking(by_columns("ssn")))
    for number in range(10_000):
        names.enter(names.root, f"key{number}")
    names.enter(names.root, "k" * 1000)
    assert len(names._cache) <= 4096
