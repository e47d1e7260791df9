"""Rules that hold without being written, as long as the policy does not switch them off; its own ones that deny win."""

from __future__ import annotations

from hoopcli.model.decision import Effect
from hoopcli.policy.schema import Defaults, Rule

#: Which kinds of objects a cluster has, their schemas, its version and health: no client can do without, none is data.
_DISCOVERY = Rule.model_construct(
    id="kubernetes-discovery",
    description="clients ask which kinds of objects there are",
    effect=Effect.ALLOW.value,
    verbs=("k8s:discovery", "k8s:openapi", "k8s:version", "k8s:health"),
)


def built_in(defaults: Defaults) -> tuple[Rule, ...]:
    """The rules that follow those of a document."""
    return (_DISCOVERY,) if defaults.discovery else ()
