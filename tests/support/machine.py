"""A machine with hoop on it: settings, policy and state in a folder, and every command a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from hoopcli.spi import Listen
from tests.support.ledger import Recorded

HOOP = [sys.executable, "-m", "hoopcli.cli.main"]
HUMAN = "omar@example.com"
COLLEAGUE = {"HOOP_IDENTITY__SUBJECT": "nadia@example.com", "HOOP_IDENTITY__GROUPS": "dba"}
_SECONDS = 60
_OURS = ("HOOP_", "CI", "GITHUB_", "NO_COLOR", "FORCE_COLOR")


class Connected:
    """A running ``hoop connect``, and all that it has said once it has ended."""

    def __init__(self, process: subprocess.Popen[str], said: IO[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.pid = process.pid
        self.out = ""
        self.err = ""
        self._said = said
        for line in process.stdout:
            self.out += line
            if line == "}\n":
                break
        assert self.out, f"hoop connect ended with {self.end()}: {self.err}"
        self.document: dict[str, Any] = json.loads(self.out)
        self.listen = Listen(*(self.document[name] for name in ("host", "port", "secret", "ca_file")))

    def end(self) -> int:
        """Interrupt it if it still runs; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(_SECONDS)
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            self.out += self.process.stdout.read()
            self.process.stdout.close()
            self._said.seek(0)
            self.err = self._said.read()
        return code


@dataclass
class Machine:
    """Where it all is. ``environment`` is what every command is given on top of this process's own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    @property
    def ledger(self) -> Recorded:
        """The ledger of all sessions."""
        return Recorded(self.state / "ledger.db")

    def configure(self, policy: str, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the settings and the policy."""
        lines = ["keyring = false", "[identity]", f'subject = "{HUMAN}"']
        for name, options in connections.items():
            lines.append(f"[connections.{name}]")
            lines += [f"{key} = {value if key == 'port' else json.dumps(value)}" for key, value in options.items()]
        (self.folder / "config.toml").write_text("\n".join(lines) + "\n")
        (self.folder / "policy.yaml").write_text(policy)

    def run(self, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*HOOP, *argv], env=self._environment(environment), capture_output=True, text=True, timeout=_SECONDS,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @contextmanager
    def connect(self, name: str, *argv: str, **environment: str) -> Iterator[Connected]:
        """A session, until the block ends."""
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                [*HOOP, "connect", name, "--json", *argv], env=self._environment(environment), text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
            )  # fmt: skip
            running = Connected(process, said)
            try:
                yield running
            finally:
                running.end()

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        places = {
            "HOOP_CONFIG": str(self.folder / "config.toml"),
            "HOOP_POLICY": str(self.folder / "policy.yaml"),
            "HOOP_STATE_DIR": str(self.state),
            "TMPDIR": str(self.folder),
        }
        return {**clean, **places, **self.environment, **more}
