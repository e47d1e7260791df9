"""An exact lexer of the T-SQL that can be read without doubt.

It takes the part of the language whose tokens are the same under every setting, collation and version, and doubts
the rest: control characters, names outside ASCII (a collation may hold them equal to an ASCII name), a lone carriage
return or another line separator in a line comment, numbers run into words, strings continued by a backslash. Block
comments nest, as the server's do.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_TEXT = 1_048_576
MAX_TOKENS = 20_000

WORD = "word"  # a regular identifier or a keyword
NAME = "name"  # a delimited identifier in plain ASCII
ODD_NAME = "doubtful name"  # a delimited identifier that a collation could hold equal to another
STRING = "string"
NUMBER = "number"
BINARY = "binary"
VARIABLE = "variable"
OPERATOR = "operator"
END = "end"


class Doubt(Exception):  # noqa: N818 - it is a verdict, not a failure of the program
    """The text is not understood well enough to say what it does; the message is a sentence for a person."""


class Token(NamedTuple):
    """One token: ``key`` is the upper-case word or the operator, empty for all that can be neither.

    ``value`` is what it means (a name or string without its quotes); ``start`` and ``end`` are offsets in the text.
    ``quoted`` is the opening quote of a delimited name, or ``N`` for a national string.
    """

    kind: str
    key: str
    value: str
    start: int
    end: int
    quoted: str = ""


_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<string>[Nn]?'[^']*+(?:''[^']*+)*+')
    | (?P<escape>\{[ ]*(?:[dD]|[tT]|[tT][sS]|[gG][uU][iI][dD])[ ]*'[0-9A-Fa-f:. -]*+'[ ]*\})
    | (?P<bracket>\[[^\]]*+(?:\]\][^\]]*+)*+\])
    | (?P<double>"[^"]*+(?:""[^"]*+)*+")
    | (?P<binary>0[xX][0-9A-Fa-f]*+)
    | (?P<number>\$?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)
    | (?P<variable>@@?[A-Za-z_\#][A-Za-z0-9_@$\#]*+)
    | (?P<word>[A-Za-z_\#][A-Za-z0-9_@$\#]*+|\$action(?![A-Za-z0-9_@$\#]))
    | (?P<operator>::|<<|>>|<=|>=|<>|!=|!<|!>|\|\||[-+*/%&|^]=|[-+*/%&|^~=<>(),;.:])
    """,
    re.VERBOSE,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_AFTER_NUMBER = re.compile(r"[A-Za-z0-9_@$#.\\]")
_ODD_LINE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x85\u2028\u2029]|\r(?!$)")
_PLAIN_NAME = re.compile(r"[ -~]{0,127}[!-~]")
_CONTINUED = re.compile(r"\\\r?\n")


def lex(text: str) -> list[Token]:
    """Split a batch into its tokens, closed by one of kind ``END``. Raises Doubt."""
    if len(text) > MAX_TEXT:
        raise Doubt("The batch is longer than 1 MB.")
    if "\0" in text:
        raise Doubt("The batch contains a NUL character.")
    tokens: list[Token] = []
    position, size = 0, len(text)
    match = _TOKEN.match
    while position < size:
        found = match(text, position)
        if found is None:
            raise Doubt(_unreadable(text, position))
        position = found.end()
        group = found.lastgroup
        if group == "space":
            continue
        if group == "line":
            _check_line(found[0])
        elif group == "block":
            position = _block_end(text, found.start())
        else:
            tokens.append(_token(str(group), found, text))
            if len(tokens) > MAX_TOKENS:
                raise Doubt(f"The batch has more than {MAX_TOKENS} tokens.")
    tokens.append(Token(END, "", "", size, size))
    return tokens


def _token(group: str, found: re.Match[str], text: str) -> Token:
    raw, start, end = found[0], found.start(), found.end()
    match group:
        case "word":
            return Token(WORD, raw.upper(), raw, start, end)
        case "operator":
            return Token(OPERATOR, raw, raw, start, end)
        case "variable":
            return Token(VARIABLE, "", raw, start, end)
        case "string":
            return _string(raw, start, end)
        case "number" | "binary" | "escape":  # the last is of ODBC: a date, a time or an identifier
            if _AFTER_NUMBER.match(text, end):
                raise Doubt(f"The number at offset {start} runs into what follows it.")
            return Token(NUMBER if group == "number" else BINARY, "", raw, start, end)
        case _:
            close = raw[-1]
            value = raw[1:-1].replace(close * 2, close)
            return Token(NAME if _PLAIN_NAME.fullmatch(value) else ODD_NAME, "", value, start, end, raw[0])


def _string(raw: str, start: int, end: int) -> Token:
    if _CONTINUED.search(raw):
        raise Doubt("A string is continued over a line by a backslash.")
    national = raw[0] in "Nn"
    value = raw[2 if national else 1 : -1].replace("''", "'")
    return Token(STRING, "", value, start, end, "N" if national else "")


def _check_line(comment: str) -> None:
    """Only a line feed ends a line comment; whoever thinks otherwise of another separator would see other code."""
    if _ODD_LINE.search(comment):
        raise Doubt("A line comment contains a control character or an unusual line separator.")


def _block_end(text: str, start: int) -> int:
    depth, position = 0, start
    while True:
        edge = _BLOCK_EDGE.search(text, position)
        if edge is None:
            raise Doubt("A block comment is not closed.")
        position = edge.end()
        if edge[0] == "/*":
            depth += 1
            if text.startswith("/", position):
                raise Doubt("A block comment opens with '/*/', which readers take differently.")
        else:
            depth -= 1
        if depth == 0:
            return position


def _unreadable(text: str, position: int) -> str:
    character = text[position]
    if character in "'\"[":
        return f"The quote opened at offset {position} is not closed."
    return f"The character {character!a} at offset {position} is not plain T-SQL."
