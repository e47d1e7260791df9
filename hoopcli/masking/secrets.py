"""Detectors of keys, tokens and passwords. They look at the text as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hoopcli.masking.detectors import Detector, Gate, Hit

Tail = Callable[[str, int], int]

_ASSIGNED = r"""\\?["']?[ \t]{0,3}[=:]{1,2}[ \t]{0,3}"""
_END_REACH = 64


def _run(character: str) -> Tail:
    """A tail that goes on while a pattern of one character matches."""
    compiled = re.compile(f"(?:{character})*", re.ASCII)

    def tail(text: str, position: int) -> int:
        match = compiled.match(text, position)
        return match.end() if match else position

    return tail


def _finder(pattern: str, tails: Mapping[str, Tail]) -> Callable[[str, int], Hit | None]:
    """Find the head of a secret: the last named group of the pattern. Its tail is that of the group's name."""
    compiled = re.compile(pattern, re.ASCII)

    def find(text: str, position: int) -> Hit | None:
        match = compiled.search(text, position)
        if match is None:
            return None
        group = match.lastgroup or ""
        return Hit(match.start(), match.start(group), match.end(), tails.get(group))

    return find


def _secret(
    name: str,
    limit: int,
    pattern: str,
    tails: Mapping[str, Tail],
    quick: str,
    needs: str,
    literals: tuple[str, ...],
    after: str,
) -> Detector:
    """A detector by a pattern. The last three are what it demands at least, in lower case."""
    gate = Gate(
        needs=needs.encode(),
        literals=tuple(literal.encode() for literal in literals),
        after=re.compile(after.encode()),
    )
    return Detector(name, limit, re.compile(quick, re.ASCII).search, _finder(pattern, tails), gate)


_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}-----")


def _pem_tail(text: str, position: int) -> int:
    """Where the END line ends that is past ``position``, though it may have begun before it; else the end of all."""
    at = max(0, position - _END_REACH)
    while match := _PEM_END.search(text, at):
        if match.end() > position:
            return match.end()
        at = match.start() + 1
    return len(text)


def _enclosed(close: str) -> str:
    """A character inside quotes: any but the closing one, unless it is doubled or escaped."""
    return rf"[^{close}]|{close}(?={close})|(?<=[\\{close}]){close}"


_KEY = "[A-Za-z0-9+/=%_-]"
_BASE64URL = "[A-Za-z0-9_-]"
# {"alg"  {"typ"  {"kid"  {"enc"  {"x5t"  {"x5c"  {"jku"  {"cty"  {"zip"  {"nonce"
_HEADERS = "hbGci|0eXAi|raWQi|lbmMi|4NXQi|4NWMi|qa3Ui|jdHki|6aXAi|ub25j"
_WORDS = "passw(?:or)?d|passphrase|pwd|secret|api[_-]?key"


def detectors() -> tuple[Detector, ...]:
    """Every detector of this module."""
    return (
        _secret(
            "azure_key",
            110,
            rf"(?i:AccountKey|SharedAccessKey) {{0,3}}= {{0,3}}(?P<key>{_KEY}{{16}})"
            rf"|(?i:[?&;\s\"']sig)=(?P<key2>{_KEY}{{16}})"
            r"|(?<![A-Za-z0-9+/])(?P<bare>[A-Za-z0-9+/]{86}==)",
            {"key": _run(_KEY), "key2": _run(_KEY)},
            "=",
            "=",
            (),
            "=(?:(?<=key=)|(?<=key =)|(?<=key  =)|(?<=key   =)|(?<=sig=)|(?<=[a-z0-9+/]==))",
        ),
        _secret(
            "jwt",
            280,
            rf"(?<!{_BASE64URL})(?P<token>eyJ(?:(?:{_HEADERS}){_BASE64URL}{{8}}"
            rf"|{_BASE64URL}{{6,256}}\.{_BASE64URL}))",
            {"token": _run("[A-Za-z0-9_.=-]")},
            "eyJ",
            "",
            ("eyj",),
            "eyj[a-z0-9_-]{6}",
        ),
        _secret(
            "private_key",
            64,
            "(?P<block>-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)",
            {"block": _pem_tail},
            "-----BEGIN",
            "",
            ("-----begin",),
            "-----begin ",
        ),
        _secret(
            "aws_key",
            60,
            r"(?<![A-Za-z0-9])(?P<id>A(?:KI|SI)A[A-Z0-9]{16})(?![A-Za-z0-9])"
            rf"|(?i:secret_?access_?key){_ASSIGNED}(?:\\?[\"'])?(?P<key>[A-Za-z0-9/+]{{16}})",
            {"key": _run("[A-Za-z0-9/+]")},
            "AKIA|ASIA|[=:]",
            "",
            ("akia", "asia", "accesskey", "access_key"),
            "a(?:ki|si)a[a-z0-9]{16}|access_?key",
        ),
        _secret(
            "github_token",
            40,
            "(?<![A-Za-z0-9])(?P<token>(?:gh[pousr]|github_pat)_[A-Za-z0-9]{20})",
            {"token": _run("[A-Za-z0-9_]")},
            "gh[pousr]_|github_pat_",
            "_",
            ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
            "(?:gh[pousr]|github_pat)_[a-z0-9]{20}",
        ),
        _secret(
            "slack_token",
            24,
            "(?<![A-Za-z0-9])(?P<token>xox[abeoprs]-[A-Za-z0-9-]{10})",
            {"token": _run("[A-Za-z0-9-]")},
            "xox",
            "",
            ("xox",),
            "xox[abeoprs]-",
        ),
        _secret(
            "password_assignment",
            40,
            rf"(?i:{_WORDS}){_ASSIGNED}(?:[Nn]?\\?'(?P<single>[^']|'')|\\?\"(?P<double>[^\"]|\"\")"
            r"|\{(?P<brace>[^}]|\}\})|(?P<bare>[^\s;,&\"'<>=:{\\]))",
            {
                "single": _run(_enclosed("'")),
                "double": _run(_enclosed('"')),
                "brace": _run(_enclosed("}")),
                "bare": _run(r"""[^\s;,&"'<>]"""),
            },
            "[=:]",
            "",
            ("passwd", "password", "passphrase", "pwd", "secret", "apikey", "api_key", "api-key"),
            rf"(?:{_WORDS})[\\\"' \t]{{0,5}}[=:]",
        ),
    )
