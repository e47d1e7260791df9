"""The system procedures that drivers call by number ([MS-TDS] 2.2.6.6), and every other way to spell their names."""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum


class ProcId(IntEnum):
    """The well-known procedures."""

    SP_CURSOR = 1
    SP_CURSOROPEN = 2
    SP_CURSORPREPARE = 3
    SP_CURSOREXECUTE = 4
    SP_CURSORPREPEXEC = 5
    SP_CURSORUNPREPARE = 6
    SP_CURSORFETCH = 7
    SP_CURSOROPTION = 8
    SP_CURSORCLOSE = 9
    SP_EXECUTESQL = 10
    SP_PREPARE = 11
    SP_EXECUTE = 12
    SP_PREPEXEC = 13
    SP_PREPEXECRPC = 14
    SP_UNPREPARE = 15

    @property
    def procedure(self) -> str:
        """The name as SQL Server spells it."""
        return self.name.lower()


_BY_NAME = {procedure.procedure: procedure for procedure in ProcId}
_PARTS = re.compile(r"[.;]")
_NOISE = re.compile(r"[^a-z0-9_]")


def _quoted(part: str) -> str:
    return rf'(?:\[{part}\]|"{part}"|{part})'


_MASTER, _SCHEMA, _PROCEDURE = map(_quoted, ("master", "(?:sys|dbo)", "sp_[a-z]+"))
_PLAIN = re.compile(rf"(?:(?:{_MASTER}\.)?{_SCHEMA}\.|{_MASTER}\.\.)?{_PROCEDURE}(?:;1)? *", re.ASCII | re.IGNORECASE)


def well_known(name: str) -> ProcId | None:
    """Which well-known procedure a name may reach.

    Collations ignore case, width, accents and characters without weight, and names come quoted, qualified, padded and
    numbered. So a name counts if any part of it reads like the procedure's once all of that is taken away.
    """
    parts = (_folded(part) for part in _PARTS.split(name))
    return next((_BY_NAME[part] for part in parts if part in _BY_NAME), None)


def spelled_plainly(name: str) -> bool:
    """Whether a name surely is the well-known procedure and no user's procedure of a similar name.

    It is in ASCII letters of any case, alone or under ``sys``, ``dbo`` or ``master``: there SQL Server never runs a
    user's procedure of the same name.
    """
    return _PLAIN.fullmatch(name) is not None and well_known(name) is not None


def _folded(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).casefold().replace("\N{LATIN SMALL LETTER DOTLESS I}", "i")
    return _NOISE.sub("", letters)
