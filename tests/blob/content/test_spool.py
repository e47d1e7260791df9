from __future__ import annotations

import io
from pathlib import Path

import pytest

from connectors.blob.content.spool import SpoolKey, SpoolReader
from hoopcli.proxy import spool as store
from hoopcli.sansio import spool as contract


def test_the_store_is_what_the_connector_asks_for(tmp_path: Path) -> None:
    spool: contract.Spool = store.Spool(tmp_path)
    file, make = spool.open(SpoolKey("acme/docs/a.csv", "", '"0x8D"', "0123"))
    assert make
    file.append(b"0123456789")
    reader = io.BufferedReader(SpoolReader(file))
    assert reader.seek(-3, io.SEEK_END) == 7
    assert reader.read() == b"789"
    assert reader.seek(2) == 2
    assert reader.read(3) == b"234"
    raw = SpoolReader(file)
    assert raw.readable()
    assert raw.seekable()
    assert (raw.read(4), raw.tell(), raw.seek(1, io.SEEK_CUR)) == (b"0123", 4, 5)
    with pytest.raises(ValueError, match="before the begin"):
        raw.seek(-1)
    file.fail()
    file.close()
