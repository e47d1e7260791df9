"""The case files: batches and what they do, as a reviewer reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.sql.tsql.classify import Batch, Scope, classify

FIXTURES = Path(__file__).parents[2] / "fixtures" / "tsql"
INFERENCE = "inference.txt"
END_TO_END = ("laundering.txt", "bypasses.txt", "routines.txt", "functions.txt")
SCOPE = Scope("shop")
FLAGS = ("dynamic", "cross_database", "reads_system", "reads_unknown", "unresolved", "copies")


@dataclass(frozen=True)
class Case:
    file: str
    line: int
    text: str
    expected: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.text[:50]!a}"

    @property
    def classified(self) -> bool:
        return self.expected != ("unclassified",)


def load() -> list[Case]:
    """Every case that says what a batch does; ``inference.txt`` has those of what it tells besides."""
    paths = (path for path in sorted(FIXTURES.glob("*.txt")) if path.name not in (INFERENCE, *END_TO_END))
    return [case for path in paths for case in _cases(path)]


def load_inference() -> list[Case]:
    return list(_cases(FIXTURES / INFERENCE))


def _cases(path: Path) -> Iterator[Case]:
    line = 1
    for block in re.split(r"(?<=\n)\n", path.read_text(encoding="utf-8")):
        lines = block.rstrip("\n").split("\n")
        text = "\n".join(each for each in lines if not each.startswith(("# ", "-> ")))
        expected = tuple(each[3:] for each in lines if each.startswith("-> "))
        if expected:
            text = text[1:].encode().decode("unicode_escape") if text.startswith("%") else text
            yield Case(path.name, line, text, expected)
        line += block.count("\n") + 1


def tells(batch: Batch) -> tuple[str, ...]:
    """What a batch tells of columns without showing them, in the words of the case files."""
    words = {"predicates": "tells", "equalities": "equates", "moves": "moves", "written_back": "writes back"}
    found = ((word, batch.facts[fact]) for fact, word in words.items())
    return tuple(f"{word} {', '.join(columns)}" for word, columns in found if isinstance(columns, list) and columns)


def describe(batch: Batch) -> tuple[str, ...]:
    """A batch in the words of the case files."""
    if "unclassified_reason" in batch.facts:
        return ("unclassified",)
    verbs = "; ".join(" ".join([action.verb, ", ".join(action.resources)]).strip() for action in batch.actions)
    lines = [verbs]
    facts = [] if batch.facts["filtered"] else ["unfiltered"]
    facts += [flag for flag in FLAGS if batch.facts[flag]]
    if "sql:select" in verbs and batch.facts["row_limited"]:
        facts.append("row_limited")
    if batch.facts["statement_count"] != 1:
        facts.append(f"statements={batch.facts['statement_count']}")
    if facts:
        lines.append("is " + ", ".join(facts))
    if batch.outputs:
        columns = []
        for output in batch.outputs:
            sources = {f"{table}.*" for table in output.tables} | (output.sources or set())
            columns.append(
                f"{output.name or '_'} < {'?' if output.sources is None else ' '.join(sorted(sources))}".strip()
            )
        lines.append("out " + "; ".join(columns))
    return tuple(lines)


def classified(text: str) -> Batch:
    return classify(text, SCOPE)
