"""A loop goes on whatever its step does, and its heartbeat tells."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import ANY

import pytest
import structlog
from structlog.testing import capture_logs

from node.clock import system_clock
from node.loop import Loop, in_words
from node.observe.health import Check, Heartbeat
from storage.errors import DatabaseUnavailable

WAIT_S = 60.0
"""Until a test gives up; nothing here takes so long."""


@contextmanager
def running(
    step: Callable[[], object], pause_s: float | Callable[[], float]
) -> Iterator[tuple[Loop, Heartbeat]]:
    heartbeat = Heartbeat("part", system_clock)
    loop = Loop(step, heartbeat, pause_s)
    loop.start()
    try:
        yield loop, heartbeat
    finally:
        assert loop.stop(WAIT_S)


class Steps:
    """Does one thing after the other, each told in ``done`` before the next begins."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = itertools.chain(steps, itertools.repeat(lambda: None))
        self.done: queue.Queue[int] = queue.Queue()
        self._count = 0

    def __call__(self) -> object:
        self._count += 1
        self.done.put(self._count)
        return next(self._steps)()

    def wait_for(self, count: int) -> None:
        while self.done.get(timeout=WAIT_S) < count:
            pass


def fails(error: Exception) -> Callable[[], object]:
    def step() -> object:
        raise error

    return step


def test_a_loop_rests_until_it_is_woken() -> None:
    steps = Steps()
    with running(steps, pause_s=3600) as (loop, _):
        steps.wait_for(1)
        loop.wake()
        steps.wait_for(2)


def test_a_loop_asks_after_each_step_how_long_to_rest() -> None:
    pauses = iter((0.0, 0.0))
    steps = Steps()
    with running(steps, lambda: next(pauses, 3600)):
        steps.wait_for(3)
        assert next(pauses, None) is None


def test_a_loop_does_not_rest_while_there_is_more_to_do() -> None:
    steps = Steps(lambda: True, lambda: True)
    with running(steps, pause_s=3600):
        steps.wait_for(3)


def test_a_failed_step_is_shown_and_tried_again_long_before_the_pause_is_over() -> None:
    heartbeat = Heartbeat("part", system_clock)
    shown: list[str] = []
    steps = Steps(
        fails(DatabaseUnavailable("locked")), lambda: shown.append(reason_before(heartbeat))
    )
    loop = Loop(steps, heartbeat, 3600)
    loop.start()
    steps.wait_for(2)
    assert loop.stop(WAIT_S)
    assert shown == ["locked"]
    assert heartbeat.check() == Check("part", True, heartbeat.check().last_success_at, ANY, "")


def reason_before(heartbeat: Heartbeat) -> str:
    return heartbeat.check().reason


def test_no_exception_ends_a_loop() -> None:
    steps = Steps(fails(ZeroDivisionError("secret")), fails(KeyError("x")))
    with running(steps, pause_s=3600) as (_, heartbeat):
        steps.wait_for(3)
    assert heartbeat.check().ok


def test_the_same_fault_is_logged_once_and_its_end_too() -> None:
    same = [fails(DatabaseUnavailable("locked")) for _ in range(3)]
    with capture_logs() as lines:
        loop = Loop(Steps(*same), Heartbeat("part", system_clock), 0.0)
        loop._log = structlog.get_logger().bind(part="part")
        for _ in range(4):
            loop._is_there_more()
    assert [line["event"] for line in lines] == ["part_fails", "part_works_again"]


def test_a_stopped_loop_begins_no_more_steps() -> None:
    entered, release = threading.Event(), threading.Event()
    count = itertools.count()

    def step() -> bool:
        next(count)
        entered.set()
        release.wait(WAIT_S)
        return True

    loop = Loop(step, Heartbeat("part", system_clock), 0.0)
    loop.start()
    assert entered.wait(WAIT_S)
    assert not loop.stop(timeout_s=0)
    release.set()
    assert loop.stop(WAIT_S)
    assert next(count) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DatabaseUnavailable("locked"), "locked"),
        (OSError("no space left"), "OSError: no space left"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("DOE^JANE"), "ValueError"),
    ],
)
def test_a_fault_is_told_without_what_might_identify_somebody(error: Exception, words: str) -> None:
    assert in_words(error) == words
