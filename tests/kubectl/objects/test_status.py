from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.kubectl.objects.status import withheld_warning
from hoopcli.model.decision import Mask
from tests.kubectl.objects.answers import FOUND, config, masked

KEY = "k3y-of-the-shop"
KEYS = Mask("keys", columns=("api_key",))
PATCHED = "PATCH configmaps/web"
DIFF = f'Forbidden: pod updates may not change fields\n- core.EnvVar{{Name: "api_key", Value: "{KEY}"}}'


def refused(*causes: dict[str, str], message: str = "", **fields: Any) -> dict[str, Any]:
    said = message or 'ConfigMap "web" is invalid: ' + "; ".join(cause["message"] for cause in causes)
    return {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": said, "reason": "Invalid", "code": 422,
        "details": {"name": "web", "causes": list(causes)}, **fields,
    }  # fmt: skip


def cause(said: str, field: str = "patch") -> dict[str, str]:
    return {"reason": "FieldValueInvalid", "message": said, "field": field}


REPEATED = f"Invalid value: {json.dumps(json.dumps(config('web', api_key=KEY)))}: json: cannot unmarshal"


@pytest.mark.parametrize("line", [PATCHED, "PUT configmaps/web", "PATCH pods/web", "PATCH configmaps/web?dryRun=All"])
@pytest.mark.parametrize(
    "answer",
    [
        refused(cause(REPEATED)),
        refused(cause(DIFF, "spec"), cause("Required value", "metadata.name")),
        refused(message=f"testing {KEY}", details=None),
        refused(message=f"is invalid: {KEY}", details={"causes": [7]}),
        refused(cause(REPEATED), reason="Other"),
        refused(cause(REPEATED), code=400),
    ],
    ids=range(6),
)
def test_a_refused_change_does_not_repeat_what_is_masked(line: str, answer: Any) -> None:
    for masks in ([KEYS], [FOUND]):
        shown = masked(line, answer, masks)
        assert KEY not in json.dumps(shown)
        assert "hoop withholds" in shown["message"]


WEBHOOK = 'admission webhook "guard.shop.example" denied the request'
POLICY = "configmaps \"web\" is forbidden: ValidatingAdmissionPolicy 'spy' with binding 'spy' denied request"


@pytest.mark.parametrize("line", [PATCHED, "PUT configmaps/web", "DELETE configmaps/web"])
@pytest.mark.parametrize("said", [WEBHOOK, POLICY])
def test_an_admission_that_repeats_the_old_object(line: str, said: str) -> None:
    """A cluster's own policies put together what they say by CEL, with ``oldObject`` at hand."""
    answer = refused(cause(f"{said}: {KEY}"), message=f"{said}: leak: {KEY}", reason="Forbidden", code=403)
    shown = masked(line, answer, [KEYS])
    assert KEY not in json.dumps(shown)
    assert shown["message"] == f"{said}; hoop withholds values that it repeats"
    assert (shown["reason"], shown["code"]) == ("Forbidden", 403)


@pytest.mark.parametrize(
    ("warning", "withheld"),
    [
        ('299 - "unknown field \\"spec.colour\\""', False),
        ('299 - "policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+, unavailable in v1.25+"', False),
        ('299 - "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 CronJob"', False),
        (f"299 - \"Validation failed for ValidatingAdmissionPolicy 'spy' with binding 'spy': {KEY}\"", True),
        (f'299 - "{KEY}"', True),
        (f'299 - "unknown field \\"a\\"", 299 - "{KEY}"', True),
    ],
    ids=range(6),
)
def test_warnings_of_the_api_server_itself_are_told(warning: str, *, withheld: bool) -> None:
    assert withheld_warning(warning) is withheld


def test_the_fields_are_told() -> None:
    shown = masked(PATCHED, refused(cause(REPEATED), cause("Required value", "data")), [KEYS])
    assert shown["message"].startswith(
        'ConfigMap "web" is invalid: patch (FieldValueInvalid), data (FieldValueInvalid);'
    )
    assert [each["message"] for each in shown["details"]["causes"]] == ["[hoop:redacted]"] * 2


def test_where_nothing_is_masked_and_what_is_made_anew_is_told_in_full() -> None:
    answer = refused(cause("Invalid value: 'x'"))
    assert masked(PATCHED, answer) == answer
    assert masked("POST configmaps", answer, [KEYS]) == answer
    assert masked("PATCH secrets/web", answer) != answer
    conflict = refused(message="Apply failed with 1 conflict", reason="Conflict", code=409)
    assert masked(PATCHED, conflict, [KEYS]) == conflict
