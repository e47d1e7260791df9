"""Each detector on the cases of a file, in one piece, and as bytes for the prefilter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hoopcli.errors import UsageError
from hoopcli.masking.detectors import by_name
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.model.decision import Mask

CASES: dict[str, list[tuple[str, str]]] = yaml.safe_load(
    (Path(__file__).parents[1] / "fixtures/masking/detect.yaml").read_text("utf-8")
)


def cases() -> list[Any]:
    return [
        pytest.param(name, text, masked, id=f"{name}-{number}")
        for name, found in CASES.items()
        for number, (text, masked) in enumerate(found)
    ]


@pytest.mark.parametrize(("name", "text", "masked"), cases())
def test_what_is_left_of_a_text(name: str, text: str, masked: str) -> None:
    masking = Masking([Mask("m", detectors=(name,))], b"key")
    result, counts = masking.detect(text)
    assert result == masked
    assert bool(counts) == (text != masked)
    if counts:
        assert masking.suspect(text.encode("utf-16-le"))
        assert masking.suspect(b"\x01" + text.encode("utf-16-le"))
        assert masking.suspect(text.encode())


def test_every_detector_has_cases_that_match_and_that_do_not() -> None:
    assert set(CASES) == {detector.name for detector in DETECTORS}
    for found in CASES.values():
        assert {text == masked for text, masked in found} == {True, False}


def test_an_unknown_detector_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        by_name(DETECTORS, ["email", "credit_crad"])
    assert "credit_crad" in caught.value.message
    assert "credit_card" in caught.value.hint
