from __future__ import annotations

import pytest

from connectors.kubectl.selected import check_selected
from hoopcli.errors import DeniedError
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask
from tests.kubectl.bodies import asked

WIDGETS = "/apis/example.com/v1/namespaces/prod/widgets"
RESOURCE = "prod/widgets.example.com/*"
TOKEN = Mask("token", columns=("$.spec.token", "pin"))
LABEL = Mask("label", columns=("$.metadata.labels.tenant",), resources=("prod/widgets.example.com/w-*",))


def check(query: str, *masks: Mask, verb: str = "GET") -> None:
    check_selected(masks, RESOURCE, asked(f"{verb} {WIDGETS}?{query}"), lambda of: Masking(of, b"key"))


@pytest.mark.parametrize(
    "query",
    [
        "fieldSelector=spec.token%3Dguess",
        "fieldSelector=metadata.name%3Dw,spec.token!%3Dguess",
        "fieldSelector=spec.token%3D%3Da\\,b",
        "fieldSelector=spec.pin%3D1",
        "fieldSelector=metadata.namespace%3Dw,%20spec.token%20%3D%20x",
        "watch=1&fieldSelector=%20spec.token%20%3Dx",
        "labelSelector=pin%3D1",
        "labelSelector=app%3Dweb,tenant%20in%20(a,b)",
        "labelSelector=app%20in%20(web,x),!tenant",
        "labelSelector=tenant%3E5",
    ],
)
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_a_hidden_value_is_not_found_out_by_selecting(query: str, verb: str) -> None:
    with pytest.raises(DeniedError, match="selects by"):
        check(query, TOKEN, LABEL, verb=verb)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "fieldSelector=metadata.name%3Dpin",
        "fieldSelector=spec.other%3Dx,metadata.namespace%3Dprod",
        "labelSelector=app%20in%20(pin,tenant)",
        "labelSelector=app%3Dtoken",
        "fieldSelector=,",
        "labelSelector=%3D",
    ],
)
def test_other_selectors_pass(query: str) -> None:
    check(query, TOKEN, LABEL)


def test_a_mask_of_something_else_does_not_matter() -> None:
    check(
        "labelSelector=tenant%3Dx",
        Mask("far", columns=("tenant",), resources=("dev/*",)),
        Mask("d", detectors=("email",)),
    )
    with pytest.raises(DeniedError):
        check("labelSelector=tenant%3Dx", Mask("all", columns=("$",)))
