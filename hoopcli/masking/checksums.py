"""Check digits of numbers that name people, cards and accounts. Pure functions over strings of ASCII digits."""

from __future__ import annotations

from collections import Counter

_DOUBLED = str.maketrans("0123456789", "0246813579")


def luhn(digits: str) -> bool:
    """Whether the Luhn checksum holds (ISO/IEC 7812-1 annex B)."""
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


def mod97(account: str) -> bool:
    """Whether an IBAN without separators has a remainder of 1 (ISO 13616, ISO/IEC 7064 MOD 97-10)."""
    turned = account[4:] + account[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def eleven_proof(digits: str) -> bool:
    """Whether nine digits pass the Dutch eleven test of a BSN: weights 9 to 2, then -1."""
    total = sum(weight * int(digit) for weight, digit in zip(range(9, 1, -1), digits, strict=False))
    return digits != "0" * 9 and (total - int(digits[8])) % 11 == 0


def steuer_id(digits: str) -> bool:
    """Whether eleven digits are a German tax id: ISO/IEC 7064 MOD 11,10 and one digit twice or thrice of the ten."""
    repeats = sorted(count for count in Counter(digits[:10]).values() if count > 1)
    if digits[0] == "0" or repeats not in ([2], [3]):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def nir(digits: str) -> bool:
    """Whether fifteen digits are a French NIR: the last two are 97 less the remainder of the others."""
    return digits[0] in "12" and 97 - int(digits[:13]) % 97 == int(digits[13:])
