"""Check digits: any one digit changed is noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hoopcli.masking.checksums import eleven_proof, luhn, mod97, nir, steuer_id


@pytest.mark.parametrize(
    ("check", "number"),
    [
        (luhn, "4111111111111111"),
        (mod97, "GB82WEST12345698765432"),
        (eleven_proof, "111222333"),
        (steuer_id, "86095742719"),
        (nir, "255081416802538"),
    ],
)
def test_one_changed_digit_is_noticed(check: Callable[[str], bool], number: str) -> None:
    assert check(number)
    for place, digit in enumerate(number):
        if digit.isdecimal():
            changed = str((int(digit) + 1) % 10)
            assert not check(number[:place] + changed + number[place + 1 :])
