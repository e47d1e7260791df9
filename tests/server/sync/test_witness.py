"""C2SP tlog-witness, by hand and by hoop's own client of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from hoopcli.cli.transport import HttpTransport
from hoopcli.errors import UpstreamError, UsageError
from hoopcli.ledger.batch import MEDIA_TYPE, encode
from hoopcli.ledger.note import Checkpoint, Cosigner, Note, Signer
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.sync import Answer, LedgerSync
from hoopcli.ledger.witnesses import TEXT, Witness, WitnessName
from tests.ledger.stage import filled, ledger, signer, whole_story
from tests.server.sync.stage import MemoryTree, plain
from tests.support.server import WITNESS, Running, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


def enrolled(server: Running) -> tuple[Signer, MemoryTree]:
    key = Signer.generate(f"hoop.example/ledger/{datetime.now(UTC).timestamp()}")
    server.enrol(Path("unused"), key)
    return key, MemoryTree(plain(9))


def submit(server: Running, old: object, proof: Sequence[bytes], note: str) -> httpx.Response:
    lines = [f"old {old}", *(base64.b64encode(node).decode() for node in proof), "", note]
    return server.client.post("/witness/add-checkpoint", content="\n".join(lines).encode())


def cosigned(answer: httpx.Response, note: str) -> int:
    assert answer.status_code == 200, answer.text
    return WITNESS.verifier.open(Note.parse(note + answer.text))


def test_it_says_its_key(server: Running) -> None:
    assert server.get("/witness").text == f"{WITNESS.verifier}\n"


def test_it_cosigns_what_extends_what_it_cosigned(server: Running) -> None:
    key, tree = enrolled(server)
    assert cosigned(submit(server, 0, (), tree.note(key, 3)), tree.note(key, 3)) > 0
    assert cosigned(submit(server, 3, tree.proof(3, 9), tree.note(key)), tree.note(key)) > 0
    assert cosigned(submit(server, 9, (), tree.note(key)), tree.note(key)) > 0


def test_it_refuses_by_the_book(server: Running) -> None:
    key, tree = enrolled(server)
    submit(server, 0, (), tree.note(key, 4))
    stale = submit(server, 0, (), tree.note(key))
    assert (stale.status_code, stale.text, stale.headers["content-type"]) == (409, "4\n", "text/x.tlog.size")
    assert submit(server, 4, tree.proof(3, 9), tree.note(key)).status_code == 422
    assert submit(server, 4, (), tree.note(key)).status_code == 422
    assert submit(server, 9, (), tree.note(key, 4)).status_code == 400
    thief = Signer.generate(key.name)
    assert submit(server, 4, tree.proof(4, 9), tree.note(thief)).status_code == 403
    nobody = Signer.generate("hoop.example/ledger/nobody")
    assert submit(server, 0, (), tree.note(nobody)).status_code == 404
    assert [a for a in server.alerts() if a["origin"] == key.name] == []
    assert cosigned(submit(server, 4, tree.proof(4, 9), tree.note(key)), tree.note(key))


def test_it_cosigns_no_second_tree_and_tells_of_it(server: Running) -> None:
    key, tree = enrolled(server)
    submit(server, 0, (), tree.note(key))
    other = MemoryTree([*plain(8), b"{}"])
    assert submit(server, 9, (), other.note(key)).status_code == 409
    (alert,) = [a for a in server.alerts() if a["origin"] == key.name]
    assert (alert["kind"], alert["other"]) == ("fork", other.note(key))
    assert alert["honest"].startswith(tree.note(key))


def test_a_checkpoint_of_nothing(server: Running) -> None:
    key, tree = enrolled(server)
    wrong = str(key.sign(str(Checkpoint(key.name, 0, bytes(32)))))
    assert submit(server, 0, (), wrong).status_code == 409
    assert cosigned(submit(server, 0, (), tree.note(key, 0)), tree.note(key, 0))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"old 0\n",
        b"old 0\n\n",
        b"old -1\n\nnote",
        b"old 01\n\nnote",
        b"old \xd9\xa1\n\nnote",
        b"new 0\n\nnote",
        b"old " + b"9" * 5000 + b"\n\nnote",
        b"old 0\nAAAA\n\nnote",
        b"old 0\n!\n\nnote",
        b"old 0\n" + b"A" * 43 + b"=\n\nnote",
        b"old 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\nnote",
        b"old 0\n\n" + b"n" * 80_000,
    ],
    ids=range(14),
)
def test_garbage_is_a_400(server: Running, body: bytes) -> None:
    assert server.client.post("/witness/add-checkpoint", content=body).status_code == 400


def test_records_and_witness_find_each_others_forks(server: Running) -> None:
    key, tree = enrolled(server)
    submit(server, 0, (), tree.note(key, 5))
    other = MemoryTree([*plain(4), b"{}", b"{}"])
    answer = server.transport("POST", "/v1/ledgers/batches", encode(other.batch(key)), MEDIA_TYPE)
    assert answer.status == 409
    assert [a["kind"] for a in server.alerts() if a["origin"] == key.name] == ["fork"]
    assert server.records(key.name) == []
    ahead = server.transport("POST", "/v1/ledgers/batches", encode(tree.batch(key, 0, size=3)), MEDIA_TYPE)
    assert ahead.document() == {"size": 3, "checkpoint": None}  # the witness has seen more: it signs nothing smaller


def client(server: Running, of: Cosigner = WITNESS) -> Witness:
    def post(path: str, body: bytes) -> Answer:
        return server.transport("POST", f"/witness{path}", body, TEXT)

    return Witness(of.verifier, post)


def test_further_witnesses_sign_the_receipt(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    second = Cosigner.generate("second.example/witness")
    with running(tmp_path, witness=second) as other:
        other.enrol(path, key)
        server.enrol(path, key)
        sync = LedgerSync(path, key.verifier, server.transport, witnesses=[client(other, second)])
        receipt = sync.run()
        assert receipt is not None
        note = Note.parse(receipt.note)
        assert [s.name for s in note.signatures] == [key.name, WITNESS.name, second.name]
        second.verifier.open(note)
        assert sync.unwitnessed == []
        assert sync.run() == receipt
        with ledger(tmp_path) as opened:
            opened.append(whole_story("more"))
            opened.sign()
        later = LedgerSync(path, key.verifier, server.transport, witnesses=[client(other, second)]).run()
        assert later is not None
        second.verifier.open(Note.parse(later.note))
        assert later.size > receipt.size


def test_a_witness_that_fails_is_told_of_and_holds_nothing_up(server: Running, tmp_path: Path) -> None:
    path, key = filled(tmp_path), signer(tmp_path)
    server.enrol(path, key)
    thief = Cosigner.generate("third.example/witness")
    sync = LedgerSync(path, key.verifier, server.transport, witnesses=[client(server, thief)])
    receipt = sync.run()
    assert receipt is not None
    assert len(sync.unwitnessed) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404, b""), "refused"),
        (Answer(409, b"no size"), "refused"),
        (Answer(409, b"99\n"), "refused"),
        (Answer(409, b"3\n"), "refused"),
        (Answer(200, b""), "does not hold"),
        (Answer(200, b"\xff"), "does not hold"),
        (Answer(200, "— third.example/witness AAAAAAA=\n".encode()), "does not hold"),
    ],
)
def test_a_witness_is_believed_only_what_it_signs(tmp_path: Path, answer: Answer, said: str) -> None:
    path = filled(tmp_path)
    witness = Witness(Cosigner.generate("third.example/witness").verifier, lambda _path, _body: answer)
    with Reader.open(path) as reader:
        note = reader.last_checkpoint()
        assert note is not None
        with pytest.raises(UpstreamError, match=said):
            witness.add(reader, note, Checkpoint.parse(Note.parse(note).text))


def test_the_settings_name_a_witness() -> None:
    named = WitnessName.parse(f"{WITNESS.verifier} https://w.example.org/prefix/")
    assert named == WitnessName(WITNESS.verifier, "https://w.example.org/prefix")
    ledger_key = Signer.generate("l").verifier
    for wrong in (
        "",
        "key https://w",
        f"{WITNESS.verifier}",
        f"{WITNESS.verifier} http://w",
        f"{ledger_key} https://w",
    ):
        with pytest.raises(UsageError, match="witnesses"):
            WitnessName.parse(wrong)


def test_over_the_real_transport(server: Running) -> None:
    with closing(HttpTransport(f"{server.url}/witness")) as transport:
        assert transport("POST", "/add-checkpoint", b"", TEXT).status == 400
