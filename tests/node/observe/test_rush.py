"""Whether images come fast is told by what has come between two looks."""

from __future__ import annotations

import pytest

from node.observe.rush import FAST, LOOK_S, STALE_S, Rush


class _Coming:
    """A clock and a count that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.came = 0
        self.looks = 0

    def received(self) -> int:
        self.looks += 1
        return self.came

    def go_on(self, seconds: float, images: float) -> None:
        self.now += seconds
        self.came += round(images)


@pytest.fixture
def coming() -> _Coming:
    return _Coming()


def _rush(coming: _Coming) -> Rush:
    return Rush(coming.received, lambda: coming.now)


def test_it_is_calm_at_first_whatever_had_come_before(coming: _Coming) -> None:
    coming.came = 10**6
    assert not _rush(coming).is_on()


@pytest.mark.parametrize(("a_second", "is_on"), [(0, False), (FAST, False), (FAST + 1, True)])
def test_more_than_so_many_a_second_is_a_rush(coming: _Coming, a_second: int, is_on: bool) -> None:
    rush = _rush(coming)
    rush.is_on()
    coming.go_on(2.0, 2 * a_second)
    assert rush.is_on() is is_on


def test_it_ends_with_the_next_look(coming: _Coming) -> None:
    rush = _rush(coming)
    rush.is_on()
    coming.go_on(LOOK_S, 500)
    assert rush.is_on()
    coming.go_on(LOOK_S, 0)
    assert not rush.is_on()


def test_what_came_long_ago_is_no_rush(coming: _Coming) -> None:
    rush = _rush(coming)
    rush.is_on()
    coming.go_on(STALE_S + 1, 10**5)
    assert not rush.is_on()
    coming.go_on(LOOK_S, 500)
    assert rush.is_on()


def test_many_who_ask_look_once_a_second(coming: _Coming) -> None:
    rush = _rush(coming)
    for _ in range(100):
        rush.is_on()
        coming.go_on(LOOK_S / 50, 1)
    assert coming.looks <= 3
