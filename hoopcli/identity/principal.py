"""Who acts: the user of this machine, an agent on the user's behalf, or a workload in CI."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping

from hoopcli.errors import NotSignedInError, UsageError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.settings.model import IdentitySettings


def resolve(settings: IdentitySettings, environ: Mapping[str, str] = os.environ, agent: str | None = None) -> Principal:
    """The principal of this run.

    ``agent`` (a flag) or ``HOOP_AGENT`` makes it an agent of the human; an agent never has the human's groups, only
    ``agent_groups``. Otherwise the settings decide, and ``CI=true`` makes a workload of what they leave open. Raises
    NotSignedInError if nothing says who it is.
    """
    name = agent if agent is not None else environ.get("HOOP_AGENT")
    if name is not None:
        return _agent(name, settings)
    if settings.kind is None and environ.get("CI", "").lower() in {"true", "1"}:
        return _workload(settings, environ)
    if settings.kind in {PrincipalKind.AGENT, PrincipalKind.WORKLOAD} and not settings.subject:
        raise UsageError(f"an identity of kind {settings.kind} needs a subject", "set subject under [identity]")
    subject = settings.subject or account()
    return Principal(
        subject,
        settings.kind or PrincipalKind.HUMAN,
        settings.name or subject,
        settings.email,
        frozenset(settings.groups),
        settings.on_behalf_of,
    )


def acting(
    signed_in: Principal, groups: frozenset[str], environ: Mapping[str, str] = os.environ, agent: str | None = None
) -> Principal:
    """Who acts where a server says who is signed in: that one, or an agent of theirs, which has these groups.

    Raises UsageError if an agent is to act for another agent.
    """
    name = agent if agent is not None else environ.get("HOOP_AGENT")
    if name is None or signed_in.subject == f"agent:{name}":
        return signed_in
    if signed_in.kind is not PrincipalKind.HUMAN:
        raise UsageError(
            f"{signed_in.subject} is signed in, for whom no agent {name!r} acts", "run: hoop login --agent NAME"
        )
    _check_name(name)
    return Principal(f"agent:{name}", PrincipalKind.AGENT, name, groups=groups, on_behalf_of=signed_in.subject)


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable():
        raise UsageError("an agent needs a name", "use --agent NAME, or unset HOOP_AGENT")


def _agent(name: str, settings: IdentitySettings) -> Principal:
    _check_name(name)
    human = settings.on_behalf_of or settings.subject or account()
    return Principal(
        f"agent:{name}", PrincipalKind.AGENT, name, groups=frozenset(settings.agent_groups), on_behalf_of=human
    )


def _workload(settings: IdentitySettings, environ: Mapping[str, str]) -> Principal:
    repository = environ.get("GITHUB_REPOSITORY")
    subject = settings.subject or f"workload:{repository or account()}"
    return Principal(
        subject,
        PrincipalKind.WORKLOAD,
        settings.name or subject,
        settings.email,
        frozenset(settings.groups),
        settings.on_behalf_of or environ.get("GITHUB_ACTOR"),
    )


def account() -> str:
    """The account that this process really runs as; variables such as ``USER`` do not count."""
    try:
        import pwd  # noqa: PLC0415 - not on Windows

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:
        return getpass.getuser()  # pragma: no cover - Windows
    except KeyError:
        raise NotSignedInError(
            "this process runs as an account without a name", "set subject under [identity], or HOOP_IDENTITY__SUBJECT"
        ) from None
