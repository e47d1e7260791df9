"""Requests for approval that come up while a session runs: shown, and answered here if this person may answer."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from hoopcli.cli import output
from hoopcli.cli.broker import Broker
from hoopcli.errors import ApprovalPendingError, HoopError
from hoopcli.identity.principal import resolve
from hoopcli.identity.threads import in_thread
from hoopcli.model.access import Principal
from hoopcli.proxy.approvals import Approvals, Request, check_approver

POLL_SECONDS = 0.3

Ask = Callable[[Request], Awaitable[bool | None]]


async def watch(broker: Broker, ask: Ask, *, wait: bool = True) -> None:
    """Show each request of the session once, and answer it if ``ask`` says yes or no. Runs until it is cancelled.

    With ``wait=False`` it raises ApprovalPendingError at the first one.
    """
    approvals = broker.services.approvals
    person = human(broker)
    seen: set[str] = set()
    while True:
        for request in await approvals.waiting(broker.live.session.id):
            if request.id in seen:
                continue
            seen.add(request.id)
            if not wait:
                raise ApprovalPendingError(
                    f"rule {request.binding.rule!r} wants an approval; request {request.id} waits",
                    f"have it approved: hoop approvals approve {request.id}; then run this again",
                )
            await _handle(broker, request, person, ask)
        await asyncio.sleep(POLL_SECONDS)


def human(broker: Broker) -> Principal:
    """The person at this terminal, whichever agent the session is for."""
    return resolve(broker.workspace.settings.identity, {})


async def _handle(broker: Broker, request: Request, person: Principal, ask: Ask) -> None:
    who = request.binding.principal
    output.note(f"\n{who} waits for approval ({request.binding.rule}), request {request.id}:\n{request.text}\n")
    for sentence in request.touches:
        output.note(f"It would touch {sentence}.")
    approvals = broker.services.approvals
    if not isinstance(approvals, Approvals):  # the server knows who may answer
        output.note(f"answer at {request.link}, or with: hoop approvals approve {request.id}")
        return
    try:
        check_approver(request, person)
    except HoopError as error:
        who = " or ".join(request.groups) or "a colleague"
        output.note(f"{error.message}. Someone of {who} can run: hoop approvals approve {request.id}")
        return
    answer = await ask(request)
    if answer is None:
        output.note(f"answer with: hoop approvals approve {request.id}, or deny")
        return
    try:
        await asyncio.to_thread(approvals.answer, request.id, person, approve=answer)
    except HoopError as error:  # it expired, or was answered elsewhere
        output.note(f"{error.message}")


def can_ask() -> bool:
    """Whether a person is at this terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


async def ask_here(request: Request) -> bool | None:
    """Ask y/n at this terminal; None if nobody can be asked."""
    if not can_ask():
        return None
    _forget_typed_ahead()
    output.note(f"Let it run? [y/n] ({request.id})")
    answer = await in_thread(sys.stdin.readline)
    return answer.strip().lower() in {"y", "yes"} if answer else None


def _forget_typed_ahead() -> None:
    """Whatever was typed before the question was shown is no answer to it."""
    try:
        import termios  # noqa: PLC0415 - not on Windows
    except ImportError:  # pragma: no cover - Windows
        return
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
