"""What a T-SQL batch consists of, as ``script`` reads it. Expressions and queries are kept as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Query:
    """A statement for DuckDB."""

    text: str


@dataclass(frozen=True, slots=True)
class Classify:
    """ADD or DROP SENSITIVITY CLASSIFICATION."""

    text: str


@dataclass(frozen=True, slots=True)
class Declared:
    """One variable of a DECLARE, or parameter of a procedure: name, type and initial expression as text."""

    name: str
    type: str
    initial: str = ""
    output: bool = False


@dataclass(frozen=True, slots=True)
class Declare:
    """DECLARE of scalar variables."""

    variables: tuple[Declared, ...]


@dataclass(frozen=True, slots=True)
class Assign:
    """SET @name = expression."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class Option:
    """SET of a session's option, such as NOCOUNT ON."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """PRINT, RAISERROR, THROW, WAITFOR and USE: the word, and the expressions after it."""

    word: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """BEGIN, COMMIT, ROLLBACK or SAVE."""

    word: str


@dataclass(frozen=True, slots=True)
class Leave:
    """RETURN, perhaps with a value, BREAK or CONTINUE."""

    word: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of EXEC; ``name`` is empty for those by position."""

    name: str
    expression: str
    output: bool


@dataclass(frozen=True, slots=True)
class Execute:
    """EXEC of a procedure, or of a text when it has no ``procedure``."""

    procedure: str
    arguments: tuple[Argument, ...]
    status: str = ""


@dataclass(frozen=True, slots=True)
class Define:
    """CREATE PROCEDURE."""

    name: str
    parameters: tuple[Declared, ...]
    body: str
    text: str


@dataclass(frozen=True, slots=True)
class If:
    """IF and ELSE."""

    condition: str
    then: Node
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class While:
    """WHILE."""

    condition: str
    body: Node


@dataclass(frozen=True, slots=True)
class Block:
    """BEGIN ... END; with ``handler`` BEGIN TRY ... END CATCH."""

    nodes: tuple[Node, ...]
    handler: tuple[Node, ...] | None = None


Node: TypeAlias = (
    Query | Classify | Declare | Assign | Option | Call | Transaction | Leave | Execute | Define | If | While | Block
)
