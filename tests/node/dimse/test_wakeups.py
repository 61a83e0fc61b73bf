"""The checkpoint that holds a reactor while somebody else talks over its association."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from pynetdicom import AE
from pynetdicom.association import Association

from node.dimse.wakeups import Checkpoint, Pause, hold_by


class Reactor(threading.Thread):
    """A round: wait at the checkpoint, then work until the round is let go."""

    def __init__(self, kind: type[Pause]) -> None:
        super().__init__(daemon=True)
        self.checkpoint = kind(self.is_alive)
        self.at_work = threading.Event()
        self.may_go_on = threading.Event()
        self.ends = False

    def run(self) -> None:
        while not self.ends:
            self.checkpoint.wait()
            self.at_work.set()
            self.may_go_on.wait()
            self.at_work.clear()


@pytest.fixture(params=[Pause, Checkpoint])
def reactor(request: pytest.FixtureRequest) -> Iterator[Reactor]:
    one = Reactor(request.param)
    one.start()
    yield one
    one.ends = True
    one.checkpoint.set()
    one.may_go_on.set()
    one.join(5)
    assert not one.is_alive()


def in_a_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_whoever_clears_it_goes_on_when_the_reactor_is_held_and_not_before(
    reactor: Reactor,
) -> None:
    """pynetdicom's own returns at once, and the reactor takes the response of the other."""
    assert reactor.at_work.wait(5)
    clearing = in_a_thread(reactor.checkpoint.clear)
    clearing.join(0.2)
    assert clearing.is_alive()
    reactor.may_go_on.set()
    clearing.join(5)
    assert not clearing.is_alive()
    time.sleep(0.1)
    assert not reactor.at_work.is_set()
    reactor.checkpoint.set()
    assert reactor.at_work.wait(5)


def test_who_lets_it_go_and_holds_it_at_once_has_let_it_make_a_round(reactor: Reactor) -> None:
    """Without, a sender whose peer has aborted waits for one answer after the other."""
    assert reactor.at_work.wait(5)
    reactor.may_go_on.set()
    reactor.checkpoint.clear()
    reactor.may_go_on.clear()

    def let_go_and_hold() -> None:
        reactor.checkpoint.set()
        reactor.checkpoint.clear()

    holding = in_a_thread(let_go_and_hold)
    assert reactor.at_work.wait(5)
    assert holding.is_alive()
    reactor.may_go_on.set()
    holding.join(5)
    assert not holding.is_alive()


def test_a_reactor_that_has_ended_holds_nobody_up(reactor: Reactor) -> None:
    assert reactor.at_work.wait(5)
    clearing = in_a_thread(reactor.checkpoint.clear)
    reactor.ends = True
    reactor.may_go_on.set()
    clearing.join(5)
    assert not clearing.is_alive()


@pytest.mark.parametrize("kind", [Pause, Checkpoint])
def test_one_without_a_reactor_holds_nobody_up(kind: type[Pause]) -> None:
    checkpoint = kind(lambda: False)
    assert checkpoint.is_set()
    checkpoint.clear()
    assert not checkpoint.is_set()
    assert not checkpoint.wait(0.01)
    checkpoint.set()
    assert checkpoint.wait(0.01)


def test_pynetdicom_says_that_it_is_paused_before_it_waits() -> None:
    """Why it is replaced; should this have changed, its own may do."""
    source = inspect.getsource(Association._run_reactor)
    said, waits = source.index("_is_paused = True"), source.index("_reactor_checkpoint.wait()")
    assert said < waits < source.index("_is_paused = False", waits)
    sending = inspect.getsource(Association.send_c_store)
    assert sending.index("_reactor_checkpoint.clear()") < sending.index("not self._is_paused")


def test_a_thread_that_serves_a_report_does_not_say_that_the_reactor_goes_on() -> None:
    """pynetdicom's does (dimse.py), and whoever releases meanwhile would wait for ever."""
    association = Association(AE(), "requestor")
    said: list[bool] = []

    def run() -> None:
        association._is_paused = True  # as _run_reactor says it
        serving = in_a_thread(lambda: setattr(association, "_is_paused", False))
        serving.join()
        said.append(association._is_paused)

    association.run = run
    hold_by(association, Checkpoint(association.is_alive))
    association.start()
    association.join()
    assert said == [True]
