"""A ledger goes to a server whole, once and in order; what is not proved is refused, and a fork is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hoopcli.errors import LedgerError, UpstreamError
from hoopcli.ledger import receipt as receipts
from hoopcli.ledger import statements
from hoopcli.ledger import sync as ledger_sync
from hoopcli.ledger.batch import MEDIA_TYPE, encode
from hoopcli.ledger.merkle import EMPTY_ROOT
from hoopcli.ledger.note import Checkpoint, Cosigner, Note, Signer, Verifier
from hoopcli.ledger.reader import Reader, open_payload
from hoopcli.ledger.record import parse, references
from hoopcli.ledger.sync import Answer, ContradictedError, LedgerSync, NotEnrolledError
from hoopcli.server.database import sqlite_url
from hoopcli.server.sync import alerts, store
from hoopcli.server.sync.ingest import ingest
from hoopcli.server.tables import ledgers as tables
from tests.ledger.stage import Story, check, filled, ledger, signer, whole_story
from tests.server.sync.stage import MemoryTree, plain
from tests.support.postgres import postgres
from tests.support.server import ADA, OMAR, WITNESS, Running, served, services


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("server")
        url = sqlite_url(folder / "server.db") if request.param == "sqlite" else stack.enter_context(postgres())
        yield stack.enter_context(served(stack.enter_context(services(url))))


def records(path: Path) -> list[bytes]:
    with Reader.open(path) as reader:
        return [row.data for row in reader.rows()]


def grow(folder: Path, name: str) -> None:
    with ledger(folder) as opened:
        opened.append(whole_story(name))
        opened.sign()


def post(server: Running, data: bytes) -> Answer:
    return server.transport("POST", "/v1/ledgers/batches", data, MEDIA_TYPE)


def invented(server: Running) -> tuple[Signer, MemoryTree]:
    """An enrolled key, and a tree that a test grows by hand."""
    key = Signer.generate(f"hoop.example/ledger/{datetime.now(UTC).timestamp()}")
    server.enrol(Path("unused"), key)
    return key, MemoryTree(plain(6))


def about(server: Running, key: Verifier) -> list[dict[str, Any]]:
    return [alert for alert in server.alerts() if alert["origin"] == key.name]


def test_everything_arrives_once_and_in_order(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path, 3), signer(tmp_path)
    sync = server.enrol(path, key)
    seen: list[tuple[int, int]] = []
    receipt = sync.run(lambda done, total: seen.append((done, total)))
    assert receipt is not None
    assert server.records(key.name) == records(path)
    assert receipt.size == len(records(path))
    assert seen[0] == (0, receipt.size)
    assert seen[-1] == (receipt.size, receipt.size)
    assert receipts.load(path, key.verifier) == receipt
    assert sync.run() == receipt
    grow(tmp_path, "later")
    later = sync.run()
    assert later is not None
    assert later.size == receipt.size + 9
    assert server.records(key.name) == records(path)
    assert check(path).intact


def test_payloads_and_sessions_arrive_with_their_records(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path, 1), signer(tmp_path)
    with ledger(tmp_path) as opened:
        opened.append(Story("open").open().drafts)
        opened.sign()
    server.enrol(path, key).run()
    with Reader.open(path) as reader, server.services.database.read() as connection:
        held = store.find(connection, key.name)
        stored = {
            (row.idx, row.slot): (row.salt, row.content)
            for row in connection.execute(tables.payloads.select().where(tables.payloads.c.ledger == held.id))
        }
        for row in reader.rows():
            for reference in references(parse(row.index, row.data).body):
                local = reader.payload_row(row.index, reference.slot)
                assert local is not None
                assert stored.pop((row.index, int(reference.slot))) == (local.salt, local.content)
                open_payload(local, reference)
        assert stored == {}
        rows = connection.execute(
            tables.sessions.select().where(tables.sessions.c.ledger == held.id).order_by(tables.sessions.c.first)
        )
        closed, still = rows.mappings().all()
    assert (closed["session"], closed["principal"], closed["connection"], closed["first"]) == (
        "s1",
        "agent:claire",
        "azure-sql",
        0,
    )
    assert closed["last"] == 7
    assert (still["session"], still["last"]) == ("open", None)


def test_a_ledger_in_many_batches(server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_sync, "BATCH_RECORDS", 4)
    path, key = filled(tmp_path, 3), signer(tmp_path)
    assert server.enrol(path, key).run() is not None
    assert server.records(key.name) == records(path)


def test_two_processes_may_send_one_ledger_at_once(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_sync, "BATCH_RECORDS", 2)
    path, key = filled(tmp_path, 4), signer(tmp_path)
    server.enrol(path, key)
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: server.sync(path, key).run(), range(3)))
    assert {receipt.size for receipt in done if receipt is not None} == {len(records(path))}
    assert server.records(key.name) == records(path)
    assert about(server, key.verifier) == []


def test_a_ledger_must_be_enrolled(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    with pytest.raises(NotEnrolledError):
        server.sync(path, key).run()
    assert post(server, encode(MemoryTree(plain(1)).batch(key))).status == 404


def test_an_empty_ledger_has_nothing_to_send(server: Running, tmp_path: Path) -> None:
    with ledger(tmp_path):
        pass
    assert server.enrol(tmp_path / "ledger.db", signer(tmp_path)).run() is None


def test_who_enrols_must_be_somebody_and_hold_the_key(server: Running, tmp_path: Path) -> None:
    key = signer(tmp_path)
    mine = server.sync(tmp_path / "ledger.db", key).enrolment(key)
    assert server.post("/v1/ledgers", mine).status_code == 401
    other = Signer.generate(key.name)
    stolen = {"vkey": mine["vkey"], "statement": statements.enrolment(other, datetime.now(UTC))}
    assert server.post("/v1/ledgers", stolen, OMAR).status_code == 422
    for wrong in ("no key", str(WITNESS.verifier), str(Signer.generate("x" * 501).verifier)):
        assert server.post("/v1/ledgers", mine | {"vkey": wrong}, OMAR).status_code == 400
    assert server.post("/v1/ledgers", mine, OMAR).status_code == 201
    assert server.post("/v1/ledgers", mine, OMAR).status_code == 201
    assert server.post("/v1/ledgers", mine, ADA).status_code == 409
    squat = {"vkey": str(other.verifier), "statement": statements.enrolment(other, datetime.now(UTC))}
    assert server.post("/v1/ledgers", squat, OMAR).status_code == 409


def test_ledgers_are_seen_by_auditors_only(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    server.enrol(path, key).run()
    for path_ in ("/v1/ledgers", "/v1/ledgers/alerts"):
        assert server.get(path_).status_code == 401
        assert server.get(path_, OMAR).status_code == 403
    (mine,) = [found for found in server.get("/v1/ledgers", ADA).json() if found["origin"] == key.name]
    assert (mine["vkey"], mine["enrolled_by"], mine["size"]) == (str(key.verifier), OMAR.subject, 16)


def test_the_same_batch_again_changes_nothing(server: Running) -> None:
    key, tree = invented(server)
    first = post(server, encode(tree.batch(key, 0, 4)))
    assert first.document() == {"size": 4, "checkpoint": None}
    assert post(server, encode(tree.batch(key, 0, 4))).document() == {"size": 4, "checkpoint": None}
    assert post(server, encode(tree.batch(key, 2, 5))).document()["size"] == 5
    whole = post(server, encode(tree.batch(key))).document()
    again = post(server, encode(tree.batch(key))).document()
    assert whole["size"] == again["size"] == 6
    for said in (whole, again):
        WITNESS.verifier.open(Note.parse(said["checkpoint"]))
    assert server.records(key.name) == tree.records


def test_a_gap_is_answered_with_the_size(server: Running) -> None:
    key, tree = invented(server)
    post(server, encode(tree.batch(key, 0, 2)))
    answer = post(server, encode(tree.batch(key, 4)))
    assert (answer.status, answer.document()["size"]) == (409, 2)


def test_an_altered_batch_is_refused_and_is_no_alert(server: Running) -> None:
    key, tree = invented(server)
    batch = tree.batch(key)
    altered = replace(batch, records=(*batch.records[:3], b"{}", *batch.records[4:]))
    answer = post(server, encode(altered))
    assert (answer.status, answer.document()["type"]) == (422, "urn:hoop:problem:unproved")
    assert post(server, encode(tree.batch(Signer.generate(key.name)))).status == 403
    assert post(server, b"garbage").status == 400
    assert post(server, encode(replace(batch, checkpoint="garbage"))).status == 400
    assert server.records(key.name) == []
    assert about(server, key.verifier) == []


def test_two_brokers_with_one_copied_key_are_found(server: Running, tmp_path: Path) -> None:
    honest, copy = tmp_path / "honest", tmp_path / "copy"
    path, key = filled(honest), signer(honest)
    shutil.copytree(honest, copy)
    sync = server.enrol(path, key)
    grow(honest, "here")
    before = sync.run()
    assert before is not None
    grow(copy, "there")
    with pytest.raises(ContradictedError, match="than the server was sent"):
        server.sync(copy / "ledger.db", key).run()
    (alert,) = about(server, key.verifier)
    assert alert["kind"] == "fork"
    assert alert["honest"] == before.note
    with Reader.open(copy / "ledger.db") as reader:
        assert alert["other"] == reader.last_checkpoint()
    with pytest.raises(ContradictedError):
        server.sync(copy / "ledger.db", key).run()
    assert len(about(server, key.verifier)) == 1
    grow(honest, "on")
    assert sync.run() is not None
    assert server.records(key.name) == records(path)


def test_a_ledger_that_was_put_back_is_found(server: Running, tmp_path: Path) -> None:
    now, then = tmp_path / "now", tmp_path / "then"
    path, key = filled(now), signer(now)
    shutil.copytree(now, then)
    sync = server.enrol(path, key)
    grow(now, "more")
    sync.run()
    with pytest.raises(ContradictedError, match="put back"):
        server.sync(then / "ledger.db", key).run()
    (alert,) = about(server, key.verifier)
    assert (alert["kind"], "had 25 records" in alert["detail"]) == ("rollback", True)
    shutil.copy(receipts.receipt_file(path), receipts.receipt_file(then / "ledger.db"))
    assert not check(then / "ledger.db").intact  # the receipt shows it offline, too
    assert server.post(f"/v1/ledgers/alerts/{alert['id']}/resolve").status_code == 401
    assert server.post(f"/v1/ledgers/alerts/{alert['id']}/resolve", who=OMAR).status_code == 403
    assert server.post(f"/v1/ledgers/alerts/{alert['id']}/resolve", who=ADA).status_code == 204
    assert server.post(f"/v1/ledgers/alerts/{alert['id']}/resolve", who=ADA).status_code == 404
    left = server.get("/v1/ledgers/alerts?open=true", ADA).json()
    assert [a for a in left if a["origin"] == key.name] == []


def test_a_head_that_contradicts_is_a_fork(server: Running) -> None:
    key, tree = invented(server)
    post(server, encode(tree.batch(key)))
    now = server.services.now()

    def say(size: int, root: bytes) -> int:
        body = {"origin": key.name, "statement": statements.head(key, size, root, now)}
        return server.post("/v1/ledgers/head", body).status_code

    assert say(6, tree.root(6)) == say(9, bytes(32)) == 204
    assert about(server, key.verifier) == []
    assert say(3, bytes(32)) == 204
    assert [alert["kind"] for alert in about(server, key.verifier)] == ["fork"]
    stale = statements.head(key, 3, tree.root(3), now - timedelta(hours=1))
    assert server.post("/v1/ledgers/head", {"origin": key.name, "statement": stale}).status_code == 422
    assert server.post("/v1/ledgers/head", {"origin": "nobody", "statement": stale}).status_code == 404


def test_a_silent_ledger_is_flagged_until_it_speaks(server: Running, tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append(Story("quiet", opened=datetime.now(UTC)).open().drafts)
        opened.sign()
    path, key = tmp_path / "ledger.db", signer(tmp_path)
    server.enrol(path, key).run()
    calm, late = server.services, replace(server.services, now=lambda: datetime.now(UTC) + timedelta(minutes=6))
    alerts.check_silence(calm)
    assert about(server, key.verifier) == []
    assert alerts.check_silence(late) == 1
    assert alerts.check_silence(late) == 1
    (alert,) = about(server, key.verifier)
    assert (alert["kind"], alert["resolved"]) == ("silent", None)
    alerts.check_silence(calm)
    assert about(server, key.verifier)[0]["resolved"] is not None
    much_later = replace(server.services, now=lambda: datetime.now(UTC) + timedelta(hours=2))
    assert alerts.check_silence(much_later) == 0  # the session has expired


def test_a_hole_in_the_servers_tree_is_no_500(server: Running) -> None:
    key, tree = invented(server)
    post(server, encode(tree.batch(key, 0, 4)))
    with server.services.database.write() as connection:
        held = store.find(connection, key.name)
        connection.execute(tables.records.delete().where(tables.records.c.ledger == held.id, tables.records.c.idx == 3))
    assert post(server, encode(tree.batch(key, 4))).status == 422


def test_a_race_that_is_always_lost_is_a_stale_size(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    key, tree = invented(server)
    monkeypatch.setattr("hoopcli.server.sync.ingest._store", lambda *_: None)
    with pytest.raises(LedgerError, match="0 records"):
        ingest(server.services, encode(tree.batch(key)))


class Wrong:
    """A server between the client and the real one, that lies."""

    def __init__(self, server: Running, **lies: Answer) -> None:
        self.server = server
        self.lies = lies

    def __call__(self, method: str, path: str, body: bytes | None = None, media_type: str = "") -> Answer:
        name = "head" if "head" in path else "batches"
        return self.lies.get(name) or self.server.transport(method, path, body, media_type)


def told(status: int, **document: object) -> Answer:
    return Answer(status, json.dumps(document).encode())


THIEF = Cosigner.generate(WITNESS.name)


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        ({"head": Answer(200, b"<html>")}, "something else than JSON"),
        ({"head": Answer(200, b"[]")}, "something else than JSON"),
        ({"head": told(200, size=-1, witness=str(WITNESS.verifier))}, "cannot be understood"),
        ({"head": told(200, size=0, witness="none")}, "cannot be understood"),
        ({"head": told(200, size=0, witness=str(Signer.generate("w").verifier))}, "not that of a witness"),
        ({"head": told(500, detail="broken")}, "500"),
        ({"batches": told(200, size=16)}, "not cosigned"),
        ({"batches": told(200, size=17, checkpoint="x")}, "faster"),
        ({"batches": told(200, size=16, checkpoint="x")}, "does not hold"),
        ({"batches": told(200, size=3, checkpoint=None)}, "any further"),
        ({"batches": told(409, type="urn:hoop:problem:stale-size", size=0)}, "any further"),
        ({"batches": told(200, size="16")}, "cannot be understood"),
        ({"batches": told(503, detail="gone")}, "503"),
    ],
)
def test_a_server_is_believed_only_what_it_proves(
    server: Running, tmp_path: Path, lies: dict[str, Answer], said: str
) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    server.enrol(path, key)
    with pytest.raises(UpstreamError, match=said):
        LedgerSync(path, key.verifier, Wrong(server, **lies)).run()
    assert receipts.load(path, key.verifier) is None


def test_a_forged_or_older_cosignature_is_no_receipt(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    sync = server.enrol(path, key)
    with Reader.open(path) as reader:
        notes = [note for _, note in reader.checkpoints()]
    for note, by in ((notes[1], THIEF), (notes[0], WITNESS)):
        parsed = Note.parse(note)
        cosigned = str(Note(parsed.text, (*parsed.signatures, by.cosign(parsed.text, 1))))
        lie = told(200, size=16, checkpoint=cosigned)
        with pytest.raises(UpstreamError, match="cosign"):
            LedgerSync(path, key.verifier, Wrong(server, batches=lie)).run()
    assert sync.run() is not None


def test_a_witness_with_another_key_is_not_followed(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    server.enrol(path, key).run()
    lie = Wrong(server, head=told(200, size=16, witness=str(THIEF.verifier)))
    with pytest.raises(UpstreamError, match="another key"):
        LedgerSync(path, key.verifier, lie).run()


def test_without_the_private_key_a_rollback_is_only_said(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    server.enrol(path, key)
    lie = Wrong(server, head=told(200, size=17, witness=str(WITNESS.verifier)))
    with pytest.raises(ContradictedError):
        LedgerSync(path, key.verifier, lie).run()
    assert about(server, key.verifier) == []


def test_a_checkpoint_of_nothing_is_that_of_the_empty_tree(server: Running) -> None:
    key, _tree = invented(server)
    empty = MemoryTree().batch(key)
    assert post(server, encode(empty)).status == 200
    wrong = str(key.sign(str(Checkpoint(key.name, 0, bytes(32)))))
    assert post(server, encode(replace(empty, checkpoint=wrong))).status == 422
    assert empty.root == EMPTY_ROOT
