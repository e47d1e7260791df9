from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.cast_text import Commands, Lines, Sanitiser, Tokens, sanitised

_PIECES = (
    ("a", "bc ", "\x1b", "[", "]", "0;", "\x07", "\\", "31m", "K", "\r", "\n", "\b", "\t", "2J", "P", "\x9b"),
    ("\x1b[C", "\x1b[3D", "\x1b[5G", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[2@", "\x1b[A", "\x1b[5;5H", "\u202e"),
)
PARTS = st.lists(st.sampled_from([piece for pieces in _PIECES for piece in pieces]), max_size=30).map("".join)


def lines(text: str, cols: int = 80) -> list[str]:
    model = Lines(cols)
    return [*model.feed(text), model.current]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("ls -la\r\n", ["ls -la", ""]),
        ("abc\b\b\bxy", ["xyc"]),
        ("50%\r100%", ["100%"]),
        ("a\tb", ["a       b"]),
        ("\x1b[31mred\x1b[0m text", ["red text"]),
        ("\x1b]0;title\x07$ id", ["$ id"]),
        ("\x1b]0;title\x1b\\$ id", ["$ id"]),
        ("\x1b[?2004h$ id\x1b[?2004l", ["$ id"]),
        ("\x1b(B\x1b=text\x1b>", ["text"]),
        ("abcdef\x1b[3D\x1b[K", ["abc"]),
        ("abcdef\x1b[3D\x1b[1K", ["    ef"]),
        ("abcdef\x1b[2Kx", ["      x"]),
        ("abcdef\x1b[3G\x1b[2Px", ["abxf"]),
        ("abc\x1b[2D\x1b[2@xy", ["axybc"]),
        ("abcdef\x1b[1G\x1b[2X", ["  cdef"]),
        ("ab\x1b[3Cc", ["ab   c"]),
        ("abc\x1b[99D.", [".bc"]),
        ("one\x1b[2;1Htwo\x1b[2Jthree", ["one", "two", "three"]),
        ("\x1b[H\x1b[2Jtop", ["top"]),
        ("bell\x07 nul\0", ["bell nul"]),
        ("\x1bPq#0;2;0;0;0\x1b\\after", ["after"]),
        ("\x1b]8;;http://a.example\x1b\\link\x1b]8;;\x1b\\", ["link"]),
        ("8 bit \x9b31m", ["8 bit 31m"]),
    ],
)
def test_a_line_is_what_a_person_saw(shown: str, expected: list[str]) -> None:
    assert lines(shown) == expected


def test_a_string_that_never_ends_hides_nothing_further_on() -> None:
    assert lines("\x1b]0;never\r\nrm -rf /\r\n") == ["", "rm -rf /", ""]
    assert lines("\x1b]0;never\x1b[0m rm -rf /") == [" rm -rf /"]
    assert "rm -rf /" in lines("\x1b]0;" + "x" * 5000 + "rm -rf /")[0]


def test_a_long_command_is_one_line_though_it_wraps() -> None:
    assert lines("0123456789 \rab\r\n", cols=10) == ["0123456789ab", ""]
    assert lines("0123456789ab\x1b[Ax", cols=10) == ["01x3456789ab"]
    assert lines("0123456789ab\x1b[2Gx", cols=10) == ["0123456789ax"]


def test_memory_is_bounded() -> None:
    assert len(lines("x" * 100_000)[0]) == 4096
    assert len(lines("x\x1b[9999C" * 10)[0]) <= 4096
    assert len(lines("\x1b[9999@" * 10 + "x")[0]) <= 4096


@given(PARTS, st.integers(1, 5))
def test_any_cut_gives_the_same(text: str, step: int) -> None:
    parts = [text[at : at + step] for at in range(0, len(text), step)]
    model = Lines()
    assert [*(line for part in parts for line in model.feed(part)), model.current] == lines(text)
    sanitiser = Sanitiser()
    assert "".join(map(sanitiser.feed, parts)) == sanitised(text)


_ALLOWED = re.compile(
    r"(?:[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]|[\b\t\n\r]|\x1b\[[0-9;:]*[@A-HJKLMPSTXdfm])*"
)


@given(PARTS | st.text(max_size=100))
def test_what_is_replayed_steers_no_terminal(text: str) -> None:
    assert _ALLOWED.fullmatch(sanitised(text))


@pytest.mark.parametrize(
    ("hostile", "left"),
    [
        ("\x1b]52;c;ZXZpbA==\x07a", "a"),
        ("\x1b]0;t\x07a", "a"),
        ("\x1b[6na", "a"),
        ("\x1b[ca", "a"),
        ("\x1b[21ta", "a"),
        ("\x1b[?1049ha", "a"),
        ("\x1b[>4;1ma", "a"),
        ("\x1b[1 qa", "a"),
        ("\x1bca", "a"),
        ("\x1bP$qm\x1b\\a", "a"),
        ("\x1b_Gf=100;aGk=\x1b\\a", "a"),
        ("\x9d0;t\x9ca", "0;ta"),
        ("\x05\x0e\x0fa", "a"),
        ("\u202eabc", "abc"),
        ("\x1b[31;1mred\x1b[0m\x1b[2K\x1b[10;5H", "\x1b[31;1mred\x1b[0m\x1b[2K\x1b[10;5H"),
        ("\x1b[99999m", ""),
        ("\x1b\x1b[31m", "\x1b[31m"),
        ("\x1b\ntext", "\ntext"),
    ],
)
def test_hostile_output(hostile: str, left: str) -> None:
    assert sanitised(hostile) == left


def test_what_is_not_finished_waits() -> None:
    tokens = Tokens()
    assert list(tokens.feed("a\x1b[3")) == ["a"]
    assert list(tokens.feed("1mb")) == ["\x1b[31m", "b"]


def dialogue(*steps: tuple[str, str]) -> list[str]:
    """The commands found in what was typed (">") and shown ("<")."""
    commands = Commands()
    found: list[str] = []
    for kind, text in steps:
        if kind == ">":
            commands.typed(text)
        else:
            found += commands.shown(text)
    return found


def test_commands_are_the_lines_that_were_entered() -> None:
    assert dialogue(
        ("<", "$ "), (">", "l"), ("<", "l"), (">", "s"), ("<", "s"), (">", "\r"), ("<", "\r\nfile1  file2\r\n$ "),
        (">", "exit\r"), ("<", "exit\r\n"),
    ) == ["$ ls", "$ exit"]  # fmt: skip


def test_an_edited_command_is_taken_as_it_stood() -> None:
    assert dialogue(
        ("<", "$ "), (">", "lss\x7f -a\r"), ("<", "lss\b\x1b[K -a\r\nfile\r\n$ "),
        (">", "cat /etc/hos\t\r"), ("<", "cat /etc/hosts\r\n127.0.0.1\r\n"),
    ) == ["$ ls -a", "$ cat /etc/hosts"]  # fmt: skip


def test_what_is_typed_unseen_is_no_command() -> None:
    found = dialogue(
        ("<", "$ "), (">", "sudo id\r"), ("<", "sudo id\r\nPassword: "), (">", "hunter2\r"),
        ("<", "\r\nuid=0(root)\r\n$ "), (">", "ls\r"), ("<", "ls\r\n"),
    )  # fmt: skip
    assert found == ["$ sudo id", "$ ls"]


def test_a_paste_of_several_lines() -> None:
    assert dialogue((">", "echo a\necho b\n"), ("<", "$ echo a\r\na\r\n$ echo b\r\nb\r\n")) == ["$ echo a", "$ echo b"]


def test_enter_alone_and_a_flood_of_input() -> None:
    assert dialogue((">", "\r\r\r"), ("<", "$ \r\n$ \r\n")) == []
    assert dialogue((">", "x" * 5000 + "\r"), ("<", "$ " + "x" * 5000 + "\r\n")) == ["$ " + "x" * 1022]
    assert dialogue((">", "\r" * 100 + "id\r"), ("<", "$ id\r\n")) == ["$ id"]
