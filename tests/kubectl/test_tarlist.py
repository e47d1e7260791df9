from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.tarlist import Entry, Manifest, TarList


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def manifest(data: bytes, step: int = 0) -> Manifest:
    tar = TarList()
    for at in range(0, len(data), step or max(len(data), 1)):
        tar.feed(data[at : at + step] if step else data)
    return tar.manifest()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


FILES = [
    (member("etc/hosts"), b"127.0.0.1 localhost\n"),
    (member("empty"), b""),
    (member("d/" * 80 + "long name \u00e9"), b"x" * 5000),
    (member("dir", tarfile.DIRTYPE), b""),
    (member("link", tarfile.SYMTYPE, "etc/" + "h" * 150), b""),
]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("step", [0, 1, 511, 700])
def test_names_sizes_and_digests(form: int, step: int) -> None:
    data = archive(*FILES, form=form)
    assert manifest(data, step) == Manifest(
        (
            Entry("etc/hosts", "file", 20, sha(b"127.0.0.1 localhost\n")),
            Entry("empty", "file", 0, sha(b"")),
            Entry("d/" * 80 + "long name \u00e9", "file", 5000, sha(b"x" * 5000)),
            Entry("dir/", "directory", 0),
            Entry("link", "symbolic link", 0, "", "etc/" + "h" * 150),
        ),
        0,
        len(data),
        sha(data),
        "",
    )


def test_ustar_with_its_directory_apart() -> None:
    name = "d" * 60 + "/" + "e" * 60 + "/f"
    data = archive((member(name), b"a"), form=tarfile.USTAR_FORMAT)
    assert manifest(data).entries[0].name == name


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (member("../../etc/passwd"), "out of the directory"),
        (member("/etc/passwd"), "out of the directory"),
        (member("a", tarfile.SYMTYPE, "/etc"), "target leads out"),
        (member("a", tarfile.LNKTYPE, "../x"), "target leads out"),
        (member("a\\..\\b"), "hide"),
        (member("a\x1b[2Kb"), "hide"),
        (member("sda", tarfile.BLKTYPE), "a device"),
    ],
)
def test_what_may_be_an_attack_is_flagged(info: tarfile.TarInfo, why: str) -> None:
    assert why in manifest(archive((info, b""))).entries[0].suspicious


def test_what_it_does_not_know_is_listed_all_the_same() -> None:
    assert manifest(archive((member("v", b"V"), b"abc"))).entries[0] == Entry("v", "type 0x56", 3, sha(b"abc"))


def test_a_large_number_in_base_256() -> None:
    block = bytearray(archive((member("big"), b""))[:512])
    block[124:136] = b"\x80" + (10 * 2**30).to_bytes(11, "big")
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    found = manifest(bytes(block) + b"x" * 100)
    assert found.problem == "the archive does not end"
    assert found.entries == ()


def test_old_tars_summed_signed_bytes() -> None:
    block = bytearray(archive((member("\u00e9"), b""))[:512])
    plain = block[:148] + b" " * 8 + block[156:]
    block[148:156] = b"%06o\0 " % sum(byte - 256 if byte > 127 else byte for byte in plain)
    assert manifest(bytes(block) + bytes(1024)).entries[0].name == "\u00e9"


def test_entries_are_bounded() -> None:
    one = archive((member("a"), b""))[:512]
    found = manifest(one * 10_005 + bytes(1024))
    assert (len(found.entries), found.omitted, found.problem) == (10_000, 5, "")


def long_name(size: int) -> bytes:
    info = member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=size)
    return info.tobuf()


def pax(record: bytes) -> bytes:
    return member("x", tarfile.XHDTYPE, size=len(record)).tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0")


def octal(field: bytes) -> bytes:
    block = bytearray(archive((member("n"), b""))[:512])
    block[124:136] = field.ljust(12, b"\0")
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    return bytes(block)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"tar: not found\n", "does not end"),
        (b"x" * 512, "a number in the archive is none"),
        (archive((member("a"), b"abc"))[:600], "does not end"),
        (archive((member("a"), b"abc"))[:1024] + bytes(512), "does not end"),
        (bytes(1024) + b"x", "does not end"),
        (bytes(512) + archive((member("hidden"), b"")), "something follows the end"),
        (archive((member("a"), b""))[:1024] + b"y" * 512, "something follows the end"),
        (b"a" + archive((member("a"), b"abc"))[1:].replace(b"a", b"b", 1), "damaged"),
        (long_name(100_000), "too long"),
        (pax(b"12 size=-1\n\0"), "pax record"),
        (pax(b"11 size=-1\n") + archive((member("a"), b"")), "a size in the archive is no number"),
        (pax(b"99 path=a\n"), "pax record"),
        (pax(b"path=a\n"), "pax record"),
        (pax(b"9 patha\n\n"), "pax record"),
        (octal(b"9"), "a number in the archive is none"),
        (octal(b"\xff\xff"), "a number in the archive is none"),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, problem: str) -> None:
    assert problem in manifest(data).problem


def test_an_empty_number_is_zero() -> None:
    assert manifest(octal(b"") + bytes(1024)).entries == (Entry("n", "file", 0, sha(b"")),)


def test_a_global_header_is_read_over() -> None:
    globals_ = member("g", tarfile.XGLTYPE, size=11).tobuf(tarfile.USTAR_FORMAT) + b"11 path=xy\n".ljust(512, b"\0")
    assert [entry.name for entry in manifest(globals_ + archive((member("a"), b""))).entries] == ["a"]


def test_nothing_at_all_is_no_problem() -> None:
    assert manifest(b"") == Manifest((), 0, 0, sha(b""), "")


@given(
    st.binary(max_size=2000) | st.binary(max_size=80).map(lambda noise: archive(*FILES)[:700] + noise),
    st.integers(1, 600),
)
def test_garbage_raises_nothing_and_any_cut_gives_the_same(data: bytes, step: int) -> None:
    assert manifest(data, step) == manifest(data)
