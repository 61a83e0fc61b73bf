"""A part is well when it did something in the last minute, and only then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from node.observe.health import Check, Health, Heartbeat
from tests.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_well_before_it_has_proved_itself(clock: Clock) -> None:
    health = Health(clock)
    assert not health.report().ok
    for name in ("database", "store"):
        health.part(name)
    report = health.report()
    assert not report.ok
    assert [one.name for one in report.checks] == ["database", "store"]
    assert {one.reason for one in report.checks} == {"has not proved itself yet"}
    assert {one.age_s for one in report.checks} == {None}


def test_the_node_is_well_when_every_part_is(clock: Clock) -> None:
    health = Health(clock)
    database, store = health.part("database"), health.part("store")
    database.beat()
    assert not health.report().ok
    store.beat()
    assert health.report().ok


def test_a_heartbeat_belongs_to_one_part(clock: Clock) -> None:
    health = Health(clock)
    health.part("database")
    with pytest.raises(ValueError, match="there is a part named 'database' already"):
        health.part("database")


def test_a_success_counts_for_sixty_seconds(clock: Clock) -> None:
    store = Heartbeat("store", clock)
    store.beat()
    clock.pass_s(60)
    assert store.check().ok
    clock.pass_s(1)
    assert store.check() == Check(
        "store", False, clock.now - timedelta(seconds=61), 61, "nothing done for 61 s"
    )


def test_a_part_that_works_once_an_hour_is_well_in_between(clock: Clock) -> None:
    rare = Heartbeat("certificates", clock, fresh_s=3660)
    rare.beat()
    clock.pass_s(3600)
    assert rare.check().ok
    clock.pass_s(100)
    assert not rare.check().ok


def test_a_fault_does_not_undo_a_fresh_success_but_is_told(clock: Clock) -> None:
    database = Heartbeat("database", clock)
    database.beat()
    clock.pass_s(20)
    database.fault("locked")
    assert database.check().ok
    assert database.check().reason == "locked"
    clock.pass_s(41)
    lapsed = database.check()
    assert (lapsed.ok, lapsed.reason, lapsed.age_s) == (False, "locked", 61)


def test_a_fault_that_lasts_for_a_minute_is_not_hidden_by_rare_work(clock: Clock) -> None:
    rare = Heartbeat("certificates", clock, fresh_s=3660)
    rare.beat()
    rare.fault("locked")
    clock.pass_s(40)
    rare.fault("locked still")
    assert rare.check().ok
    clock.pass_s(21)
    assert (rare.check().ok, rare.check().reason) == (False, "locked still")


def test_a_success_takes_the_fault_away(clock: Clock) -> None:
    store = Heartbeat("store", clock)
    store.fault("disk full")
    store.beat()
    assert store.check() == Check("store", True, clock.now, 0, "")


def test_work_that_never_comes_back_is_told_as_such(clock: Clock) -> None:
    store = Heartbeat("store", clock)
    store.fault("slow")
    store.begin()
    clock.pass_s(75)
    assert not store.check().ok
    assert store.check().reason == "its work has not come back for 75 s"
    store.beat()
    assert store.check().reason == ""


def test_long_work_is_well_for_as_long_as_it_may_take(clock: Clock) -> None:
    courier = Heartbeat("delivery to pacs", clock, works_s=900)
    courier.beat()
    courier.begin()
    clock.pass_s(890)
    assert courier.check().ok
    clock.pass_s(20)
    assert not courier.check().ok
