"""Run every measurement, print the tables, and write docs/benchmarks.md with ``--write``."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import bench_ledger, blob, kubectl, kubectl_streams
from bench.stage import MASKS, Endpoint, broker, peak, upstream
from bench.wire import WireClient

READ = "SELECT * FROM dbo.big"
HUGE = "SELECT * FROM dbo.huge"
Row = tuple[str, str, str, str]


def latency(rounds: int = 2000) -> list[Row]:
    """Added latency of ``SELECT 1`` with the record on disk, one statement at a time, in alternated turns."""
    with upstream("--canned") as target, broker(target) as brokered:
        clients = {"direct": WireClient(target), "brokered": WireClient(brokered)}
        times: dict[str, list[float]] = {name: [] for name in clients}
        for turn in range(rounds + 100):
            for name, client in clients.items():
                start = time.perf_counter()
                client.query("SELECT 1")
                if turn >= 100:
                    times[name].append(time.perf_counter() - start)
        for client in clients.values():
            client.close()
    quantiles = {name: statistics.quantiles(t, n=100) for name, t in times.items()}
    floor = statistics.quantiles(_syncs(), n=100)
    rows = []
    for label, at in (("p50", 49), ("p99", 98)):
        direct, via = quantiles["direct"][at] * 1e3, quantiles["brokered"][at] * 1e3
        so = f"+{via - direct:.3f} ms; the disk's fdatasync alone {floor[at] * 1e3:.3f} ms"
        rows.append((f"SELECT 1 {label}", f"{direct:.3f} ms", f"{via:.3f} ms", so))
    return rows


def _syncs(rounds: int = 500) -> list[float]:
    """Seconds of each ``fdatasync`` of 4 KiB written over what is there: what no durable record can undercut."""
    times = []
    with tempfile.TemporaryFile() as file:
        file.write(bytes(4096 * rounds))
        os.fsync(file.fileno())
        file.seek(0)
        for _ in range(rounds):
            os.write(file.fileno(), bytes(4096))
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return times


def odbc_read(endpoint: Endpoint) -> float:
    """Seconds to fetch the 200,000 rows with pyodbc and ODBC 18, by a connection that knows the table already."""
    import pyodbc  # noqa: PLC0415

    from connectors.sql.driver import odbc_driver  # noqa: PLC0415

    connection = pyodbc.connect(f"Driver={odbc_driver()};{endpoint.odbc()}", autocommit=True)
    connection.execute(READ).close()
    cursor = connection.cursor()
    start = time.perf_counter()
    cursor.execute(READ)
    rows = 0
    while batch := cursor.fetchmany(5000):
        rows += len(batch)
    took = time.perf_counter() - start
    connection.close()
    if rows != 200_000:
        raise RuntimeError(f"{rows} rows came instead of 200,000")
    return took


def wire_read(endpoint: Endpoint) -> float:
    """Seconds to drain the 200,000 rows without decoding them."""
    client = WireClient(endpoint)
    start = time.perf_counter()
    client.query(READ)
    took = time.perf_counter() - start
    client.close()
    return took


def first_read(rounds: int = 15) -> list[Row]:
    """Milliseconds to the first byte of a connection's first read and of its second: the first asks for the catalog."""
    with upstream("--canned") as target, broker(target) as brokered:
        ends = {"direct": target, "brokered": brokered}
        times: dict[tuple[str, int], list[float]] = {(name, turn): [] for name in ends for turn in (1, 2)}
        for _ in range(rounds):
            for name, endpoint in ends.items():
                client = WireClient(endpoint)
                for turn in (1, 2):
                    times[name, turn].append(client.first_byte(READ) * 1e3)
                client.close()
    p50 = {key: statistics.median(values) for key, values in times.items()}
    return [
        (
            f"to the first byte of a connection's {ordinal} read",
            f"{p50['direct', turn]:.1f} ms",
            f"{p50['brokered', turn]:.1f} ms",
            f"+{p50['brokered', turn] - p50['direct', turn]:.1f} ms",
        )
        for turn, ordinal in ((1, "first"), (2, "second"))
    ]


