"""``hoop version``."""

from __future__ import annotations

import platform

import typer

from hoopcli import __version__
from hoopcli.cli import output
from hoopcli.cli.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(version)


def version(as_json: AsJson = False) -> None:
    """The version of hoop."""
    if as_json:
        output.document({"hoop": __version__, "python": platform.python_version()})
    else:
        output.say(f"hoop {__version__} (Python {platform.python_version()})")
