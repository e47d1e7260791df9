"""What the fuzzers share: mutations of good bytes, the run against the clock, and the command line."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence

from hoopcli.errors import HoopError, ProtocolError

#: Chooses what is tried next: the input as it is shown when it fails, and the work on it.
Choose = Callable[[random.Random], tuple[object, Callable[[], object]]]


def fuzz(choose: Choose, seconds: float, seed: int, refusal: type[HoopError] = ProtocolError) -> int:
    """Run until the time is up; the exit code. Whatever else than a refusal is raised is a finding."""
    rng = random.Random(seed)
    runs = refused = 0
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds:
        shown, work = choose(rng)
        try:
            work()
        except refusal:
            refused += 1
        except BaseException:
            print(f"seed {seed}, run {runs}, input {shown!r}", file=sys.stderr)
            raise
        runs += 1
    print(f"{runs} runs in {elapsed:.1f} s ({runs / elapsed:.0f} runs/s), {refused} refused, none failed")
    return 0


def command(description: str | None, run: Callable[[float, int], int]) -> None:
    """Read the arguments, run, and leave with the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    sys.exit(run(arguments.seconds, arguments.seed))


def mutated(rng: random.Random, data: bytes, tricks: Sequence[bytes]) -> bytes:
    """One to three mutations of good bytes: a trick put in, bytes left out, changed or repeated."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(damaged) + 1)
        match rng.randrange(4):
            case 0:
                damaged[at:at] = rng.choice(tricks)
            case 1:
                del damaged[at : at + rng.randint(1, 12)]
            case 2:
                damaged[at : at + 1] = rng.randbytes(1)
            case _:
                start = rng.randrange(len(damaged) + 1)
                damaged[at:at] = damaged[start : start + rng.randint(1, 80)]
    return bytes(damaged)
