"""How far a job is, told from inside its worker: which stage, and how much of it where that is
counted. Stages are told at once, counts a few times a second: no job is slower for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from analyzers.contract import progress

EVERY_S = 0.25
"""Between two counts that are told."""


class Stage(StrEnum):
    """What a worker does, in the order of doing it."""

    LOADING = "loading the analyzer"
    READING = "reading the images"
    ANALYZING = "analyzing"
    WRITING = "writing and checking the results"


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a task is. done, of: where steps are counted; of 0 where they are not."""

    stage: Stage
    done: int = 0
    of: int = 0

    @property
    def share(self) -> float | None:
        """How much of the stage is done, 0 to 1; None where that is not known."""
        return min(max(self.done / self.of, 0.0), 1.0) if self.of > 0 else None


Tell = Callable[[Reached], None]
_tell: ContextVar[Tell] = ContextVar("tell", default=lambda reached: None)


@contextmanager
def told_to(tell: Tell) -> Iterator[None]:
    """For as long as it lasts, who is told."""
    before = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(before)


def enter(stage: Stage) -> None:
    """A stage has begun."""
    _tell.get()(Reached(stage))


@contextmanager
def analyzing() -> Iterator[None]:
    """The analyzer works, and may tell how far it is."""
    enter(Stage.ANALYZING)
    tell, last = _tell.get(), [time.monotonic()]

    def heard(done: int, of: int) -> None:
        now = time.monotonic()
        if now - last[0] >= EVERY_S:
            last[0] = now
            tell(Reached(Stage.ANALYZING, int(done), int(of)))

    with progress.listening(heard):
        yield
