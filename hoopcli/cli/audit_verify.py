"""``hoop audit verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoopcli.cli import output
from hoopcli.cli.options import AsJson
from hoopcli.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from hoopcli.ledger.note import Verifier
    from hoopcli.ledger.report import Finding, Report


def verify(
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="A ledger or a bundle; else the own one.")
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="VKEY|FILE", help="The public key; else that of the ledger's folder.")
    ] = "",
    checkpoint: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere; it shows a rollback.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 7 also if something is missing.")] = False,
    as_json: AsJson = False,
) -> int:
    """Verify that nothing was changed (integrity) and nothing is missing (completeness). Code 7 if it was."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415 - completion imports this module
    from hoopcli.ledger.verify import verify as check  # noqa: PLC0415

    own = Workspace.open().settings.ledger_path
    known = [_text(file) for file in checkpoint or ()]
    with output.progress("verifying") as progress:
        report = check(path or own, _key(key, path or own, own), known=known, progress=progress)
    if as_json:
        output.document(_document(report))
    else:
        _print(report)
    whole = report.intact and (report.complete or not strict)
    return 0 if whole else LedgerError.exit_code


def _key(given: str, path: Path, own: Path) -> Verifier:
    """The key to verify by: as given, else that beside the ledger, else one's own."""
    from hoopcli.ledger.keys import read_vkey  # noqa: PLC0415
    from hoopcli.ledger.note import Verifier  # noqa: PLC0415

    if given:
        file = Path(given)
        return Verifier.parse(_text(file) if len(given) < 200 and file.is_file() else given)
    beside = path.parent if (path.parent / "ledger.vkey").exists() else own.parent
    return read_vkey(beside)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def _document(report: Report) -> dict[str, Any]:
    def found(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
        return [{"index": f.index, "type": f.type, "time": f.time, "why": f.why} for f in findings]

    return {
        "intact": report.intact,
        "complete": report.complete,
        "origin": report.origin,
        "records": report.records,
        "signed": report.signed,
        "root": report.root,
        "checkpoints": report.checkpoints,
        "sessions": report.sessions,
        "exchanges": report.exchanges,
        "payloads": report.payloads,
        "expired": report.expired,
        "open_sessions": [session.id for session in report.open_sessions],
        "integrity": found(report.integrity),
        "integrity_total": report.integrity_total,
        "completeness": found(report.completeness),
        "completeness_total": report.completeness_total,
    }


def _print(report: Report) -> None:
    output.show(
        output.fields(
            {
                "ledger": report.origin,
                "records": f"{report.records:,}, {report.signed:,} signed by {report.checkpoints:,} checkpoints",
                "root": report.root,
                "sessions": f"{report.sessions:,}, {len(report.open_sessions)} of them open",
                "exchanges": f"{report.exchanges:,}",
                "payloads": f"{report.payloads:,}, {report.expired:,} expired",
            }
        )
    )
    _verdict("integrity", "nothing was changed", report.integrity, report.integrity_total)
    _verdict("completeness", "nothing is missing", report.completeness, report.completeness_total)
    sys.stdout.flush()


def _verdict(name: str, good: str, findings: tuple[Finding, ...], total: int) -> None:
    from rich.text import Text  # noqa: PLC0415

    if not total:
        output.show(Text.assemble((f"✓ {name}: ", "green"), good))
        return
    output.show(Text.assemble((f"✗ {name}: ", "bold red"), f"{total:,} findings"))
    for finding in findings:
        output.say(f"  {finding}")
    if total > len(findings):
        output.say(f"  and {total - len(findings):,} more")
