from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.features import (
    Feature,
    FeatureId,
    FedAuth,
    FedAuthLibrary,
    FedAuthToken,
    decode_features,
    decode_fedauth,
    decode_fedauth_token,
    encode_features,
)
from hoopcli.errors import ProtocolError

nonces = st.none() | st.binary(min_size=32, max_size=32)
features = st.lists(st.builds(Feature, st.integers(0, 254), st.binary(max_size=40)), unique_by=lambda f: f.id)
fedauths = st.one_of(
    st.builds(FedAuth, st.just(FedAuthLibrary.SECURITY_TOKEN), st.booleans(), st.text(max_size=50), nonce=nonces),
    st.builds(FedAuth, st.just(FedAuthLibrary.ADAL), st.booleans(), workflow=st.integers(0, 255)),
)


@given(features)
def test_features_round_trip(wanted: list[Feature]) -> None:
    assert decode_features(encode_features(wanted) + b"what follows") == tuple(wanted)


@given(fedauths)
def test_fedauth_round_trip(fedauth: FedAuth) -> None:
    feature = fedauth.encode()
    assert feature.id == FeatureId.FEDAUTH
    assert decode_fedauth(feature.data) == fedauth


@given(st.text(max_size=50), nonces)
def test_fedauth_token_round_trip(token: str, nonce: bytes | None) -> None:
    message = FedAuthToken(token, nonce)
    assert decode_fedauth_token(message.encode()) == message
    assert repr(message) == repr(FedAuthToken("", nonce))


@given(st.binary(max_size=100))
def test_garbage_raises_protocol_error_only(data: bytes) -> None:
    for decode in (decode_features, decode_fedauth, decode_fedauth_token):
        try:
            decode(data)
        except ProtocolError:
            continue


def test_the_options_byte_has_the_echo_in_its_lowest_bit() -> None:
    assert FedAuth(FedAuthLibrary.ADAL, echo=True, workflow=1).encode().data == b"\x05\x01"
    assert FedAuth(FedAuthLibrary.SECURITY_TOKEN, token="a").encode().data == b"\x02\x02\0\0\0a\0"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "outside"),
        (b"\x00\x02\0\0\0a\0", "library 0 is not spoken"),
        (b"\xfe", "library 127 is not spoken"),
        (b"\x04", "has 1 bytes instead of 2"),
        (b"\x04\x01\x01", "has 3 bytes instead of 2"),
        (b"\x02\xff\xff\xff\xffa\0", "outside"),
        (b"\x02\x02\0\0\0a\0" + bytes(31), "31 bytes follow"),
        (b"\x02\x01\0\0\0a", "not UTF-16"),
    ],
)
def test_fedauth_refused(data: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        decode_fedauth(data)


@pytest.mark.parametrize("lie", [-1, 1, 0xFFFF])
def test_fedauth_token_length_must_be_true(lie: int) -> None:
    wire = FedAuthToken("token").encode()
    with pytest.raises(ProtocolError, match="not what it says"):
        decode_fedauth_token(struct.pack("<I", len(wire) - 4 + lie) + wire[4:])


@pytest.mark.parametrize("block", [b"", b"\x01", b"\x01\xff\xff\xff\xff", b"\x01\x04\0\0\0abc", b"\x0a\0\0\0\0"])
def test_features_without_their_end_are_refused(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_features(block)
