"""A part is well when it did something in the last minute, and only then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from node.observe.health import PARTS, Check, Health, HealthProbe


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _check(health: Health, name: str) -> Check:
    return next(one for one in health.report().checks if one.name == name)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_nothing_is_well_before_it_has_proved_itself(clock: Clock) -> None:
    report = Health(clock).report()
    assert not report.ok
    assert [one.name for one in report.checks] == list(PARTS)
    assert {one.reason for one in report.checks} == {"has not proved itself yet"}
    assert {one.age_s for one in report.checks} == {None}


def test_the_node_is_well_when_every_part_is(clock: Clock) -> None:
    health = Health(clock)
    for part in PARTS[:-1]:
        health.beat(part)
    assert not health.report().ok
    health.beat(PARTS[-1])
    assert health.report().ok


def test_a_success_counts_for_sixty_seconds(clock: Clock) -> None:
    health = Health(clock)
    health.beat("store")
    clock.move(60)
    assert _check(health, "store").ok
    clock.move(1)
    lapsed = _check(health, "store")
    assert not lapsed.ok
    assert lapsed.age_s == 61
    assert lapsed.reason == "nothing done for 61 s"


def test_a_fault_does_not_undo_a_fresh_success_but_is_told(clock: Clock) -> None:
    health = Health(clock)
    health.beat("database")
    clock.move(20)
    health.fault("database", "locked")
    assert _check(health, "database").ok
    assert _check(health, "database").reason == "locked"
    clock.move(41)
    lapsed = _check(health, "database")
    assert (lapsed.ok, lapsed.reason, lapsed.age_s) == (False, "locked", 61)


def test_a_success_takes_the_fault_away(clock: Clock) -> None:
    health = Health(clock)
    health.fault("store", "disk full")
    health.beat("store")
    assert _check(health, "store") == Check("store", True, clock.now, 0, "")


def test_a_check_that_never_comes_back_is_told_as_such(clock: Clock) -> None:
    health = Health(clock)
    health.fault("store", "slow")
    health.attempt("store")
    clock.move(75)
    assert _check(health, "store").reason == "its check has not come back for 75 s"
    health.beat("store")
    assert _check(health, "store").reason == ""


def test_probes_beat_fault_and_do_not_hold_each_other() -> None:
    release, health = threading.Event(), Health(lambda: datetime.now(UTC))

    def hang() -> None:
        release.wait(30)

    def fail() -> None:
        raise OSError("no space left")

    def fail_silently() -> None:
        raise TimeoutError

    probes: dict[str, Callable[[], None]] = {
        "store": hang, "database": fail, "listener": fail_silently, "workers": lambda: None
    }  # fmt: skip
    probe = HealthProbe(health, probes, every_s=0.01)
    probe.start()
    _until(lambda: _check(health, "workers").ok and "OSError" in _check(health, "database").reason)
    assert _check(health, "database").reason == "OSError: no space left"
    _until(lambda: _check(health, "listener").reason == "TimeoutError")
    assert not _check(health, "store").ok
    release.set()
    _until(lambda: _check(health, "store").ok)
    probe.stop()


def test_a_part_that_recovers_is_well_again() -> None:
    faults = iter([OSError("away"), OSError("away")])
    health = Health(lambda: datetime.now(UTC))

    def prove() -> None:
        for fault in faults:
            raise fault

    probe = HealthProbe(health, {"store": prove}, every_s=0.01)
    probe.start()
    _until(lambda: _check(health, "store").ok)
    probe.stop()
    assert _check(health, "store").reason == ""


def test_a_stopped_probe_tries_no_more() -> None:
    tries: list[int] = []
    probe = HealthProbe(Health(lambda: datetime.now(UTC)), {"store": lambda: tries.append(1)}, 0.01)
    probe.start()
    _until(lambda: len(tries) > 2)
    probe.stop()
    time.sleep(0.05)
    done = len(tries)
    time.sleep(0.1)
    assert len(tries) == done
