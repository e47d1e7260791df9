"""A position in the tokens of a batch, and the questions a grammar asks of it."""

from __future__ import annotations

from connectors.sql.tsql.lexer import BINARY, END, NAME, NUMBER, ODD_NAME, STRING, VARIABLE, WORD, Doubt, Token, lex
from connectors.sql.tsql.tree import Parts
from connectors.sql.tsql.words import RESERVED, SOFT_STARTS, STARTS

MAX_DEPTH = 64
_ARTICLE = {**dict.fromkeys((STRING, NUMBER, BINARY, VARIABLE, ODD_NAME), "a"), END: "the"}


class Cursor:
    """Reads tokens from left to right. Every reading method raises Doubt when the text is not what it wants."""

    __slots__ = ("at", "depth", "text", "tokens")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = lex(text)
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.at]

    @property
    def key(self) -> str:
        """The upper-case word or operator that comes next, empty for anything else."""
        return self.tokens[self.at].key

    @property
    def kind(self) -> str:
        """The kind of the token that comes next."""
        return self.tokens[self.at].kind

    def ahead(self, distance: int = 1) -> Token:
        """A token further on; the end stays the end."""
        return self.tokens[min(self.at + distance, len(self.tokens) - 1)]

    def take(self) -> Token:
        """Read any one token."""
        token = self.tokens[self.at]
        if token.kind == END:
            raise self.doubt("more")
        self.at += 1
        return token

    def accept(self, *keys: str) -> str:
        """Read one of these words or operators if it comes next; empty if not."""
        key = self.tokens[self.at].key
        if key and key in keys:
            self.at += 1
            return key
        return ""

    def accept_all(self, *keys: str) -> bool:
        """Read this whole sequence of words if it comes next."""
        if all(self.ahead(index).key == key for index, key in enumerate(keys)):
            self.at += len(keys)
            return True
        return False

    def expect(self, *keys: str) -> str:
        """Read one of these words or operators."""
        return self.accept(*keys) or self._refuse(" or ".join(keys))

    def enter(self) -> None:
        """Go one level of nesting down; ``leave`` comes back up."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Doubt(f"The batch nests deeper than {MAX_DEPTH} levels.")

    def leave(self) -> None:
        """Come back up one level."""
        self.depth -= 1

    def identifier(self) -> str:
        """Read one identifier: a delimited name, or a word that is not reserved."""
        token = self.tokens[self.at]
        if token.kind == NAME or (token.kind == WORD and token.key not in RESERVED and token.key != "$ACTION"):
            self.at += 1
            return token.value
        if token.kind == ODD_NAME:
            raise Doubt(f"The name {token.value!a} is not plain: a collation may hold it equal to another.")
        raise self.doubt("a name")

    def is_identifier(self) -> bool:
        """Whether an identifier comes next."""
        kind, key = self.tokens[self.at].kind, self.tokens[self.at].key
        return kind == NAME or (kind == WORD and key not in RESERVED and key != "$ACTION")

    def name(self, limit: int = 4) -> Parts:
        """Read a name of up to ``limit`` parts, the first of which may be left out; stops before ``.*``."""
        parts = ["" if self.key == "." else self.identifier()]
        while self.key == "." and self.ahead().key != "*":
            self.at += 1
            parts.append("" if self.key == "." else self.identifier())
            if len(parts) > limit:
                raise self.doubt("a name of fewer parts")
        return tuple(parts)

    def alias(self) -> str:
        """Read the alias of a table, with or without AS; empty if there is none."""
        if self.accept("AS"):
            return self.identifier()
        if self.is_identifier() and self.key not in SOFT_STARTS and not self._opens_windows():
            return self.identifier()
        return ""

    def _opens_windows(self) -> bool:
        """Whether WINDOW begins a clause here, as no alias is followed by a name, AS and a parenthesis."""
        return self.key == "WINDOW" and self.ahead(2).key == "AS" and self.ahead(3).key == "("

    def output_alias(self) -> str:
        """Read the alias of an output column: any name, or a string; empty if there is none."""
        explicit = bool(self.accept("AS"))
        if self.kind in (STRING, ODD_NAME):
            return self.take().value
        if explicit or (self.is_identifier() and self.key not in SOFT_STARTS):
            return self.identifier()
        return ""

    def names_in_parentheses(self) -> tuple[str, ...]:
        """Read ``(a, b, ...)``."""
        self.expect("(")
        names = [self.identifier()]
        while self.accept(","):
            names.append(self.identifier())
        self.expect(")")
        return tuple(names)

    def variable(self) -> str:
        """Read one variable."""
        if self.kind != VARIABLE:
            raise self.doubt("a variable")
        return self.take().value

    def number(self) -> str:
        """Read one number, with its sign."""
        sign = self.accept("-", "+")
        if self.kind != NUMBER:
            raise self.doubt("a number")
        return sign + self.take().value

    def balanced(self, allowed: frozenset[str] = frozenset()) -> None:
        """Read ``( ... )`` of options: words and literals, among which no statement may begin but ``allowed``."""
        self.expect("(")
        depth = 1
        while depth:
            token = self.take()
            if token.key in STARTS and token.key not in allowed:
                raise Doubt(f"{token.key} stands among options.")
            if token.key == ";":
                raise Doubt("A semicolon stands among options.")
            depth += (token.key == "(") - (token.key == ")")

    def doubt(self, wanted: str) -> Doubt:
        """The Doubt that something else was wanted here; it quotes no literal, which may be a secret."""
        token = self.token
        found = token.key or (f"[{token.value}]" if token.kind == NAME else f"{_ARTICLE[token.kind]} {token.kind}")
        return Doubt(f"Expected {wanted} at offset {token.start}, found {found}.")

    def _refuse(self, wanted: str) -> str:
        raise self.doubt(wanted)
