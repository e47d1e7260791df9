"""Keys sort as times do, and no two are the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.ledger.record import format_time
from hoopcli.server.records.keys import HIGHEST, key, moment, spread

TIMES = st.integers(0, 142 * 365 * 86_400 * 10**6).map(
    lambda n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=n)
)


@given(TIMES, TIMES, st.integers(1, 1 << 20), st.integers(0, 1 << 40))
@settings(max_examples=100)
def test_keys_sort_as_times(first: datetime, second: datetime, ledger: int, index: int) -> None:
    if first != second:
        earlier, later = sorted((first, second))
        assert key(format_time(earlier), ledger, index) < moment(later) <= key(format_time(later), ledger, index)


def test_times_that_no_key_has_room_for_are_the_last() -> None:
    assert 0 <= moment(datetime.max.replace(tzinfo=UTC)) < HIGHEST - 2048
    assert moment(datetime.min.replace(tzinfo=UTC)) == 0


@given(st.lists(st.integers(0, 40), max_size=40), st.sets(st.integers(0, 60)))
@settings(max_examples=200)
def test_each_gets_a_free_key_of_its_own_not_before_the_one_wanted(wanted: list[int], theirs: set[int]) -> None:
    def free(at: int) -> int:
        while at in theirs:
            at += 1
        return at

    given_keys = spread(wanted, lambda some: theirs & set(some), free)
    assert len(set(given_keys)) == len(wanted)
    assert theirs.isdisjoint(given_keys)
    assert all(got >= asked for got, asked in zip(given_keys, wanted, strict=True))


def test_many_of_one_moment_cost_little() -> None:
    assert spread([5] * 100_000, lambda _: set(), lambda at: at) == list(range(5, 100_005))
