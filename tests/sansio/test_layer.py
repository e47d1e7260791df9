"""The contract between a layer and whoever drives it."""

import pytest

from hoopcli.sansio.events import Credential, CredentialGranted
from hoopcli.sansio.layer import CLIENT, Layer, receive


def test_receive_without_an_event_is_a_bug_of_the_driver() -> None:
    def layer() -> Layer:
        yield from receive(CLIENT)

    steps = layer()
    next(steps)
    with pytest.raises(AssertionError, match="without an event"):
        next(steps)


def test_a_credential_never_shows_its_secret() -> None:
    granted = CredentialGranted(Credential("password", "s3cret-value", "sa"))
    assert "s3cret-value" not in repr(granted) + str(granted)
