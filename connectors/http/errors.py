"""How an exchange ends badly: each error but a hang-up becomes an answer in the application's own form.

ProtocolError        a peer broke its protocol
└── RequestError     the client did: it is answered, then its connection is closed
RefusalError         the exchange ends with an error answer; the client's connection may go on
├── UpstreamLostError   the upstream cannot be reached, broke off, or sent what HTTP does not allow
└── NoCredentialError   the broker has no credential for the upstream
ClientGoneError      the client hung up; nobody is left to be answered
"""

from __future__ import annotations

from hoopcli.errors import HoopError, ProtocolError


class RequestError(ProtocolError):
    """A request that is not acted upon. ``status`` and ``code`` are the answer's; the connection is closed."""

    def __init__(self, message: str, hint: str = "", *, status: int = 400, code: str = "BadRequest") -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


class RefusalError(HoopError):
    """An exchange that ends with an error answer. Applications may raise it, or a subclass, out of ``handle``."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


class UpstreamLostError(RefusalError):
    """The upstream cannot be reached, broke off, or sent what HTTP does not allow."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(502, "BadGateway", message, hint)


class NoCredentialError(RefusalError):
    """The broker has no credential for the upstream."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(403, "CredentialRefused", message, hint)


class ClientGoneError(HoopError):
    """The client hung up. An application may record what that means for its exchange, and raises it again."""

    def __init__(self) -> None:
        super().__init__("the client closed the connection")
