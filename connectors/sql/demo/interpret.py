"""Running a batch: control flow, variables, messages and procedure calls; its queries go to the session."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from connectors.sql.demo.adapt import Variable
from connectors.sql.demo.engine import Session, Variables
from connectors.sql.demo.nodes import (
    Assign,
    Block,
    Call,
    Classify,
    Declare,
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
from connectors.sql.demo.results import Affected, Output, Pause, Result, SqlError, Status, info, type_of
from connectors.sql.demo.script import parse
from connectors.sql.tds.request import Parameter, ParameterFlags

CallProcedure = Callable[[str, Sequence[Parameter]], Iterator[Result]]
_DELAY = re.compile(r"DELAY\s+(.+)", re.IGNORECASE | re.DOTALL)
_CLOCK = re.compile(r"(\d+):(\d+)(?::(\d+(?:\.\d+)?))?")
_BARE = re.compile(r"[A-Za-z_]\w*")
_INFORMATION = 10  # the highest severity that is no error
_DEEPEST = 32  # procedures that call each other


class _Left(Exception):  # noqa: N818 - control flow of the batch, not an error
    """RETURN, BREAK or CONTINUE on its way to what it leaves."""

    def __init__(self, word: str, value: int = 0) -> None:
        super().__init__(word)
        self.word = word
        self.value = value


class Interpreter:
    """Runs batches in one session; ``call`` runs a procedure by name."""

    def __init__(self, session: Session, call: CallProcedure) -> None:
        self._session = session
        self._call_procedure = call
        self._depth = 0

    def run(self, text: str, variables: Variables | None = None) -> Iterator[Result]:
        """Run a batch; ``variables`` are changed by it. Raises SqlError, after which nothing more of it runs."""
        if self._depth >= _DEEPEST:
            raise SqlError(217, f"Maximum stored procedure nesting level exceeded (limit {_DEEPEST}).")
        self._depth += 1
        try:
            yield from self._all(parse(text), {} if variables is None else variables)
        except _Left as left:
            yield Status(left.value)
        finally:
            self._depth -= 1

    def _all(self, nodes: Sequence[Node], variables: Variables) -> Iterator[Result]:
        for node in nodes:
            self._session.check()
            yield from self._node(node, variables)

    def _node(self, node: Node, variables: Variables) -> Iterator[Result]:  # noqa: C901, PLR0912 - one line a kind of node
        match node:
            case Query(text):
                yield from self._session.query(text, variables)
            case Classify(text):
                self._session.classify(text)
                yield Affected()
            case Declare():
                self._declare(node, variables)
            case Assign(name, expression):
                self._assign(name, expression, variables)
            case Option(words):
                self._option(words)
                yield Affected()
            case Call():
                yield from self._call(node, variables)
            case Transaction(word):
                yield from self._transaction(word)
                yield Affected()
            case Execute():
                yield from self._execute(node, variables)
            case Define():
                self._session.engine.define(node)
                yield Affected()
            case If(condition, then, otherwise):
                chosen = then if self._session.holds(condition, variables) else otherwise
                yield from self._all([] if chosen is None else [chosen], variables)
            case While():
                yield from self._while(node, variables)
            case Block(nodes, None):
                yield from self._all(nodes, variables)
            case Block():
                yield from self._try(node, variables)
            case Leave(word, value):
                raise _Left(word, int(self._session.evaluate(value, variables) or 0) if value else 0)

    def _declare(self, node: Declare, variables: Variables) -> None:
        for each in node.variables:
            value = self._session.evaluate(each.initial, variables, each.type) if each.initial else None
            variables[each.name] = Variable(value, each.type)

    def _assign(self, name: str, expression: str, variables: Variables) -> None:
        if name not in variables:
            raise SqlError(137, f'Must declare the scalar variable "{name}".')
        kind = variables[name].type
        variables[name] = Variable(self._session.evaluate(expression, variables, kind), kind)

    def _option(self, words: Sequence[str]) -> None:
        if words[:1] == ("NOCOUNT",):
            self._session.counting = words[-1] != "ON"
        elif words[:1] == ("IMPLICIT_TRANSACTIONS",):
            self._session.implicit = words[-1] == "ON"
        elif words[:1] == ("FMTONLY",):
            self._session.describing = words[-1] == "ON"

    def _transaction(self, word: str) -> Iterator[Result]:
        if word == "SAVE":
            raise SqlError(50000, "The demo has no savepoints.")
        yield from self._session.begin() if word == "BEGIN" else self._session.end(commit=word == "COMMIT")

    def _while(self, node: While, variables: Variables) -> Iterator[Result]:
        while self._session.holds(node.condition, variables):
            try:
                yield from self._all([node.body], variables)
            except _Left as left:
                if left.word == "RETURN":
                    raise
                if left.word == "BREAK":
                    return

    def _try(self, node: Block, variables: Variables) -> Iterator[Result]:
        try:
            yield from self._all(node.nodes, variables)
        except SqlError as error:
            self._session.check()
            outer, self._session.caught = self._session.caught, error.message
            try:
                yield from self._all(node.handler or (), variables)
            finally:
                self._session.caught = outer

    def _call(self, node: Call, variables: Variables) -> Iterator[Result]:
        first = node.arguments[0] if node.arguments else ""
        match node.word:
            case "USE":
                yield from self._session.use(first.strip("[] "))
            case "PRINT":
                yield info(_shown(self._session.evaluate(first, variables)))
            case "WAITFOR":
                yield Pause(self._seconds(first, variables))
            case "THROW" if not node.arguments:
                raise self._again()
            case "THROW":
                number, text, state = (self._session.evaluate(a, variables) for a in node.arguments)
                raise SqlError(int(number), str(text), 16, int(state))
            case _:
                yield from self._raiserror([self._session.evaluate(a, variables) for a in node.arguments])

    def _again(self) -> SqlError:
        """What a bare THROW raises: the error that was caught."""
        caught = self._session.caught
        if caught is None:
            return SqlError(10704, "To rethrow an error, a THROW statement must be used inside a CATCH block.")
        return SqlError(caught.number, caught.text, caught.severity, caught.state)

    def _raiserror(self, values: Sequence[Any]) -> Iterator[Result]:
        text, severity, state, *arguments = values
        try:
            text = str(text) % tuple(arguments) if arguments else str(text)
        except (TypeError, ValueError):
            raise SqlError(2786, "The data type of a substitution parameter does not match the format.") from None
        if severity > _INFORMATION:
            raise SqlError(50000, text, int(severity), int(state))
        yield info(text, 50000, int(severity))

    def _seconds(self, argument: str, variables: Variables) -> float:
        found = _DELAY.fullmatch(argument)
        clock = _CLOCK.fullmatch(str(self._session.evaluate(found[1], variables))) if found else None
        if clock is None:
            raise SqlError(148, "Incorrect time syntax in time string used with WAITFOR.")
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3] or 0)

    def _execute(self, node: Execute, variables: Variables) -> Iterator[Result]:
        """EXEC. What the procedure puts out goes to the variables named after OUTPUT."""
        values = [self._argument(argument.expression, variables) for argument in node.arguments]
        if not node.procedure:
            yield from self.run(str(values[0]))
            return
        parameters = [
            Parameter(type_of(value), value, argument.name, ParameterFlags(int(argument.output)))
            for argument, value in zip(node.arguments, values, strict=True)
        ]
        if node.status in variables:
            variables[node.status] = Variable(0, variables[node.status].type)
        targets = iter([a.expression.lower() for a in node.arguments if a.output])
        for result in self._call_procedure(node.procedure, parameters):
            match result:
                case Output(value=value):
                    target = next(targets, "")
                    if target in variables:
                        variables[target] = Variable(value, variables[target].type)
                case Status(value):
                    if node.status in variables:
                        variables[node.status] = Variable(value, variables[node.status].type)
                case _:
                    yield result

    def _argument(self, expression: str, variables: Variables) -> Any:
        """An argument of EXEC is a literal or variable, or a bare word that stands for itself."""
        if _BARE.fullmatch(expression):
            return None if expression.upper() in {"NULL", "DEFAULT"} else expression
        return self._session.evaluate(expression, variables)


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
