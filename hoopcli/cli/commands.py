"""The table of commands: what ``hoop --help`` shows, and the module that each lives in, imported when it is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """One command of the first level. Its module has ``register(app)``, which adds it to a Typer app."""

    name: str
    summary: str

    @property
    def module(self) -> str:
        """The module that registers it."""
        return f"hoopcli.cli.{self.name}"


COMMANDS = (
    CommandInfo("connect", "Open a session for native clients, or run a command in one"),
    CommandInfo("exec", "Run one text through a session and print its results"),
    CommandInfo("connections", "The connections that you can ask for: ls, add, show, rm"),
    CommandInfo("policy", "What is allowed, and why: check, explain, test, schema"),
    CommandInfo("audit", "What happened: sessions, show, replay, search, verify, export"),
    CommandInfo("approvals", "Requests that wait for a person: ls, show, approve, deny, watch"),
    CommandInfo("demo", "A tour on an embedded database: real commands, nothing to set up"),
    CommandInfo("login", "Sign in at the server"),
    CommandInfo("logout", "Sign out of the server"),
    CommandInfo("whoami", "Who you are, what you belong to, and until when"),
    CommandInfo("sync", "Send the ledger to the server, and keep its receipt"),
    CommandInfo("server", "The server of brokers and approvers: init, run"),
    CommandInfo("doctor", "What is missing here, and the command that mends it"),
    CommandInfo("version", "The version of hoop"),
)
BY_NAME = {command.name: command for command in COMMANDS}


def help_text() -> str:
    """The help of the first level, without loading any command."""
    width = max(len(command.name) for command in COMMANDS)
    rows = "\n".join(f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS)
    return f"""Usage: hoop COMMAND [ARGS]...

A connection broker for people, AI agents and CI jobs: every statement is
decided by policy, masked and recorded.

Commands:
{rows}

Options:
  --help                Show this, or with a command its own help
  --version             Show the version
  --install-completion  Install completion for the current shell
  --show-completion     Show completion for the current shell, to copy it

Every command takes --json for machines. Exit codes: 0 ok, 1 failed, 2 usage,
3 not signed in, 4 denied, 5 approval pending, 6 upstream, 7 ledger,
130 interrupted.
"""
