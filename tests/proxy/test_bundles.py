from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.errors import HoopError, UpstreamError, UsageError
from hoopcli.ledger.note import Signer
from hoopcli.policy.bundle import Bundle, parse
from hoopcli.proxy.bundles import BundleError, Bundles, Fetched

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SIGNER = Signer.generate("hoop.example.com/policy")
POLICY = """version: 1
rules:
  - id: agents-read
    effect: allow
    verbs: ["sql:select"]
    resources: ["shop.dbo.*"]
"""
SHOP = {"shop": {"kind": "sql", "server": "shop.example.com", "database": "shop"}}
BUNDLE = Bundle(3, POLICY, SHOP, issued=NOW - timedelta(hours=1), expires=NOW + timedelta(hours=23))


class Server:
    """Hands out a note, and remembers which ETags it was asked with."""

    def __init__(self, bundle: Bundle, signer: Signer = SIGNER) -> None:
        self.note = str(signer.sign(bundle.text()))
        self.asked: list[str] = []

    def __call__(self, etag: str) -> Fetched:
        self.asked.append(etag)
        return Fetched(None if etag == f'"{hash(self.note)}"' else self.note, f'"{hash(self.note)}"')


def bundles(folder: Path, now: datetime = NOW) -> Bundles:
    return Bundles(folder, SIGNER.verifier, lambda: now)


def test_it_is_fetched_once_and_kept(tmp_path: Path) -> None:
    server = Server(BUNDLE)
    with pytest.raises(BundleError, match="no policy from the server yet"):
        bundles(tmp_path).current()
    assert bundles(tmp_path).refresh(server) == BUNDLE
    assert bundles(tmp_path).refresh(server) == BUNDLE
    assert server.asked[0] == ""
    assert server.asked[1] == f'"{hash(server.note)}"'
    assert bundles(tmp_path).current() == BUNDLE
    assert (tmp_path / "policy.bundle").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["policy.bundle"]


def test_what_is_kept_holds_while_the_server_is_away_until_it_expires(tmp_path: Path) -> None:
    def away(_etag: str) -> Fetched:
        raise UpstreamError("the server cannot be reached")

    bundles(tmp_path).refresh(Server(BUNDLE))
    with pytest.raises(UpstreamError):
        bundles(tmp_path).refresh(away)
    assert bundles(tmp_path).current() == BUNDLE
    with pytest.raises(BundleError, match="expired at 2026-11-24 08:00"):
        bundles(tmp_path, BUNDLE.expires).current()
    with pytest.raises(BundleError, match="has expired"):
        bundles(tmp_path / "other", BUNDLE.expires).refresh(Server(BUNDLE))


@pytest.mark.parametrize(
    ("bundle", "why"),
    [
        (replace(BUNDLE, serial=2), "revision 2 of the policy after revision 3"),
        (replace(BUNDLE, issued=BUNDLE.issued - timedelta(hours=1)), "after revision 3"),
        (replace(BUNDLE, policy=POLICY.replace("shop.dbo.*", "*")), "two policies as revision 3"),
        (replace(BUNDLE, connections={}), "two policies as revision 3"),
        (replace(BUNDLE, serial=4, issued=NOW + timedelta(minutes=5)), "dated in the future"),
    ],
)
def test_a_server_that_was_set_back_or_says_two_things_is_not_believed(
    tmp_path: Path, bundle: Bundle, why: str
) -> None:
    bundles(tmp_path).refresh(Server(BUNDLE))
    with pytest.raises(BundleError, match=why):
        bundles(tmp_path).refresh(Server(bundle))
    assert bundles(tmp_path).current() == BUNDLE


def test_a_new_revision_takes_its_place_and_the_same_one_may_be_renewed(tmp_path: Path) -> None:
    bundles(tmp_path).refresh(Server(BUNDLE))
    renewed = replace(BUNDLE, issued=NOW, expires=NOW + timedelta(hours=24))
    assert bundles(tmp_path).refresh(Server(renewed)) == renewed
    changed = replace(renewed, serial=4, policy=POLICY + "masks: []\n")
    assert bundles(tmp_path).refresh(Server(changed)) == changed
    assert bundles(tmp_path).current() == changed


def test_another_key_is_not_the_servers(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be trusted"):
        bundles(tmp_path).refresh(Server(BUNDLE, Signer.generate(SIGNER.name)))


@given(st.data())
def test_no_change_of_what_is_kept_goes_unseen(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundles(folder).refresh(Server(BUNDLE))
        file = folder / "policy.bundle"
        kept = bytearray(file.read_bytes())
        begin = kept.index(b"\n") + 1
        at = data.draw(st.integers(begin, len(kept) - 1))
        kept[at] ^= 1 << data.draw(st.integers(0, 6))
        file.write_bytes(bytes(kept))
        try:
            found = bundles(folder).current()
        except BundleError:
            return
        assert found == BUNDLE  # bits that base64 leaves open change no signature


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "another"}, {"serial": 0}, {"serial": True}, {"serial": "3"}, {"policy": 7}, {"connections": []},
        {"connections": {"shop": 1}}, {"connections": {"sh op": SHOP["shop"]}}, {"issued": "2026-11-23T09:00:00"},
        {"expires": 5}, {"expires": "soon"}, {"policy": "rules: ["}, {"policy": POLICY + "mask: []"}, {"more": 1},
        {"connections": {"shop": {"kind": "sql", "password": "x"}}},
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        parse(json.dumps(json.loads(BUNDLE.text()) | change))


@given(st.text())
def test_noise_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_what_it_holds_can_be_used() -> None:
    bundle = parse(BUNDLE.text())
    assert bundle.checked_policy().rules[0].id == "agents-read"
    assert bundle.checked_connections()["shop"].options["server"] == "shop.example.com"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HoopError, match="cannot be"):
        bundles(tmp_path / "file").refresh(Server(BUNDLE))
