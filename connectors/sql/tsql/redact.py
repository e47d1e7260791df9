"""Where the literals of a statement are, so that a recorder can pass its detectors over them."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sql.tsql.lexer import BINARY, NUMBER, STRING, Doubt, lex


@dataclass(frozen=True, slots=True)
class Span:
    """One literal: offsets of its text with its quotes, and the ``value`` that it means."""

    start: int
    end: int
    kind: str
    value: str


def string_literals(text: str) -> tuple[Span, ...]:
    """The string, number and binary literals of a batch, in order; double-quoted text counts as a string.

    A text that cannot be read is one literal from end to end, so that nothing escapes the detectors.
    """
    try:
        tokens = lex(text)
    except Doubt:
        return (Span(0, len(text), STRING, text),) if text else ()
    return tuple(
        Span(token.start, token.end, token.kind if token.kind in (NUMBER, BINARY) else STRING, token.value)
        for token in tokens
        if token.kind in (STRING, NUMBER, BINARY) or token.quoted == '"'
    )
