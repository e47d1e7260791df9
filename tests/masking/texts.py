"""Texts for property tests: parts of secrets, look-alikes and noise, in any mixture."""

from __future__ import annotations

from hypothesis import strategies as st

PARTS = [
    "4111 1111 1111 1111",
    "4111111111111111",
    "123-45-6789",
    "ssn: ",
    "123456789",
    "111222333",
    "86095742719",
    "255081416802538",
    "ann@example.com",
    "jürgen@müller.de",
    "NL91 ABNA 0417 1643 00",
    "DE89370400440532013000",
    "AB123456C",
    "password=",
    "pwd: '",
    "''",
    "'",
    '"secret":"',
    '"',
    "{",
    "}",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    ".eyJzdWIiOi",
    "xoxb-123456789012",
    "-----",
    "AccountKey=",
    "sig=",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----",
    "a" * 30,
    "b" * 300,
    "\\",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "\u200b",
    "\u200b\u200b",
    "\u00ad",
    "\ufeff",
    "\u2011",
    "\u00a0",
    "-",
    " ",
    ";",
    "@",
    ".",
    "=",
    ":",
    "\uff11\uff12\uff13",
    "\uff14\uff11\uff11\uff11",
    "٤١١١",
    "४१११",
    "1111",
    "\U0001d7d2111",
    "4",
    "5",
    "x",
    "é",
    "Ж",
    "\0",
    "1234 5678 9012 3456" * 3,
]
_DIGITS = {1: 0xFF10, 2: 0x660, 3: 0x966, 4: 0x1D7CE, 7: 0xE50}
_BEFORE = {5: "\u200b", 6: "\u00ad\ufeff"}


def disguise(text: str, choices: list[int]) -> str:
    """Write some digits, dashes and spaces as their look-alikes."""
    result = []
    for place, char in enumerate(text):
        choice = choices[place % len(choices)]
        if char in "0123456789":
            result.append(_BEFORE.get(choice, "") + (chr(_DIGITS[choice] + int(char)) if choice in _DIGITS else char))
        elif char == "-" and choice % 2:
            result.append("\u2013")
        elif char == " " and choice % 2:
            result.append("\u00a0" if choice % 4 == 1 else "\u2009")
        else:
            result.append(char)
    return "".join(result)


_TEXTS = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=6)), max_size=10).map("".join)
TEXTS = st.one_of(
    _TEXTS, st.builds(disguise, _TEXTS, st.lists(st.integers(min_value=0, max_value=12), min_size=1, max_size=20))
)
