"""The connector's options, hints and explanations."""

from __future__ import annotations

import pytest

from connectors.blob.connector import BlobConnector
from connectors.blob.hint import client_hint, connection_string
from hoopcli.errors import UsageError
from hoopcli.model.access import Connection
from hoopcli.model.decision import Action
from hoopcli.spi import Listen

LISTEN = Listen("127.0.0.1", 4711, "session-secret", "/tmp/ca.pem")


def connection(**options: str) -> Connection:
    return Connection("invoices", "blob", options)


@pytest.mark.parametrize(
    ("options", "host", "port"),
    [
        ({"account": "acme"}, "acme.blob.core.windows.net", 443),
        ({"account": "acme", "endpoint": "https://acme.blob.example.gov"}, "acme.blob.example.gov", 443),
        ({"account": "devstoreaccount1", "endpoint": "http://127.0.0.1:10000/devstoreaccount1"}, "127.0.0.1", 10000),
        ({"account": "devstoreaccount1", "endpoint": "http://localhost/devstoreaccount1"}, "localhost", 80),
    ],
)  # fmt: skip
def test_where_an_account_is(options: dict[str, str], host: str, port: int) -> None:
    target = BlobConnector().target(connection(**options))
    assert (target.host, target.port, target.auth) == (host, port, "entra")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "no storage account"),
        ({"account": "Has-Dashes"}, "no storage account"),
        ({"account": "acme", "auth": "password"}, "auth = 'password'"),
        ({"account": "acme", "endpoint": "ftp://acme"}, "not the URL"),
        ({"account": "acme", "endpoint": "https://user@acme.example"}, "not the URL"),
        ({"account": "acme", "endpoint": "http://acme.blob.core.windows.net"}, "not encrypted"),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        BlobConnector().target(connection(**options))


def test_the_hint_holds_the_key_of_the_session_alone() -> None:
    hint = client_hint(LISTEN, connection(account="acme", secret="env:REAL"))
    string = hint.environment["AZURE_STORAGE_CONNECTION_STRING"]
    assert string == connection_string(LISTEN, connection(account="acme"))
    assert "BlobEndpoint=http://127.0.0.1:4711/acme;" in string
    assert "session-secret" not in str(hint)
    assert "REAL" not in str(hint)
    assert {client for client, _ in hint.lines} >= {"azcopy", "rclone", "over TLS"}
    assert hint.environment["HOOP_BLOB_SAS"] in dict(hint.lines)["azcopy"]
    other = client_hint(Listen("127.0.0.1", 4711, "another", ""), connection(account="acme"))
    assert other.environment["AZURE_STORAGE_CONNECTION_STRING"] != string


def test_what_can_be_explained() -> None:
    statement = BlobConnector().explain("blob:read docs/a b.csv", connection(account="acme"))
    assert statement.actions == (Action("blob:read", ("acme/docs/a b.csv",)),)
    assert statement.exact_case
    assert BlobConnector().explain("blob:list", connection(account="acme")).actions[0].resources == ("acme",)
    for text in ("", "SELECT 1", "blob:unclassified docs"):
        with pytest.raises(UsageError, match="no verb"):
            BlobConnector().explain(text, connection(account="acme"))


def test_there_is_no_demo() -> None:
    assert BlobConnector().demo() is None  # type: ignore[func-returns-value]
