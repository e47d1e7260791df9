from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.features import Feature, FeatureId, FedAuth, FedAuthLibrary
from connectors.sql.tds.login import (
    TDS_7_4,
    TDS_8_0,
    Login7,
    OptionFlags1,
    OptionFlags2,
    OptionFlags3,
    TypeFlags,
    decode_login7,
    encode_login7,
)
from connectors.sql.tds.packet import MessageReader
from hoopcli.errors import ProtocolError

# [MS-TDS] 4.2
SAMPLE = bytes.fromhex(
    "10 01 00 90 00 00 01 00 88 00 00 00 02 00 09 72 00 10 00 00 00 00 00 07 00 01 00 00 00 00 00 00 E0 03 00 00"
    "00 00 00 00 09 04 00 00 5E 00 08 00 6E 00 02 00 72 00 00 00 72 00 07 00 80 00 00 00 80 00 00 00 80 00 04 00"
    "88 00 00 00 88 00 00 00 00 50 8B E2 B7 8F 88 00 00 00 88 00 00 00 88 00 00 00 00 00 00 00 73 00 6B 00 6F 00"
    "73 00 74 00 6F 00 76 00 31 00 73 00 61 00 4F 00 53 00 51 00 4C 00 2D 00 33 00 32 00 4F 00 44 00 42 00 43 00"
)

dword = st.integers(0, 0xFFFFFFFF)
text = st.text(max_size=20)
logins = st.builds(
    Login7,
    *[text] * 10,
    features=st.lists(st.builds(Feature, st.integers(0, 254), st.binary(max_size=30)), unique_by=lambda f: f.id).map(
        tuple
    ),
    tds_version=st.sampled_from([0x72090002, 0x730B0003, TDS_7_4, TDS_8_0]),
    packet_size=dword,
    client_prog_ver=dword,
    client_pid=dword,
    connection_id=dword,
    option_flags1=st.integers(0, 15).map(lambda bits: OptionFlags1(bits << 4)),
    option_flags2=st.integers(0, 127).map(OptionFlags2),
    type_flags=st.integers(0, 255).map(TypeFlags),
    option_flags3=st.sampled_from([OptionFlags3.NONE, OptionFlags3.SEND_YUKON_BINARY_XML, OptionFlags3.USER_INSTANCE]),
    client_time_zone=st.integers(-720, 720),
    client_lcid=dword,
    client_id=st.binary(min_size=6, max_size=6),
)

LOGIN = Login7(host_name="desk", user_name="hoop", password="s3cret", database="shop")
WITH_FEATURES = replace(LOGIN, features=(Feature(FeatureId.UTF8_SUPPORT), Feature(FeatureId.JSONSUPPORT, b"\1")))


def patched(login: Login7, at: int, form: str, *values: int) -> bytes:
    wire = bytearray(encode_login7(login))
    struct.pack_into(form, wire, at, *values)
    return bytes(wire)


def test_the_published_example() -> None:
    (message,) = MessageReader().feed(SAMPLE)
    expected = Login7(
        host_name="skostov1",
        user_name="sa",
        app_name="OSQL-32",
        client_interface_name="ODBC",
        tds_version=0x72090002,
        packet_size=4096,
        client_prog_ver=0x07000000,
        client_pid=0x100,
        option_flags1=OptionFlags1(0xE0),
        option_flags2=OptionFlags2.LANGUAGE_FATAL | OptionFlags2.ODBC,
        client_lcid=0x409,
        client_id=bytes.fromhex("00508be2b78f"),
    )
    assert decode_login7(message.payload) == expected
    assert encode_login7(expected) == message.payload


@given(logins)
def test_round_trip(login: Login7) -> None:
    assert decode_login7(encode_login7(login)) == login


