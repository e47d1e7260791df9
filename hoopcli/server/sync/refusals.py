"""The answers of sync to what it does not take, as C2SP tlog-witness has them: 403, 404, 409, 422."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hoopcli.errors import LedgerError
from hoopcli.server.problems import Problem
from hoopcli.server.sync.proving import AlteredError, ForkError, StaleError, UnsignedError

STALE: Final = "stale-size"
FORKED: Final = "ledger-forked"


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what ``prove`` raises into problems."""
    try:
        yield
    except StaleError as error:
        raise Problem(409, STALE, error.message, error.hint, size=error.size) from error
    except ForkError as error:
        hint = "keep the ledger as it is, and tell who watches the audit"
        raise Problem(409, FORKED, error.message, hint) from error
    except UnsignedError as error:
        raise Problem(403, "unsigned", error.message) from error
    except AlteredError as error:
        raise Problem(422, "unproved", error.message) from error
    except LedgerError as error:
        raise Problem(422, "ledger", error.message, error.hint) from error