def throughput(read: Callable[[Endpoint], float], label: str, rounds: int = 5) -> list[Row]:
    """The best of alternated reads, direct against brokered under each kind of mask."""
    rows = []
    with upstream("--canned") as target:
        for name, masks in MASKS.items():
            with broker(target, masks) as brokered:
                direct, via = [], []
                for _ in range(rounds):
                    direct.append(read(target))
                    via.append(read(brokered))
            rows.append(
                (
                    f"200,000 x 8 with {label}, {name}",
                    f"{200 / min(direct):,.0f}k rows/s",
                    f"{200 / min(via):,.0f}k rows/s",
                    f"{min(direct) / min(via):.2f} of direct",
                )
            )
    return rows


def memory() -> list[Row]:
    """The broker's peak memory while a result of 2 GB passes, masks on."""
    with upstream("--canned") as target, broker(target, MASKS["one masked column"]) as brokered:
        client = WireClient(brokered, 32767)
        before = peak(brokered.pid)
        start = time.perf_counter()
        size = client.query(HUGE)
        took = time.perf_counter() - start
        client.close()
        after = peak(brokered.pid)
    rate = f"{size / took / 1e6:,.0f} MB/s"
    return [(f"peak memory at {size / 1e9:.1f} GB", f"{before:.0f} MB before", f"{after:.0f} MB", rate)]


def sessions(count: int = 500) -> list[Row]:
    """That many connections at once, each running ten statements."""

    def one(endpoint: Endpoint) -> None:
        client = WireClient(endpoint)
        for _ in range(10):
            client.query("SELECT 1")
        client.close()

    def all_of(endpoint: Endpoint) -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(one, [endpoint] * count))
        return time.perf_counter() - start

    with upstream("--canned") as target, broker(target) as brokered:
        direct, via = all_of(target), all_of(brokered)
        top = peak(brokered.pid)
    total = count * 10
    ratio = f"{direct / via:.2f} of direct, peak {top:.0f} MB"
    return [(f"{count} connections x 10 statements", f"{total / direct:,.0f}/s", f"{total / via:,.0f}/s", ratio)]


def start_up(rounds: int = 10) -> list[Row]:
    """``hoop --help`` as a whole process."""
    hoop = Path(sys.executable).with_name("hoop")

    def seconds(command: Sequence[str]) -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        return time.perf_counter() - start

    bare = min(seconds([sys.executable, "-c", "pass"]) for _ in range(rounds))
    took = min(seconds([str(hoop), "--help"]) for _ in range(rounds))
    return [
        (
            "hoop --help",
            f"{bare * 1e3:.0f} ms (python -c pass)",
            f"{took * 1e3:.0f} ms",
            f"+{(took - bare) * 1e3:.0f} ms",
        )
    ]


MEASUREMENTS: dict[str, Callable[[], list[Row]]] = {
    "latency": latency,
    "first": first_read,
    "odbc": lambda: throughput(odbc_read, "ODBC 18"),
    "wire": lambda: throughput(wire_read, "a draining socket"),
    "memory": memory,
    "sessions": sessions,
    "blob": blob.measure,
    "kubectl": kubectl.measure,
    "streams": kubectl_streams.measure,
    "ledger": bench_ledger.measure,
    "help": start_up,
}
HEAD = ("what", "direct", "brokered", "so")


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, ("---",) * 4, *rows))


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], help="measurements; all by default")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in arguments.names or MEASUREMENTS:
        print(f"measuring {name} ...", file=sys.stderr)  # noqa: T201
        rows += MEASUREMENTS[name]()
    text = table(rows)
    print(text)  # noqa: T201
    if arguments.write:
        write(arguments.write, text)


def write(path: Path, text: str) -> None:
    """Put the table at the head of a document, before its first section, which stays with all that follows."""
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {system}"
    head = (
        f"# Benchmarks\n\nDirect against brokered, side by side in one run of `make bench`, on {machine}.\n\n{text}\n"
    )
    _, mark, notes = path.read_text().partition("\n## ") if path.exists() else ("", "", "")
    path.write_text(head + mark + notes)


if __name__ == "__main__":
    main()
