from __future__ import annotations

import pytest

from hoopcli.errors import UsageError
from hoopcli.settings.secret import Keeper, SecretReference, parse_reference


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("env:SHOP", SecretReference(Keeper.ENV, "SHOP")),
        ("keyring:shop sa", SecretReference(Keeper.KEYRING, "shop sa")),
        ("file:~/shop", SecretReference(Keeper.FILE, "~/shop")),
        ("file:/run/secrets/shop", SecretReference(Keeper.FILE, "/run/secrets/shop")),
        ("command:op read 'op://a b/c'", SecretReference(Keeper.COMMAND, "op read 'op://a b/c'")),
    ],
)
def test_the_forms(text: str, reference: SecretReference) -> None:
    assert parse_reference(text) == reference


def test_a_command_is_an_argument_list() -> None:
    assert parse_reference("command:op read 'op://a b/c; rm x'").argv == ["op", "read", "op://a b/c; rm x"]


@pytest.mark.parametrize("text", ["hunter2", "", "env:", "env: ", "ENV:x", "plain:hunter2", "file:rel", "command:a 'b"])
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert "hunter2" not in caught.value.message + caught.value.hint
