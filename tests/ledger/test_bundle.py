"""Bundles verify offline, by hoop and by a verifier that knows the documents only; changed ones by neither."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard

from hoopcli.errors import LedgerError, UsageError
from hoopcli.ledger import bundle as bundle_module
from hoopcli.ledger.bundle import Bundle
from hoopcli.ledger.drafts import ledger_note
from hoopcli.ledger.export import export
from hoopcli.ledger.note import Signer
from hoopcli.ledger.reader import checkpoint_file
from hoopcli.ledger.report import Report
from hoopcli.ledger.verify import verify
from tests.ledger import verifier
from tests.ledger.stage import check, filled, key, ledger, tamper
from tests.support.clock import Clock


def stand_alone(folder: Path, vkey: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", verifier.__file__, str(folder), str(vkey)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def verified(path: Path, vkey: object, known: list[str] | None = None) -> Report:
    from hoopcli.ledger.note import Verifier

    return verify(path, Verifier.parse(str(vkey)), known=known or [], now=Clock().time + timedelta(days=1))


@pytest.mark.parametrize("name", ["bundle", "bundle.tar.zst"])
@pytest.mark.parametrize("sessions", [None, ["s2"], ["s3", "s1"]])
@pytest.mark.parametrize("payloads", [True, False])
def test_a_bundle_verifies_without_its_ledger(
    tmp_path: Path, name: str, sessions: list[str] | None, payloads: bool
) -> None:
    path = filled(tmp_path, stories=3)
    vkey = key(tmp_path)
    count = export(path, tmp_path / "out" / name, sessions=sessions, payloads=payloads)
    path.unlink()
    report = verified(tmp_path / "out" / name, vkey)
    assert (report.intact, report.complete) == (True, True), report
    chosen = len(sessions) if sessions else 3
    assert (report.records, report.sessions, count) == (8 * chosen, chosen, 8 * chosen)
    assert (report.signed, report.payloads) == (24, 7 * chosen if payloads else 0)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [name]
    if name == "bundle":
        assert stand_alone(tmp_path / "out" / name, vkey).stdout == "ok\n"


def replace(folder: Path, name: str, old: bytes, new: bytes) -> None:
    content = (folder / name).read_bytes()
    assert old in content
    (folder / name).write_bytes(content.replace(old, new, 1))


def drop_line(folder: Path, name: str, number: int) -> None:
    lines = (folder / name).read_bytes().splitlines(keepends=True)
    del lines[number]
    (folder / name).write_bytes(b"".join(lines))


CHANGES: list[Callable[[Path], object]] = [
    lambda f: replace(f, "records.jsonl", b"no-drops", b"all-okay"),
    lambda f: drop_line(f, "records.jsonl", 3),
    lambda f: drop_line(f, "records.jsonl", -1),
    lambda f: replace(f, "checkpoint", b"\n24\n", b"\n23\n"),
    lambda f: replace(f, "payloads.jsonl", b"TmFkaWEKT21hcgo=", b"TmFkaWEKRW1pbAo="),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("sessions", [None, ["s2"]])
def test_a_changed_bundle_verifies_nowhere(
    tmp_path: Path, change: Callable[[Path], object], sessions: list[str] | None
) -> None:
    path = filled(tmp_path, stories=3)
    export(path, tmp_path / "bundle", sessions=sessions)
    change(tmp_path / "bundle")
    assert not verified(tmp_path / "bundle", key(tmp_path)).intact
    assert stand_alone(tmp_path / "bundle", key(tmp_path)).returncode == 1


def test_another_key_opens_no_bundle(tmp_path: Path) -> None:
    path = filled(tmp_path)
    export(path, tmp_path / "bundle")
    impostor = Signer.generate(key(tmp_path).name).verifier
    assert not verified(tmp_path / "bundle", impostor).intact
    assert "not signed" in stand_alone(tmp_path / "bundle", impostor).stderr


def test_a_session_left_short_or_out_is_told(tmp_path: Path) -> None:
    path = filled(tmp_path)
    export(path, tmp_path / "bundle", sessions=["s1"])
    for _ in range(2):  # the outcome and the close, with their proofs: what is left is proved
        for name in ("records.jsonl", "proofs.jsonl"):
            drop_line(tmp_path / "bundle", name, -1)
    replace(tmp_path / "bundle", "manifest.json", b'"s1"', b'"s1", "s2"')
    (tmp_path / "bundle" / "payloads.jsonl").unlink()
    report = verified(tmp_path / "bundle", key(tmp_path))
    assert report.intact
    whys = [f.why for f in report.completeness]
    assert whys[0] == "nothing is here of session s2"
    assert "session s1 was never closed" in whys[1]


def test_an_excerpt_has_each_record_once_and_in_order(tmp_path: Path) -> None:
    path = filled(tmp_path)
    export(path, tmp_path / "bundle", sessions=["s1"])
    for name in ("records.jsonl", "proofs.jsonl"):
        lines = (tmp_path / "bundle" / name).read_bytes().splitlines(keepends=True)
        (tmp_path / "bundle" / name).write_bytes(b"".join([*lines, lines[-1]]))
    assert any("out of order, or there twice" in f.why for f in verified(tmp_path / "bundle", key(tmp_path)).integrity)


def test_an_expiry_is_part_of_every_excerpt(tmp_path: Path) -> None:
    path = filled(tmp_path)
    clock = Clock(Clock().time + timedelta(hours=1))
    with ledger(tmp_path, clock) as opened:
        opened.expire(clock.time)
        opened.sign()
    export(path, tmp_path / "bundle", sessions=["s1"])
    report = verified(tmp_path / "bundle", key(tmp_path))
    assert (report.intact, report.complete, report.records, report.expired) == (True, True, 9, 7)
    assert stand_alone(tmp_path / "bundle", key(tmp_path)).stdout == "ok\n"


def test_a_fork_shows_against_a_checkpoint_of_the_same_size(tmp_path: Path) -> None:
    notes = []
    for name in ("one", "other"):
        folder = tmp_path / "same"
        with ledger(folder) as opened:
            opened.append([ledger_note(name, {})])
            opened.sign()
        notes.append(checkpoint_file(folder / "ledger.db").read_text())
        export(folder / "ledger.db", tmp_path / name, sessions=[])
        for file in ("ledger.db", "ledger.db.checkpoint"):
            (folder / file).unlink()
    vkey = key(tmp_path / "same")
    assert verified(tmp_path / "one", vkey, [notes[0]]).intact
    assert "forked" in verified(tmp_path / "one", vkey, [notes[1]]).integrity[0].why


def test_only_what_is_signed_is_exported(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with ledger(tmp_path, Clock(Clock().time + timedelta(hours=1))) as opened:
        opened.append([ledger_note("not yet signed", {})])
    assert export(path, tmp_path / "bundle") == 16
    assert verified(tmp_path / "bundle", key(tmp_path)).records == 16


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append([ledger_note("x", {})])
        with pytest.raises(LedgerError, match="nothing in this ledger is signed"):
            export(tmp_path / "ledger.db", tmp_path / "bundle")
    path = filled(tmp_path, clock=Clock())
    with pytest.raises(UsageError, match="no session 's9'"):
        export(path, tmp_path / "bundle", sessions=["s1", "s9"])
    with pytest.raises(UsageError, match="exists already"):
        export(path, tmp_path)
    with pytest.raises(LedgerError, match="cannot be written"):
        export(path, path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_ledger_with_a_missing_payload_is_still_exported_and_told(tmp_path: Path) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: db.execute("DELETE FROM payloads WHERE id = 10"))
    export(path, tmp_path / "bundle")
    assert "its payload kept was removed" in verified(tmp_path / "bundle", key(tmp_path)).integrity[0].why
    assert not check(path).intact


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b"[]"),
        ("manifest.json", b"{"),
        ("manifest.json", b"\xff"),
        ("manifest.json", b'{"format": "other", "v": 1, "records": 1}'),
        ("manifest.json", b'{"format": "hoop-evidence", "v": 1, "records": "1"}'),
        ("manifest.json", b'{"format": "hoop-evidence", "v": 1, "records": 1, "sessions": "s1"}'),
        ("manifest.json", None),
        ("checkpoint", None),
    ],
)
def test_what_is_no_bundle_is_an_error(tmp_path: Path, name: str, content: bytes | None) -> None:
    export(filled(tmp_path), tmp_path / "bundle")
    file = tmp_path / "bundle" / name
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(LedgerError):
        Bundle.open(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("payloads.jsonl", b'{"index": 1}\n'),
        ("payloads.jsonl", b'{"index": 1, "slot": "kept", "salt": "xx", "content": null}\n'),
        ("payloads.jsonl", b"[]\n"),
        ("proofs.jsonl", b"[" * 100_000 + b"\n"),
        ("proofs.jsonl", b'{"index": 0, "proof": ["?"]}\n'),
        ("proofs.jsonl", b""),
        ("records.jsonl", b"garbage\n"),
    ],
)
def test_malformed_files_are_findings(tmp_path: Path, name: str, content: bytes) -> None:
    export(filled(tmp_path), tmp_path / "bundle", sessions=["s1"])
    (tmp_path / "bundle" / name).write_bytes(content)
    report = verified(tmp_path / "bundle", key(tmp_path))
    assert not (report.intact and report.complete)


def archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    path.write_bytes(zstandard.compress(plain.getvalue()))


def linked(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


@pytest.mark.parametrize(
    "members",
    [
        [(tarfile.TarInfo("../escape"), b"x")],
        [(tarfile.TarInfo("/tmp/escape"), b"x")],
        [(linked("manifest.json"), b"")],
        [(tarfile.TarInfo("manifest.json"), b"{}"), (tarfile.TarInfo("manifest.json"), b"{}")],
        [(tarfile.TarInfo("manifest.json"), b"x" * 5000)],
    ],
)
def test_an_archive_unpacks_to_the_files_of_a_bundle_only(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_module, "MAX_UNPACKED", 4000)
    monkeypatch.setattr(bundle_module.tempfile, "tempdir", str(tmp_path))
    archive(tmp_path / "b.tar.zst", members)
    with pytest.raises(LedgerError):
        Bundle.open(tmp_path / "b.tar.zst")
    assert [p.name for p in tmp_path.iterdir()] == ["b.tar.zst"]


@pytest.mark.parametrize("content", [b"", b"garbage", zstandard.compress(b"garbage" * 1000), None])
def test_what_is_no_archive_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "b.tar.zst").write_bytes(content)
    with pytest.raises(LedgerError):
        verified(tmp_path / "b.tar.zst", key(tmp_path))
