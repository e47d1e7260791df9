"""``hoop doctor``: what is missing or wrong on this machine, and the command that mends it."""

from __future__ import annotations

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(as_json: AsJson = False) -> int:
    """Check this machine. Ends with 1 if anything failed."""
    from hoopcli.cli.checks import check_all  # noqa: PLC0415 - completion imports this module

    checks = list(check_all())
    failed = any(check.status == "failed" for check in checks)
    if as_json:
        found = [{"name": c.name, "status": c.status, "detail": c.detail, "mend": c.mend} for c in checks]
        output.document({"healthy": not failed, "checks": found})
        return int(failed)
    from rich.text import Text  # noqa: PLC0415

    for check in checks:
        sign, colour = _SIGNS[check.status]
        output.show(Text.assemble((f"{sign} {check.name}: ", colour), output.safe(check.detail)))
        if check.mend:
            output.say(f"    {check.mend}")
    return int(failed)
