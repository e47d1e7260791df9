"""The kubectl programs at hand: those that ``HOOP_TEST_KUBECTL`` names with colons between, else the one installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "HOOP_TEST_KUBECTL"


def programs() -> list[str]:
    """Paths of kubectl programs, none if there are none."""
    named = os.environ.get(VARIABLE, "")
    beside = Path(sys.executable).parent / "kubectl"
    return [path for path in named.split(":") if path] or [str(beside)] * beside.exists()


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl with its kubeconfig. Its cache is its own, so that no test sees another's discovery."""

    program: str
    config: Path

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        cache = self.config.parent / f"cache-{self.config.name}"
        return [self.program, "--kubeconfig", str(self.config), "--cache-dir", str(cache), *arguments]

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        return subprocess.run(self.command(*arguments), input=stdin, capture_output=True, timeout=60, check=False)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> str:
        """What it prints; it must succeed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()
