"""How an analyzer that takes long tells how far it is. Nobody has to; whoever counts may."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

Heard = Callable[[int, int], None]


def _nobody(done: int, of: int) -> None:
    return


_heard: ContextVar[Heard] = ContextVar("heard", default=_nobody)


def reached(done: int, of: int) -> None:
    """So many of so many steps are done. It costs next to nothing: call it for every slice."""
    _heard.get()(done, of)


def counting(of: int) -> Callable[[], None]:
    """What tells, each time it is called, that one more of so many steps is done: from any thread,
    since threads do not inherit who is told."""
    heard, turn, steps = _heard.get(), Lock(), itertools.count(1)

    def one_more() -> None:
        with turn:
            heard(next(steps), of)

    return one_more


@contextmanager
def listening(heard: Heard) -> Iterator[None]:
    """For as long as it lasts, who is told: for whoever runs analyzers."""
    before = _heard.set(heard)
    try:
        yield
    finally:
        _heard.reset(before)
