from __future__ import annotations

import pytest

from connectors.blob.content.etag import masked_etag, masks_digest, unmasked_condition
from hoopcli.errors import ProtocolError
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask, Method
from tests.blob.content.pieces import by_columns, by_detectors, masking

D = "0123456789abcdef"
OTHER = "fedcba9876543210"


@pytest.mark.parametrize("etag", ['"0x8DC1"', 'W/"0x8DC1"', "0x8DC1", '""'])
def test_a_masked_tag_can_be_undone(etag: str) -> None:
    masked = masked_etag(etag, D)
    assert masked != etag
    assert unmasked_condition(masked, D) == etag
    assert unmasked_condition(masked, OTHER) == masked if etag.endswith('"') else True


@pytest.mark.parametrize(
    ("value", "upstream"),
    [
        ("*", "*"),
        (' "0x8D" ', ' "0x8D" '),
        (f'"0x8D-hoop{D}", W/"0x8E-hoop{D}","0x8F"', '"0x8D", W/"0x8E","0x8F"'),
        (f'"0x8D-hoop{OTHER}"', f'"0x8D-hoop{OTHER}"'),
        (f"0x8D-hoop{D}", "0x8D"),
    ],
)
def test_conditions(value: str, upstream: str) -> None:
    assert unmasked_condition(value, D) == upstream


@pytest.mark.parametrize("value", ["", '"', "abc", '"a" "b"', '"a\r\nx: y"', '"a",', "**", '"a", *', f"x-hoop{D}"])
def test_what_is_no_tag_is_refused(value: str) -> None:
    with pytest.raises(ProtocolError):
        unmasked_condition(value, D)
    if value != "abc":
        with pytest.raises(ProtocolError):
            masked_etag(value, D)


def test_the_digest_tells_masks_and_keys_apart() -> None:
    sets: list[tuple[Mask, ...]] = [
        (by_columns("ssn"),),
        (by_columns("ssn", method=Method("keep_last", 4)),),
        (by_columns("ssn"), by_detectors("email")),
        (by_detectors("email"), by_columns("ssn")),
        (),
    ]
    digests = [masks_digest(masks, masking(*masks)) for masks in sets]
    assert len({*digests, masks_digest(sets[0], Masking(sets[0], b"another key"))}) == 6
    assert digests[0] == masks_digest(sets[0], masking(*sets[0]))
    assert all(len(digest) == 16 and digest.isalnum() for digest in digests)
