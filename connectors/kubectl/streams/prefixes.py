"""What the begin of a secret looks like, while its end has not come yet.

A terminal must echo what is typed although a secret may begin in it. What matches one of these patterns at the end of
the text is not shown until more text says whether it is a secret. So much of a secret that comes slowly can be seen:

=========================================  ==========================================================
card, account and identity numbers         their first 4 to 6 characters
e-mail addresses                           what is before the @
keys and tokens known by a name or prefix  nothing of the secret part
a bare 64-byte key in base64               its first 40 characters, less than half of it
private keys, assigned passwords           nothing: they are known before their secret part begins
a detector without patterns here           the first 4 characters of the word
=========================================  ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hoopcli.masking.folding import Folded
from hoopcli.masking.scan import Watch


def _digits(shown: int) -> str:
    """A run of more digits than may be shown."""
    return rf"(?<![0-9])[0-9](?:[ -]?[0-9]){{{shown},}}[ -]?"


_ASSIGNED = r"""\\?["']?[ \t]{0,3}[=:]{1,2}[ \t]{0,3}(?:\\?["'])?"""
_KEY = "[A-Za-z0-9+/=%_-]"
# Patterns of all that precedes the end of the text; the place that is held back begins at group 1 if there is one.
_PATTERNS = {
    "credit_card": (_digits(6),),
    "us_ssn": (
        r"(?<![0-9])[0-9]{3}[ -][0-9]{2}[ -][0-9]{0,4}",
        r"(?:ssn|social security)(?: (?:no|number|nr))?[^0-9a-z]{1,6}[0-9]{4}([0-9]{1,5})",
    ),
    "nl_bsn": (_digits(4),),
    "de_steuer_id": (_digits(5),),
    "fr_nir": (_digits(5),),
    "uk_nino": (r"(?<![A-Z0-9])[A-Z]{2}(?:[ -]?[0-9][ -]?){3,6}[A-D]?",),
    "iban": (r"(?<![A-Z0-9])[A-Z]{2}[0-9][ -]?[0-9](?:[ -]?[A-Z0-9]){2,}[ -]?",),
    "email": (r"[\w.%+'-]{1,64}@[\w.-]{0,256}",),
    "azure_key": (
        rf"(?:AccountKey|SharedAccessKey) {{0,3}}= {{0,3}}({_KEY}{{1,16}})",
        rf"[?&;\s\"']sig=({_KEY}{{1,16}})",
        "(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{41,86}={0,2}",
    ),
    "jwt": ("(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_.-]*",),
    "private_key": (),
    "aws_key": (
        "(?<![A-Za-z0-9])A(?:KI|SI)A[A-Z0-9]{1,16}",
        rf"secret_?access_?key{_ASSIGNED}([A-Za-z0-9/+]{{1,16}})",
    ),
    "github_token": ("(?<![A-Za-z0-9])(?:gh[pousr]|github_pat)_[A-Za-z0-9]{0,20}",),
    "slack_token": ("(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{0,10}",),
    "password_assignment": (),
}
_UNKNOWN = (r"\S{5,}",)


def _compiled(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?:{pattern})\Z", re.IGNORECASE) for pattern in patterns)


_COMPILED = {name: _compiled(patterns) for name, patterns in _PATTERNS.items()}
_COMPILED_UNKNOWN = _compiled(_UNKNOWN)


def held_from(watches: Sequence[Watch], as_is: Folded, folded: Folded) -> int:
    """The place in the source from which on the text may be the begin of a secret; its end where nothing may."""
    held = as_is.source
    for watch in watches:
        detector = watch.detector
        view = folded if detector.folds else as_is
        begin = max(0, len(view.text) - detector.limit)
        for pattern in _COMPILED.get(detector.name, _COMPILED_UNKNOWN):
            if match := pattern.search(view.text, begin):
                held = min(held, view.at(match.start(match.lastindex or 0)))
    return held
