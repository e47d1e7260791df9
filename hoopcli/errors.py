"""Every error that hoop raises on purpose, and the exit code each ends the command with.

HoopError                    1
├── UsageError               2  the command, a setting or a document is wrong
├── NotSignedInError         3  no identity, or it has expired
├── DeniedError              4  policy said no
├── ApprovalPendingError     5  a person has not answered yet
├── UpstreamError            6  the data source refused, failed or closed
├── LedgerError              7  the ledger cannot record, or does not verify
└── ProtocolError            6  a peer sent what its protocol does not allow

An error tells a person what happened (``message``) and what to do next (``hint``).
"""

from __future__ import annotations

from typing import ClassVar


class HoopError(Exception):
    """Base of every deliberate error: ``message`` says what happened and why, ``hint`` the next command."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HoopError):
    """The command line, a setting or a document is wrong."""

    exit_code = 2


class NotSignedInError(HoopError):
    """There is no identity, or it has expired."""

    exit_code = 3


class DeniedError(HoopError):
    """Policy refused."""

    exit_code = 4


class ApprovalPendingError(HoopError):
    """The request waits for a person."""

    exit_code = 5


class UpstreamError(HoopError):
    """The data source refused, failed or closed."""

    exit_code = 6


class ProtocolError(HoopError):
    """A peer sent bytes that its protocol does not allow; nothing of them is passed on."""

    exit_code = 6


class LedgerError(HoopError):
    """The ledger cannot record, or what it holds does not verify."""

    exit_code = 7