@given(logins, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=5), st.integers(0, 400))
def test_damage_raises_protocol_error_only(login: Login7, damage: list[tuple[int, int]], end: int) -> None:
    wire = bytearray(encode_login7(login))
    for at, value in damage:
        wire[at % len(wire)] = value
    cut = struct.pack("<I", min(end, len(wire))) + bytes(wire[4:end])
    for data in (bytes(wire), bytes(wire[:end]), cut):
        try:
            decode_login7(data)
        except ProtocolError:
            continue


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "a LOGIN7 of 0 bytes"),
        (bytes(93), "a LOGIN7 of 93 bytes"),
        (bytes(128 * 1024), "a LOGIN7 of 131072 bytes"),
        (patched(LOGIN, 0, "<I", 95), "says it has 95 bytes"),
        (encode_login7(LOGIN) + b"x", "says it has"),
        (patched(LOGIN, 4, "<I", 0x71000001), "TDS version 0x71000001"),
        (patched(LOGIN, 4, "<I", 0x05000000), "TDS version"),
        (patched(LOGIN, 24, "B", 0x01), "another form"),
        (patched(LOGIN, 24, "B", 0x02), "another form"),
        (patched(LOGIN, 24, "B", 0x08), "another form"),
        (patched(LOGIN, 25, "B", 0x80), "integrated security"),
        (patched(LOGIN, 78, "<HH", 94, 4), "integrated security"),
        (patched(LOGIN, 90, "<I", 4), "integrated security"),
        (patched(LOGIN, 36, "<HH", 0xFFFF, 1), "host_name is too long or lies outside"),
        (patched(LOGIN, 36, "<HH", 94, 128), "host_name is too long or lies outside"),
        (patched(LOGIN, 36, "<HH", 94, 0xFFFF), "host_name is too long or lies outside"),
        (patched(LOGIN, 94, "<HH", 0xD800, 0x0041), "host_name is not UTF-16"),
        (patched(LOGIN, 56, "<HH", 94, 4), "an extension that its flags do not announce"),
        (patched(LOGIN, 27, "B", 0x10), "extension of LOGIN7 lies outside"),
        (patched(WITH_FEATURES, 58, "<H", 3), "extension of LOGIN7 lies outside"),
        (patched(WITH_FEATURES, 56, "<HH", 0xFFFF, 4), "extension of LOGIN7 lies outside"),
        (encode_login7(replace(LOGIN, features=(Feature(1), Feature(1)))), "asks twice for feature 1"),
    ],
)
def test_refused(payload: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        decode_login7(payload)


@pytest.mark.parametrize("offset", [0xFFFFFFFF, 1000, 200])
def test_features_outside_the_message_are_refused(offset: int) -> None:
    at = struct.unpack_from("<H", encode_login7(WITH_FEATURES), 56)[0]
    with pytest.raises(ProtocolError):
        decode_login7(patched(WITH_FEATURES, at, "<I", offset))


def test_overlapping_fields_are_allowed_within_the_message() -> None:
    host = struct.unpack_from("<HH", encode_login7(LOGIN), 36)
    assert decode_login7(patched(LOGIN, 40, "<HH", *host)).user_name == "desk"
    assert decode_login7(patched(LOGIN, 40, "<HH", 0xFFFF, 0)).user_name == ""


def test_no_secret_shows() -> None:
    fedauth = FedAuth(FedAuthLibrary.SECURITY_TOKEN, token="eyJ0oken")
    login = replace(LOGIN, change_password="n3w-secret", features=(fedauth.encode(),))
    wire = encode_login7(login)
    assert "s3cret".encode("utf-16-le") not in wire
    for shown in (repr(login), str(login), f"{login}", repr(fedauth), repr(login.features)):
        assert "s3cret" not in shown
        assert "n3w" not in shown
        assert "eyJ" not in shown
        assert "e\\x00y" not in shown


def test_derived_flags() -> None:
    login = replace(WITH_FEATURES, change_password="new", option_flags3=OptionFlags3.USER_INSTANCE)
    wire = encode_login7(login)
    assert wire[27] == 0x15
    assert decode_login7(wire) == login
    wrong = replace(LOGIN, option_flags3=OptionFlags3.EXTENSION | OptionFlags3.CHANGE_PASSWORD)
    assert encode_login7(wrong)[27] == 0


def test_features_are_found_by_id() -> None:
    assert WITH_FEATURES.feature(FeatureId.JSONSUPPORT) == b"\1"
    assert WITH_FEATURES.feature(FeatureId.FEDAUTH) is None
    assert WITH_FEATURES.fedauth is None
    fedauth = FedAuth(FedAuthLibrary.ADAL, echo=True, workflow=3)
    assert decode_login7(encode_login7(replace(LOGIN, features=(fedauth.encode(),)))).fedauth == fedauth


@pytest.mark.parametrize(("name", "most"), [("password", 128), ("attach_db_file", 260)])
def test_texts_have_their_longest(name: str, most: int) -> None:
    decode_login7(encode_login7(replace(LOGIN, **{name: "x" * most})))
    with pytest.raises(ValueError, match=f"at most {most}"):
        encode_login7(replace(LOGIN, **{name: "x" * (most + 1)}))
