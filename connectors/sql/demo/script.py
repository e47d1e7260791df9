"""Reading a T-SQL batch: its statements, where each of them ends, and its control flow.

What DuckDB can run stays text; the rest becomes nodes that ``interpret`` runs. This reader shares no grammar with the
broker's classification, on purpose: a server that saw only what the broker sees could not show what the broker misses.
"""

from __future__ import annotations

from collections.abc import Set

from connectors.sql.demo.nodes import (
    Argument,
    Assign,
    Block,
    Call,
    Classify,
    Declare,
    Declared,
    Define,
    Execute,
    If,
    Leave,
    Node,
    Option,
    Query,
    Transaction,
    While,
)
from connectors.sql.demo.results import SqlError
from connectors.sql.tsql.lexer import END, OPERATOR, STRING, VARIABLE, WORD, Doubt, Token, lex

_MAIN = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}
_RIGHTS = {"GRANT", "REVOKE", "DENY"}
_QUERIES = _MAIN | _RIGHTS | {"CREATE", "ALTER", "DROP", "TRUNCATE"}
_STARTERS = _QUERIES | {
    "DECLARE", "SET", "PRINT", "RAISERROR", "THROW", "IF", "WHILE", "BEGIN", "COMMIT", "ROLLBACK", "SAVE", "EXEC",
    "EXECUTE", "USE", "WAITFOR", "RETURN", "BREAK", "CONTINUE", "ELSE", "END",
}  # fmt: skip
_JOINING = {"UNION", "ALL", "EXCEPT", "INTERSECT"}  # a SELECT after one of these goes on
#: The keywords that belong, once, to a statement that begins with another one.
_INNER = {
    "INSERT": {"SELECT", "EXEC", "EXECUTE"},
    "UPDATE": {"SET"},
    "ALTER": {"DROP", "ALTER", "SET"},
    "DROP": {"IF"},
    "WITH": _MAIN,
}
_MODULES = {"PROC", "PROCEDURE", "FUNCTION", "TRIGGER", "VIEW"}


def parse(text: str) -> list[Node]:
    """Read a batch. Raises SqlError 102 where it is not T-SQL that the demo knows."""
    try:
        return _Parser(text).batch()
    except Doubt as doubt:
        raise SqlError(102, f"Incorrect syntax. {doubt}") from None
    except RecursionError:
        raise SqlError(191, "Some part of your SQL statement is nested too deeply.") from None


def parse_parameters(text: str) -> tuple[Declared, ...]:
    """Read the declaration of parameters that sp_executesql takes: ``@a int, @b nvarchar(20) OUTPUT``."""
    [node] = parse(f"DECLARE {text}") if text.strip() else [Declare(())]
    return node.variables if isinstance(node, Declare) else ()


