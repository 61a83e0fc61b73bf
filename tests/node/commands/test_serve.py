"""``wetread serve`` ends when it is told to, at whatever moment."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from node.commands.serve import Signals
from tests.waiting import until

EVENTS = 12
"""More than a wait has before it blocks."""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    waking = signal.set_wakeup_fd(-1)
    yield
    signal.set_wakeup_fd(waking)
    for number, handler in kept.items():
        signal.signal(number, handler)


@contextmanager
def signalled_at(nth: int) -> Iterator[None]:
    """SIGTERM before or after the nth call that the main thread makes; a moment later if it blocks.

    An Event as what is waited for never ends at some of them.
    """
    seen = 0
    was_sent = threading.Event()

    def send() -> None:
        if not was_sent.is_set():
            was_sent.set()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def count(frame: object, event: str, given: object) -> None:
        nonlocal seen
        seen += 1
        if seen == nth:
            sys.setprofile(None)
            send()

    late = threading.Timer(0.2, send)
    late.start()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
        late.cancel()
        late.join()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("nth", range(1, EVENTS))
def test_a_signal_amid_the_wait_ends_it(nth: int) -> None:
    signals = Signals()
    with signalled_at(nth):
        signals.wait()


@pytest.mark.timeout(30)
def test_a_signal_that_interrupts_no_call_ends_the_wait() -> None:
    """As one does that comes after the interpreter looked for signals and before it waits."""
    signals = Signals()
    mine = threading.main_thread().ident or 0

    def note_signal() -> None:
        until(lambda: sys._current_frames()[mine].f_code is Signals.wait.__code__)
        _thread.interrupt_main(signal.SIGTERM)

    other = threading.Thread(target=note_signal)
    other.start()
    signals.wait()
    other.join()


def test_one_that_came_before_the_wait_ends_it_too() -> None:
    signals = Signals()
    signal.raise_signal(signal.SIGTERM)
    signals.wait()


def test_a_second_signal_ends_the_process() -> None:
    signals = Signals()
    signal.raise_signal(signal.SIGINT)
    signals.wait()
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
