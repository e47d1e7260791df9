"""What a use of a column tells of its values, other than by showing them.

Which rows come back, in which order, how often, and whether a computation failed, is NULL or is empty: all of this
depends on the values. Only a column that is shown as it is, or through functions that can neither fail nor vanish
because of a value, tells nothing once it is masked.
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.sql.tsql.lexer import STRING
from connectors.sql.tsql.tree import NULL, Column, Constant, Expr, Node

_ALL = 1 << 30
#: How many of its first arguments a function or operator shows whole: whether it fails, is NULL or is empty says no
#: more of a value than whether that is NULL or empty itself.
_SHOWN = {
    **dict.fromkeys(("concat", "concat_ws", "join", "collate", "count", "json_object", "json_array"), _ALL),
    **dict.fromkeys(("upper", "lower", "reverse", "quotename", "len", "datalength", "to text", "isnull"), 1),
    **dict.fromkeys(("left", "right", "substring"), 1),
    **dict.fromkeys(("min", "max", "avg", "sum", "string_agg"), 1),
    **dict.fromkeys(("first_value", "last_value", "lag", "lead"), 1),
}


def shown(node: Node) -> int:
    """How many of the first arguments only pass through; the others decide something."""
    if node.op == "coalesce":
        return _ALL if all(map(is_wordy, node.args[1:])) else 0
    return _SHOWN.get(node.op, 0)


def is_wordy(value: Expr) -> bool:
    """Whether a value is a text in which no number can be read: next to it nothing is converted to a number."""
    return isinstance(value, Constant) and value.kind == STRING and not any(map(str.isdigit, value.text))


def keeps_type(value: Expr) -> bool:
    """Whether a branch of a UNION does not choose a type to which the values of other branches are converted.

    The types of columns are not known here; two that differ can still make a conversion fail.
    """
    if isinstance(value, Constant):
        return value == NULL or value.kind == STRING
    return isinstance(value, Column) or (isinstance(value, Node) and bool(shown(value)))


def conjuncts(condition: Expr) -> Iterator[Expr]:
    """The conditions that must all hold for this one to hold."""
    if isinstance(condition, Node) and condition.op == "and":
        for part in condition.args:
            yield from conjuncts(part)
    else:
        yield condition


def equated(condition: Expr) -> Column | None:
    """The column of ``column = value`` with a value that is no column's."""
    if not isinstance(condition, Node) or condition.op != "equal":
        return None
    left, right = condition.args
    if isinstance(right, Column):
        left, right = right, left
    return left if isinstance(left, Column) and isinstance(right, Constant) else None
