"""A verifier of hoop's bundles written from docs/ledger.md alone: the standard library and Ed25519, nothing of hoop.

Usage: python verifier.py FOLDER VKEY. Prints ``ok`` or what is wrong, and ends with 0 or 1.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def open_checkpoint(note, vkey):
    """The size and the root of a checkpoint that this key signed (C2SP signed-note, tlog-checkpoint)."""
    name, key_id, key = vkey.split("+", 2)
    key = base64.b64decode(key)
    assert key[0] == 1, "not an Ed25519 key"
    assert sha256(name.encode(), b"\n", key)[:4].hex() == key_id, "malformed key"
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    signed = [line.split(" ") for line in lines.splitlines() if line.startswith(f"— {name} ")]
    raw = [base64.b64decode(signature) for _, _, signature in signed]
    mine = [r[4:] for r in raw if r[:4].hex() == key_id]
    assert mine, "the checkpoint is not signed by this key"
    for signature in mine:
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature, text.encode())  # raises if it is wrong
    origin, size, root = text.splitlines()[:3]
    assert origin == name, "the checkpoint is of another ledger"
    return int(size), base64.b64decode(root)


def tree_root(leaves):
    """RFC 6962, 2.1: the root over all leaf hashes."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01", tree_root(leaves[:k]), tree_root(leaves[k:]))


def proved_root(leaf, index, size, proof):
    """RFC 9162, 2.1.3.2: the root that an inclusion proof leads to."""
    fn, sn = index, size - 1
    for p in proof:
        assert sn, "a proof is too long"
        if fn & 1 or fn == sn:
            leaf = sha256(b"\x01", p, leaf)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            leaf = sha256(b"\x01", leaf, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0, "a proof is too short"
    return leaf


def verify(folder, vkey):
    size, root = open_checkpoint((folder / "checkpoint").read_text("utf-8"), vkey)
    lines = (folder / "records.jsonl").read_bytes().splitlines()
    leaves = [sha256(b"\x00", line) for line in lines]
    indexes = list(range(len(lines)))
    if (folder / "proofs.jsonl").exists():
        proofs = [json.loads(line) for line in (folder / "proofs.jsonl").read_text().splitlines()]
        indexes = [p["index"] for p in proofs]
        for leaf, proof in zip(leaves, proofs, strict=True):
            nodes = [base64.b64decode(n) for n in proof["proof"]]
            assert proved_root(leaf, proof["index"], size, nodes) == root, f"record {proof['index']} is not proved"
    else:
        assert (len(lines), tree_root(leaves)) == (size, root), "the records are not those that were signed"
    records = dict(zip(indexes, map(json.loads, lines), strict=True))
    payloads = folder / "payloads.jsonl"
    for row in map(json.loads, payloads.read_text().splitlines() if payloads.exists() else []):
        if row["salt"] is not None and row["content"] is not None:
            digest = sha256(bytes.fromhex(row["salt"]), base64.b64decode(row["content"])).hex()
            assert digest == records[row["index"]][row["slot"]]["digest"], f"a payload of {row['index']} was changed"


if __name__ == "__main__":
    try:
        verify(Path(sys.argv[1]), sys.argv[2])
    except Exception as error:  # noqa: BLE001 - whatever is wrong, it does not verify
        sys.exit(f"{type(error).__name__}: {error}")
    print("ok")