def bare_name(procedure: str) -> str:
    """A procedure's own name, without schema, brackets and number."""
    return procedure.rsplit(".", 1)[-1].split(";", 1)[0].strip('[]" ').lower()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = lex(text)
        self._at = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def batch(self) -> list[Node]:
        """All statements up to the end."""
        nodes = []
        while self._skip_semicolons().kind != END:
            nodes.append(self._statement())
        return nodes

    def _skip_semicolons(self) -> Token:
        while self._accept(";"):
            pass
        return self._token

    def _accept(self, *keys: str) -> str:
        key = self._token.key
        if key not in keys:
            return ""
        self._at += 1
        return key

    def _expect(self, key: str) -> None:
        if not self._accept(key):
            raise self._error()

    def _error(self) -> SqlError:
        near = self._text[self._token.start : self._token.end] or "the end of the batch"
        return SqlError(102, f"Incorrect syntax near '{near}'.")

    def _statement(self) -> Node:  # noqa: C901, PLR0911, PLR0912 - one line a kind of statement
        token = self._token
        if token.key in {"ADD", "DROP"} and self._tokens[self._at + 1].key == "SENSITIVITY":
            return Classify(self._whole())
        if token.key in _QUERIES or token.key == "WITH":
            return self._query()
        if token.kind == WORD and token.key not in _STARTERS and self._at == 0:
            return self._execute()  # a procedure's name as first word of a batch
        self._at += 1
        match token.key:
            case "DECLARE":
                return Declare(self._variables())
            case "SET":
                return self._set()
            case "PRINT" | "RAISERROR" | "THROW" | "WAITFOR" | "USE":
                return Call(token.key, self._list())
            case "COMMIT" | "ROLLBACK" | "SAVE":
                self._until()
                return Transaction(token.key)
            case "RETURN" | "BREAK" | "CONTINUE":
                return Leave(token.key, self._until())
            case "EXEC" | "EXECUTE":
                return self._execute()
            case "IF":
                return self._if()
            case "WHILE":
                return While(self._until(), self._one())
            case "BEGIN":
                return self._begin()
            case _:
                self._at -= 1
                raise self._error()

    def _whole(self) -> str:
        """The text of a statement that ends at a semicolon, or where another begins."""
        start = self._at
        self._at += 1
        while not self._ends():
            self._step()
        return self._span(start)

    def _one(self) -> Node:
        """One statement, which must be there."""
        if self._token.kind == END:
            raise self._error()
        return self._statement()

    def _if(self) -> Node:
        condition, then = self._until(), self._one()
        mark = self._at
        self._skip_semicolons()
        if self._accept("ELSE"):
            return If(condition, then, self._one())
        self._at = mark
        return If(condition, then, None)

    def _begin(self) -> Node:
        if self._accept("TRAN", "TRANSACTION"):
            self._until()
            return Transaction("BEGIN")
        if not self._accept("TRY"):
            return Block(self._block())
        nodes = self._block()
        self._expect("TRY")
        self._skip_semicolons()
        self._expect("BEGIN")
        self._expect("CATCH")
        handler = self._block()
        self._expect("CATCH")
        return Block(nodes, handler)

    def _block(self) -> tuple[Node, ...]:
        nodes = []
        while self._skip_semicolons().key != "END":
            nodes.append(self._one())
        self._at += 1
        return tuple(nodes)

    def _list(self) -> tuple[str, ...]:
        """Expressions with commas between, in parentheses or not."""
        inside = bool(self._accept("("))
        found = [text] if (text := self._until(",", ")")) else []
        while self._accept(","):
            found.append(self._until(",", ")"))
        if inside:
            self._expect(")")
        self._until()  # such as WITH NOWAIT
        return tuple(found)

    def _set(self) -> Node:
        if self._token.kind != VARIABLE:
            words = self._until("ON", "OFF").upper().split()
            return Option((*words, self._accept("ON", "OFF")))
        name = self._token.value.lower()
        self._at += 1
        self._expect("=")
        return Assign(name, self._until())

    def _variables(self) -> tuple[Declared, ...]:
        """``@name [AS] type [= expression] [OUTPUT]``, with commas between."""
        found = []
        while self._token.kind == VARIABLE:
            name = self._token.value.lower()
            self._at += 1
            self._accept("AS")
            kind = self._until(",", "=", "OUTPUT", "OUT", "AS")
            initial = self._until(",", "OUTPUT", "OUT", "AS") if self._accept("=") else ""
            found.append(Declared(name, kind, initial, bool(self._accept("OUTPUT", "OUT"))))
            if not self._accept(","):
                break
        return tuple(found)

    def _execute(self) -> Node:
        if self._token.key == "(":
            return Execute("", (Argument("", self._until(), output=False),))
        status = ""
        if self._token.kind == VARIABLE:
            status = self._token.value.lower()
            self._at += 1
            self._expect("=")
        start = self._at
        while self._token.key == "." or (
            self._token.kind not in {END, OPERATOR, STRING, VARIABLE} and self._joined(start)
        ):
            self._at += 1
        if self._at == start:
            raise self._error()
        return Execute(self._span(start), self._arguments(), status)

    def _joined(self, start: int) -> bool:
        """Whether this token continues a dotted name."""
        return self._at == start or self._tokens[self._at - 1].key == "."

    def _arguments(self) -> tuple[Argument, ...]:
        found: list[Argument] = []
        while found or not self._ends():
            name = ""
            if self._token.kind == VARIABLE and self._tokens[self._at + 1].key == "=":
                name = self._token.value.lower()
                self._at += 2
            expression = self._until(",", "OUTPUT", "OUT")
            if not expression:
                raise self._error()
            found.append(Argument(name, expression, bool(self._accept("OUTPUT", "OUT"))))
            if not self._accept(","):
                break
        return tuple(found)

    def _query(self) -> Node:
        start, head = self._at, self._token.key
        self._at += 1
        if head in {"CREATE", "ALTER"} and (kind := self._module()):
            self._at = len(self._tokens) - 1
            return self._define(start) if kind in {"PROC", "PROCEDURE"} else Query(self._span(start))
        inner = set(_INNER.get(head, ()))
        rights = head in _RIGHTS
        while not self._ends(inner, whole=rights or head == "MERGE"):
            key = self._token.key
            if key in inner:
                inner = set(_INNER.get(key, ())) if head == "WITH" else set()
            rights = rights and key != "TO"
            self._step()
        return Query(self._span(start))

    def _ends(self, inner: Set[str] = frozenset(), *, whole: bool = False) -> bool:
        """Whether the statement that is being read ends before this token; a ``whole`` one only at a semicolon."""
        key = self._token.key
        if self._token.kind == END or key == ";":
            return True
        before = self._tokens[self._at - 1].key
        joined = before in _JOINING or (before == "ON" and key in {"DELETE", "UPDATE"})
        return key in _STARTERS and key not in inner and not joined and not whole

    def _module(self) -> str:
        """The kind of module that is created here, whose text goes on to the end of the batch."""
        self._accept("OR")
        self._accept("ALTER")
        return self._token.key if self._token.key in _MODULES else ""

    def _define(self, start: int) -> Node:
        self._at = start
        while not self._accept("PROC", "PROCEDURE"):
            self._at += 1
        name_start = self._at
        while self._token.kind not in {VARIABLE, END} and self._token.key != "AS":
            self._at += 1
        name, parameters = self._span(name_start), self._variables()
        self._expect("AS")
        body_start = self._at
        self._at = len(self._tokens) - 1
        return Define(name, parameters, self._span(body_start), self._span(start))

    def _until(self, *stops: str) -> str:
        """The text of an expression up to what ends it."""
        start = self._at
        while self._token.key not in stops and not self._ends():
            self._step()
        return self._span(start)

    def _step(self) -> None:
        """Move over one token, or over all that is in parentheses or in a CASE."""
        opened = {"(": ")", "CASE": "END"}.get(self._token.key)
        self._at += 1
        if opened is None:
            return
        while self._token.key != opened:
            if self._token.kind == END:
                raise self._error()
            self._step()
        self._at += 1

    def _span(self, start: int) -> str:
        """The text from a token up to the present one."""
        return self._text[self._tokens[start].start : self._tokens[self._at - 1].end] if self._at > start else ""
