"""The command line's entry point: finds the command, runs it, and turns every error into a sentence and a code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hoopcli import __version__, tracing
from hoopcli.cli import output
from hoopcli.cli.commands import BY_NAME, COMMANDS, CommandInfo, help_text
from hoopcli.errors import HoopError, UsageError

if TYPE_CHECKING:
    import typer

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; its exit code. The codes are those of ``hoopcli/errors.py``, 1 for a defect of hoop."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in (argv[: argv.index("--")] if "--" in argv else argv)
    try:
        code = _run(argv)
        sys.stdout.flush()
    except HoopError as problem:
        output.error(problem, as_json=as_json)
        return problem.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return 1
    except Exception as defect:
        if os.environ.get("HOOP_DEBUG"):
            raise
        from hoopcli.cli.crash import report  # noqa: PLC0415 - only a defect needs it

        output.error(report(defect), as_json=as_json)
        return 1
    return code


def _run(argv: list[str]) -> int:
    completing = "_HOOP_COMPLETE" in os.environ
    first = argv[0] if argv else "--help"
    if not completing and first in {"--help", "-h", "help"}:
        sys.stdout.write(help_text())
        return 0
    if not completing and first == "--version":
        sys.stdout.write(f"hoop {__version__}\n")
        return 0
    if not completing and not first.startswith("-") and first not in BY_NAME:
        close = get_close_matches(first, BY_NAME, 1)
        raise UsageError(f"there is no command {first!r}", f"did you mean: hoop {close[0]}" if close else "hoop --help")
    app = build([BY_NAME[first]] if first in BY_NAME and not completing else COMMANDS)
    return _invoke(app, argv) if completing or not tracing.configured() else _traced(app, argv)


def _traced(app: typer.Typer, argv: list[str]) -> int:
    """The same, and each command a trace of its own, or below that of a job. A server's requests are traces instead."""
    serving = argv[:2] == ["server", "run"]
    stop = tracing.start("hoop-server" if serving else "hoop")
    try:
        if serving:
            return _invoke(app, argv)
        with tracing.span(f"hoop {argv[0]}", carrier={"traceparent": os.environ.get("TRACEPARENT", "")}) as traced:
            code = _invoke(app, argv)
            traced.tell({"hoop.exit_code": code}, failed=code != 0)
            return code
    finally:
        stop()


def build(commands: Iterable[CommandInfo]) -> typer.Typer:
    """An app of these commands; the modules of the others are not imported."""
    import typer  # noqa: PLC0415 - a tenth of a second that --help need not pay

    app = typer.Typer(name="hoop", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(lambda: None)  # so that an app of one command still takes its name
    for command in commands:
        import_module(command.module).register(app)
    return app


def _invoke(app: typer.Typer, argv: list[str]) -> int:
    import typer  # noqa: PLC0415

    try:
        code: Any = typer.main.get_command(app)(argv, prog_name="hoop", standalone_mode=False)
    except typer.TyperException as mistake:
        raise UsageError(
            _sentence(mistake), f"run: hoop {argv[0]} --help" if argv[0] in BY_NAME else "run: hoop --help"
        ) from mistake
    except typer.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _sentence(mistake: typer.TyperException) -> str:
    text = mistake.format_message() or "an argument is missing"
    return text[:1].lower() + text[1:].rstrip(".")


def _discard_output() -> None:
    """Whoever read our output is gone: give the interpreter somewhere to flush the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
