"""Text of others made harmless to look at: what steers a terminal, or hides and reorders text, becomes visible."""

from __future__ import annotations

_HIDDEN = {ord(c) for c in "\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"}
_STEERING = frozenset(
    {
        *range(0x80, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        0x2028,
        0x2029,
        *_HIDDEN,
        *range(0xD800, 0xE000),
    }
)
_VISIBLE = {code: f"\\u{code:04x}" for code in _STEERING} | {
    **{code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"},
    0x7F: "\u2421",
}


def visible(text: str) -> str:
    """The text with escape codes and other controls as signs (ESC as ␛). Line feeds and tabs stay.

    Marks that reorder or hide text are shown by their code.
    """
    return text.translate(_VISIBLE)


def visible_line(text: str) -> str:
    """The same on one line."""
    return visible(text).replace("\n", "␊").replace("\t", " ")
