"""What the demo's tests share: results in short, and a client that speaks raw TDS."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from connectors.sql.demo.results import Affected, Batch, Columns, Output, Result, SqlError
from connectors.sql.tds.features import Feature, FeatureId, FedAuth, FedAuthLibrary
from connectors.sql.tds.login import Login7, encode_login7
from connectors.sql.tds.packet import MessageReader, PacketType, Status, packetize
from connectors.sql.tds.prelogin import Encryption, Prelogin, decode_prelogin, encode_prelogin
from connectors.sql.tds.request import Request, encode_request
from connectors.sql.tds.tokens import Done, DoneStatus, ServerMessage
from connectors.sql.tds.tokenstream import Row, Token, read_tokens


def short(results: Iterable[Result]) -> list[Any]:
    """Each result set as a list of rows, each count as a number, each message as its text, the rest as it is."""
    found: list[Any] = []
    inside = False
    for result in results:
        match result:
            case Columns():
                found.append([])
                inside = True
            case Batch(rows):
                found[-1] += rows
            case Affected(count):
                found += [] if inside or count is None else [count]
                inside = False
            case ServerMessage(text=text):
                found.append(text)
            case Output(name, _, value):
                found.append((name, value))
            case _:
                found.append(result)
    return found


def written(results: Iterable[Result]) -> list[str]:
    """The same as lines: ``= row`` and ``+ next row``, ``# count``, ``> message``, ``! error``."""
    lines: list[str] = []
    try:
        for each in short(results):
            match each:
                case list():
                    lines += [f"{'+' if at else '='} {_row(row)}" for at, row in enumerate(each)] or ["="]
                case int():
                    lines.append(f"# {each}")
                case str():
                    lines.append(f"> {each}")
    except SqlError as error:
        lines.append(f"! {error.message.number}")
    return lines


def _row(row: Sequence[object]) -> str:
    return " | ".join("NULL" if cell is None else str(cell) for cell in row)


def number_of(results: Iterable[Result]) -> int:
    """The number of the error that running this raises."""
    try:
        list(results)
    except SqlError as error:
        return error.message.number
    raise AssertionError("it raised no error")


class RawClient:
    """One unencrypted connection, driven message by message."""

    def __init__(self, port: int, encryption: Encryption = Encryption.NOT_SUP) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._reader = MessageReader(packet_size=32768)
        self._messages: list[bytes] = []
        self._classification = 2
        self.send(
            PacketType.PRELOGIN, encode_prelogin(Prelogin(encryption=encryption, mars=True, fedauth_required=True))
        )
        self.prelogin = decode_prelogin(self.receive())

    def login(
        self,
        user: str = "sa",
        secret: str = "upstream-secret",
        token: str = "",
        database: str = "shop",
        classification: int = 0,
        **more: Any,
    ) -> list[Token]:
        """The tokens that answer a LOGIN7; ``classification`` is the version of that feature to ask for."""
        features: tuple[Feature, ...] = (FedAuth(FedAuthLibrary.SECURITY_TOKEN, token=token).encode(),) if token else ()
        if classification:
            features += (Feature(FeatureId.DATACLASSIFICATION, bytes((classification,))),)
            self._classification = classification
        who = {} if token else {"user_name": user, "password": secret}
        self.send(PacketType.LOGIN7, encode_login7(Login7(database=database, features=features, **who, **more)))
        return self.tokens()

    def ask(self, request: Request, status: Status = Status.NORMAL) -> list[Token]:
        """The tokens that answer a request."""
        self.send(*encode_request(request), status)
        return self.tokens()

    def send(self, kind: PacketType, payload: bytes, status: Status = Status.NORMAL) -> None:
        self.socket.sendall(b"".join(packetize(kind, [payload], status=status)))

    def tokens(self) -> list[Token]:
        return list(read_tokens(self.receive(), self._classification))

    def cancelled(self) -> None:
        """Read on until a cancel is acknowledged: in the answer that it ends, or in a message after that."""
        while not self.receive().endswith(Done(DoneStatus.ATTENTION).encode()):
            pass

    def receive(self) -> bytes:
        """The payload of the next message. Raises ConnectionError if none comes."""
        while not self._messages:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server hung up")
            self._messages += [m.payload for m in self._reader.feed(data)]
        return self._messages.pop(0)


@contextmanager
def raw(port: int, **login: Any) -> Iterator[RawClient]:
    """A raw client that has logged in."""
    client = RawClient(port)
    with client.socket:
        client.login(**login)
        yield client


def rows(tokens: Iterable[Token]) -> list[tuple[Any, ...]]:
    """The values of all rows."""
    return [token.values for token in tokens if isinstance(token, Row)]


def errors(tokens: Iterable[Token]) -> list[int]:
    """The numbers of all errors."""
    return [t.number for t in tokens if isinstance(t, ServerMessage) and t.severity > 10]
