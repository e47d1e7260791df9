"""Detectors of numbers with check digits, and of e-mail addresses. All of them look at folded text."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence

from hoopcli.masking.checksums import eleven_proof, luhn, mod97, nir, steuer_id
from hoopcli.masking.detectors import Detector, Gate, Hit

_NOT_NUMERIC = str.maketrans("", "", " -")


def _bare(text: str) -> str:
    return text.translate(_NOT_NUMERIC)


# --- payment cards -------------------------------------------------------------------------------------------------

# First digits and lengths by issuer: (low, high, lengths), compared on as many digits as the bounds have.
_ISSUERS: tuple[tuple[int, int, Sequence[int]], ...] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),  # American Express
    (300, 305, range(14, 20)),  # Diners Club
    (36, 36, range(14, 20)),  # Diners Club
    (38, 39, range(14, 20)),  # Diners Club
    (3528, 3589, range(16, 20)),  # JCB
    (6011, 6011, range(16, 20)),  # Discover
    (644, 659, range(16, 20)),  # Discover
    (60, 60, (16,)),  # RuPay
    (81, 82, (16,)),  # RuPay
    (62, 62, range(16, 20)),  # UnionPay
    (50, 50, range(13, 20)),  # Maestro
    (56, 58, range(13, 20)),  # Maestro
    (63, 63, range(13, 20)),  # Maestro
    (67, 67, range(13, 20)),  # Maestro
    (2200, 2204, range(16, 20)),  # Mir
    (9792, 9792, (16,)),  # Troy
)
_CARD = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}")


_ISSUERS_BY_DIGIT = {
    digit: [issuer for issuer in _ISSUERS if str(issuer[0])[0] == digit] for digit in map(str, range(10))
}


def is_card(digits: str) -> bool:
    """Whether digits are a payment card number of a known issuer, by prefix, length and Luhn."""
    for low, high, lengths in _ISSUERS_BY_DIGIT[digits[0]]:
        if low <= int(digits[: len(str(low))]) <= high and len(digits) in lengths:
            return luhn(digits)
    return False


def _card_end(text: str, start: int, end: int) -> int:
    """Where the longest card number ends that starts here, 0 if none does."""
    number = text[start:end]
    digits = _bare(number)
    while len(digits) >= 13:
        if not text[end : end + 1].isdecimal() and is_card(digits):
            return end
        number = number[:-1].rstrip(" -")
        end = start + len(number)
        digits = digits[:-1]
    return 0


def _find_card(text: str, position: int) -> Hit | None:
    while match := _CARD.search(text, position):
        start = match.start()
        if end := _card_end(text, start, match.end()):
            return Hit(start, start, end)
        position = start + 1
    return None


# --- numbers of people ---------------------------------------------------------------------------------------------


def _finder(pattern: str, valid: Callable[[str], bool]) -> Callable[[str, int], Hit | None]:
    """Find what a pattern and a check of its digits agree on."""
    compiled = re.compile(pattern, re.IGNORECASE | re.ASCII)

    def find(text: str, position: int) -> Hit | None:
        while match := compiled.search(text, position):
            if valid(_bare(match[0])):
                return Hit(match.start(), match.start(), match.end())
            position = match.start() + 1
        return None

    return find


def _is_ssn(digits: str) -> bool:
    """[SSA, POMS RM 10201.035]: no area 000, 666 or 900 to 999, no group 00, no serial 0000."""
    return digits[:3] not in {"000", "666"} and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


_SSN = re.compile(
    r"(?<![0-9])(?P<plain>[0-9]{3}[ -][0-9]{2}[ -][0-9]{4})(?![0-9])"
    r"|(?<![a-z])(?:ssn|social security)(?: (?:no|number|nr))?[^0-9a-z]{1,6}(?P<named>[0-9]{9})(?![0-9])",
    re.IGNORECASE | re.ASCII,
)
_NINO_BAD_PREFIXES = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})


def _find_ssn(text: str, position: int) -> Hit | None:
    """Find a number with separators, or one without after a word that says what it is."""
    while match := _SSN.search(text, position):
        group = match.lastgroup or ""
        if _is_ssn(_bare(match[group])):
            return Hit(match.start(), match.start(group), match.end())
        position = match.start() + 1
    return None


def _is_nino(number: str) -> bool:
    return number[:2].upper() not in _NINO_BAD_PREFIXES


# --- bank accounts -------------------------------------------------------------------------------------------------

# [ISO 13616] length of an account number by country.
_COUNTRIES = (
    "15:NO 16:BE 18:DK,FO,FI,GL,NL,SD,FK 19:MK,SI 20:AT,BA,EE,KZ,XK,LT,LU,MN 21:CH,HR,LV,LI "
    "22:BH,BG,CR,GE,DE,IE,ME,RS,GB,VA 23:AE,GI,IQ,IL,OM,SO,TL 24:AD,CZ,MD,PK,RO,SA,SK,ES,SE,TN,VG,DZ "
    "25:AO,LY,PT,ST,MZ,CV 26:IS,TR 27:BI,DJ,FR,GR,IT,MC,MR,SM,BF,MG 28:AL,AZ,BY,CY,DO,GT,HU,LB,PL,NI,SV "
    "29:BR,EG,PS,QA,UA 30:JO,KW,MU,YE 31:MT,SC 32:LC 33:RU"
)
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in (item.split(":") for item in _COUNTRIES.split())
    for country in countries.split(",")
}
_IBAN = re.compile(r"(?<![A-Z0-9])([A-Z]{2})[0-9][ -]?[0-9](?:[ -]?[A-Z0-9]){11,29}", re.IGNORECASE | re.ASCII)


def _iban_end(text: str, start: int, end: int, length: int) -> int:
    """Where an account number of this many letters and digits ends, 0 if it is none."""
    kept = [place for place in range(start, end) if text[place].isalnum()]
    if len(kept) < length:
        return 0
    end = kept[length - 1] + 1
    closed = not re.match("[A-Za-z0-9]", text[end : end + 1])
    return end if closed and mod97("".join(text[place] for place in kept[:length])) else 0


def _find_iban(text: str, position: int) -> Hit | None:
    while match := _IBAN.search(text, position):
        start = match.start()
        length = _IBAN_LENGTHS.get(match[1].upper())
        if length and (end := _iban_end(text, start, match.end(), length)):
            return Hit(start, start, end)
        position = start + 1
    return None


# --- e-mail addresses ----------------------------------------------------------------------------------------------

_LOCAL = re.compile(r"[\w.%+'-]{1,64}\Z")
_LOCAL_ASCII = string.ascii_letters + string.digits + "_.%+'-"
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,63}")
# The same for ASCII, where explicit classes and possessive repeats are twice as fast.
_EMAIL_LINES = re.compile(
    r"[A-Za-z0-9_.%+'-]{1,64}+@(?:[A-Za-z0-9][A-Za-z0-9_-]{0,62}+(?<=[A-Za-z0-9])\.){1,8}[A-Za-z]{2,63}"
)


def _local_start(before: str, at: int) -> int:
    """Where the local part begins that ends before the @ at ``at``; there itself if there is none."""
    if before.isascii():
        return at - len(before) + len(before.rstrip(_LOCAL_ASCII))
    match = _LOCAL.search(before)
    return at - len(before) + match.start() if match else at


def _find_email(text: str, position: int) -> Hit | None:
    at = text.find("@", position)
    while at >= 0:
        start = _local_start(text[max(position, at - 64) : at], at)
        if start < at and (domain := _DOMAIN.match(text, at + 1, at + 256)):
            return Hit(start, start, domain.end())
        at = text.find("@", at + 1)
    return None


_AT = re.compile(
    # 8 bits: the end of a local part, @, a label, a dot, the begin of another label
    rb"@(?:(?<=[A-Za-z0-9_.%+'\-\x80-\xff]@)[A-Za-z0-9_\-\x80-\xff]{1,320}\.[A-Za-z0-9\x80-\xff]"
    # UTF-16LE: the same in two bytes; any character that is not Latin-1 will do
    rb"|\0(?<=(?:[A-Za-z0-9_.%+'\-\x80-\xff]\0|[\s\S][^\0])@\0)"
    rb"(?:[A-Za-z0-9_\-\x80-\xff]\0|[\s\S][^\0]){1,320}\.\0)"
)


_NINO = r"(?<![A-Z0-9])[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:[ -]?[0-9][ -]?[0-9]){3}[ -]?[A-D](?![A-Z0-9])"
_BSN = "(?<![0-9])(?:[0-9]{9}|[0-9]{3}[ -][0-9]{3}[ -][0-9]{3})(?![0-9])"
_QUICK_BSN = "[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}"
_QUICK_SSN = "[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}|[Ss](?:[Ss][Nn]|[Oo][Cc][Ii][Aa][Ll]).{1,20}[0-9]{9}"
_STEUER_ID = "(?<![0-9])[0-9](?:[ -]?[0-9]){10}(?![0-9])"
_NIR = "(?<![0-9])[12](?:[ -]?[0-9]){14}(?![0-9])"


def _number(
    name: str,
    limit: int,
    quick: str | int,
    find: Callable[[str, int], Hit | None],
    gate: Gate | None = None,
    exact: re.Pattern[str] | None = None,
) -> Detector:
    """A detector over folded text. ``quick`` is a pattern, or how many digits there are with or without separators."""
    if isinstance(quick, int):
        gate = gate or Gate(joined=b"d" * quick)
        quick = f"[0-9](?:[ -]?[0-9]){{{quick - 1}}}"
    return Detector(name, limit, re.compile(quick, re.DOTALL).search, find, gate or Gate(), folds=True, exact=exact)


def detectors() -> tuple[Detector, ...]:
    """Every detector of this module."""
    ssn_words = re.compile(rb"(?:ssn|social security)[\s\S]{1,20}?[0-9]{9}")
    return (
        _number("credit_card", 40, 13, _find_card),
        _number(
            "us_ssn", 40, _QUICK_SSN, _find_ssn, Gate((b"dddsddsdddd",), literals=(b"ssn", b"social"), after=ssn_words)
        ),
        _number("nl_bsn", 12, _QUICK_BSN, _finder(_BSN, eleven_proof), Gate((b"d" * 9, b"dddsdddsddd"))),
        _number("de_steuer_id", 22, 11, _finder(_STEUER_ID, steuer_id)),
        _number("fr_nir", 30, 15, _finder(_NIR, nir)),
        _number(
            "uk_nino", 16, "[0-9](?:[ -]?[0-9]){5}[ -]?[A-Da-d]", _finder(_NINO, _is_nino), Gate(joined=b"aadddddda")
        ),
        _number(
            "iban",
            70,
            "[0-9](?<=[A-Za-z][A-Za-z][0-9])",
            _find_iban,
            Gate(joined=b"aadd", sequel=re.compile(b"aadd[ad]{11}")),
        ),
        _number("email", 330, "@", _find_email, Gate(raw=(b"@", _AT)), _EMAIL_LINES),
    )
