"""What a statement is found by: its words, and terms that stand for who, where, what and how it was decided.

Words are runs of letters, digits and underscores, in lower case; terms hold a ``=``, which no word does. Both are told
apart here and nowhere else, so that SQLite and PostgreSQL find the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2s
from typing import Any, Final

from hoopcli.errors import UsageError

LONGEST: Final = 64
"""Characters of a word that count."""
MOST: Final = 2_000
"""Different words of one statement that are kept."""
MOST_ASKED: Final = 20
SHORTEST_PREFIX: Final = 3
_WORD: Final = re.compile(r"\w+")
_ASKED: Final = re.compile(r"\w+\*?")
_MOST_PARTS: Final = 6


def words(text: str) -> list[str]:
    """The different words of a text, in order."""
    found = dict.fromkeys([word[:LONGEST] for word in _WORD.findall(text.lower())])
    kept = list(found)[:MOST]
    return kept if text.isascii() else [_plain(word) for word in kept]


def asked(text: str) -> tuple[list[str], list[str]]:
    """The words that somebody looks for, and the beginnings of words (``cust*``). Raises UsageError."""
    whole, beginnings = [], []
    for word in _ASKED.findall(text.lower()):
        if not word.endswith("*"):
            whole.append(_plain(word[:LONGEST]))
        elif len(word) <= SHORTEST_PREFIX:
            raise UsageError(f"{word!r} is the beginning of too many words", "write three characters or more before *")
        else:
            beginnings.append(_plain(word[:-1][:LONGEST]))
    if len(whole) + len(beginnings) > MOST_ASKED:
        raise UsageError(f"that are more than {MOST_ASKED} words")
    if text.strip() and not whole and not beginnings:
        raise UsageError(f"there is no word in {text!r}")
    return whole, beginnings


@lru_cache(maxsize=20_000)
def term(kind: str, value: str) -> str:
    """One term: ``p`` person, ``o`` on behalf of, ``c`` connection, ``k`` connector, ``v`` verb, ``r`` resource.

    Of decisions and outcomes: ``e`` effect, ``u`` rule, ``m`` masked, ``w`` waited; ``g`` is a scope.
    """
    return f"{kind}={blake2s(value.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def request_terms(body: Mapping[str, Any]) -> list[str]:
    """The terms of an ``exchange.request``."""
    actions, decision = body["actions"], body["decision"]
    found = [term("e", str(decision["effect"])), term("u", str(decision["rule"]))]
    found += [term("v", str(action["verb"])) for action in actions]
    found += [part for action in actions for name in action["resources"] for part in _resource_terms(str(name))]
    return list(dict.fromkeys(found))[:MOST]


def resource_term(name: str) -> str:
    """The term of a table, a container, or what else a statement touches, as somebody looks for it."""
    return term("r", name.strip().strip("/").lower())


def fts_query(terms: Iterable[str], whole: Sequence[str], beginnings: Sequence[str], any_of: Sequence[str]) -> str:
    """What FTS5 is to match; empty for everything."""
    said = [f'"{word}"' for word in (*terms, *whole)] + [f'"{word}"*' for word in beginnings]
    if any_of:
        said.append("(" + " OR ".join(f'"{word}"' for word in any_of) + ")")
    return " AND ".join(said)


def ts_query(terms: Iterable[str], whole: Sequence[str], beginnings: Sequence[str], any_of: Sequence[str]) -> str:
    """The same for PostgreSQL."""
    said = [f"'{word}'" for word in (*terms, *whole)] + [f"'{word}':*" for word in beginnings]
    if any_of:
        said.append("(" + " | ".join(f"'{word}'" for word in any_of) + ")")
    return " & ".join(said)


def ts_vector(tokens: Iterable[str]) -> str:
    """A ``tsvector`` without positions."""
    return " ".join(f"'{token}'" for token in tokens)


@lru_cache(maxsize=20_000)
def _resource_terms(name: str) -> list[str]:
    return [term("r", part) for part in _parts(name)]


def _parts(resource: str) -> list[str]:
    """A resource and its short names: ``shop.dbo.orders``, ``dbo.orders``, ``orders``; the folders of a path."""
    name = resource.lower().strip("/")
    if "/" in name:
        steps = name.split("/")
        return [name, *("/".join(steps[:n]) for n in range(1, min(len(steps), _MOST_PARTS)))]
    steps = name.split(".")
    return [".".join(steps[n:]) for n in range(max(0, len(steps) - _MOST_PARTS), len(steps))] + [name]


def _plain(word: str) -> str:
    """A word in ASCII: what is not stands in hex, so that no database takes it apart or folds it in its own way."""
    return word if word.isascii() else "x=" + word.encode("utf-8", "replace").hex()
