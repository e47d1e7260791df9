"""Fuzz the classification of T-SQL: batches cut, joined, shuffled and damaged.

    python tests/fuzz/fuzz_tsql.py --seconds 60 [--seed 1]

Stops at the first batch that raises, that is classified without an action, or that loses a DROP TABLE which was put
between its tokens, and prints it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable

from connectors.sql.tsql.classify import VERBS, Batch, Scope, classify
from connectors.sql.tsql.lexer import Doubt, lex
from connectors.sql.tsql.redact import string_literals
from connectors.sql.tsql.words import RESERVED
from tests.sql.tsql.cases import load

SCOPE = Scope("shop")
DROP = "\nDROP TABLE zz;\n"
ODD = [
    "\0",
    "\r",
    "\n",
    "'",
    '"',
    "[",
    "]",
    "--",
    "/*",
    "*/",
    ";",
    "(",
    ")",
    "\u2028",
    "\u00a0",
    "\uff07",
    "@",
    "#",
    ".",
]
MODULES = (
    "CREATE OR ALTER",
    *(
        f"{verb} {kind}"
        for verb in ("CREATE", "ALTER")
        for kind in ("PROC", "TRIGGER", "FUNCTION", "VIEW", "MATERIALIZED")
    ),
)
PERMISSIONS = ("GRANT", "REVOKE", "DENY")


def pieces(text: str) -> list[str]:
    """The tokens of a text as written, or its characters if it has none."""
    try:
        return [text[token.start : token.end] for token in lex(text)[:-1]]
    except Doubt:
        return [*text]


def damaged(corpus: list[str], rng: random.Random) -> str:
    """A batch made of others: joined, cut, shuffled, with odd characters and words put in."""
    parts = pieces(rng.choice(corpus))
    if rng.random() < 0.5:
        parts += pieces(rng.choice(corpus))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(parts) + 1)
        match rng.randrange(4):
            case 0:
                parts.insert(at, rng.choice(ODD))
            case 1:
                parts.insert(at, rng.choice(sorted(RESERVED)))
            case 2:
                del parts[at : at + rng.randrange(1, 4)]
            case _:
                parts[at : at + 6] = rng.sample(parts[at : at + 6], len(parts[at : at + 6]))
    return rng.choice([" ", "\n", "/**/"]).join(parts)


def invaded(corpus: list[str], rng: random.Random) -> str:
    """A batch with a DROP TABLE between two of its tokens."""
    parts = pieces(rng.choice(corpus))
    parts.insert(rng.randrange(len(parts) + 1), DROP)
    return " ".join(parts)


def check_damaged(text: str, batch: Batch) -> bool:
    """Whether the verdict on any batch has the shape that all verdicts have."""
    string_literals(text)
    return bool(batch.actions) and {action.verb for action in batch.actions} <= VERBS


def check_invaded(text: str, batch: Batch) -> bool:
    """Whether the DROP TABLE is seen. A module is all of its batch, and a list of permissions is of any words."""
    if " ".join(text.split()).startswith((*MODULES, *PERMISSIONS)):
        return True
    return bool({action.verb for action in batch.actions} & {"sql:drop", "sql:unclassified"})


RUNS: list[tuple[Callable[[list[str], random.Random], str], Callable[[str, Batch], bool]]] = [
    (damaged, check_damaged),
    (invaded, check_invaded),
]


def fuzz(seconds: float, seed: int) -> int:
    """Run until the time is up: 0 if nothing was found."""
    rng = random.Random(seed)
    corpus = [case.text for case in load()]
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        make, check = RUNS[count % len(RUNS)]
        text = make(corpus, rng)
        try:
            good = check(text, classify(text, SCOPE))
        except Exception:
            print(f"raised by {text!r} (seed {seed})", file=sys.stderr)
            raise
        if not good:
            print(f"not seen for what it is: {text!r} (seed {seed})", file=sys.stderr)
            return 1
        count += 1
    print(f"{count} batches, none failed")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(fuzz(arguments.seconds, arguments.seed))
