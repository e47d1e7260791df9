"""The kubectl programs at hand: those that ``HOOP_TEST_KUBECTL`` names with colons between, else the one installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VARIABLE = "HOOP_TEST_KUBECTL"
#: Where ``make test`` puts programs of other years.
_FETCHED = Path(sys.prefix) / "kubectl"


def programs() -> list[str]:
    """Paths of kubectl programs, none if there are none."""
    named = os.environ.get(VARIABLE, "")
    beside = Path(sys.executable).parent / "kubectl"
    return [path for path in named.split(":") if path] or [str(beside)] * beside.exists()


def older() -> list[str]:
    """Paths of kubectl programs of other years, none if they were not fetched or do not run here."""
    return [str(path) for path in sorted(_FETCHED.glob("v*/kubectl")) if _runs(path)]


def helm() -> str | None:
    """The path of the newest helm, None if there is none."""
    found = [path for path in sorted(_FETCHED.glob("v*/helm")) if _runs(path)]
    return str(found[-1]) if found else None


@cache
def _runs(path: Path) -> bool:
    try:
        subprocess.run([path, "version", "--client"], capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


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
