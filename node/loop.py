"""One thread that does a step again and again, and proves by its heartbeat that it does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from node.backoff import doubled
from node.errors import NodeError
from node.news import News
from node.observe.health import Heartbeat
from storage.errors import DatabaseUnavailable, StorageError, StoreUnavailable

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RETRY_S = 0.5
"""The rest after a step that failed; doubles with each that follows, up to ``RETRY_MAX_S``."""
RETRY_MAX_S = 5.0


class Part(Protocol):
    """What the node starts in the order of the data's way, and stops."""

    def start(self) -> None: ...

    def stop(self, timeout_s: float) -> bool: ...


class Loop:
    """Does ``step`` until stopped. No fault ends it: it is logged, shown, and tried again.

    step: gives True when there is more to do at once; else the loop rests for ``pause_s``, or until
        it is woken.
    pause_s: asked after the step where it is a function: what is to come may be known by then.
    stopping: set when the loop is told to stop, for steps that have threads of their own.
    news: tells that a step would find nothing: then it is left out, unless the loop was woken.
    """

    def __init__(
        self,
        step: Callable[[], object],
        heartbeat: Heartbeat,
        pause_s: float | Callable[[], float],
        stopping: threading.Event | None = None,
        news: News | None = None,
    ) -> None:
        self._step = step
        self._heartbeat = heartbeat
        self._pause_s = pause_s if callable(pause_s) else lambda: pause_s
        self._stopping = stopping or threading.Event()
        self._wake = threading.Event()
        self._news = news
        if news is not None:
            news.wake = self._wake.set
        self._was_woken = False
        self._failures = 0
        self._said = ""
        self._log = log.bind(part=heartbeat.name)
        self._thread = threading.Thread(target=self._run, name=heartbeat.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something to do now."""
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Begin no more steps; true when the thread has ended in time."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._is_there_more():
                self._was_woken = self._rest()
                self._wake.clear()

    def _is_there_more(self) -> bool:
        self._heartbeat.begin()
        try:
            more = self._look()
        except (DatabaseUnavailable, StoreUnavailable) as error:
            self._failed(error, self._log.error)  # it passes by itself, and is waited for
        except Exception as error:  # noqa: BLE001  border: no fault of a step may end its loop
            self._failed(error, self._log.exception)
        else:
            self._worked()
            return more
        return False

    def _look(self) -> bool:
        if self._news is None:
            return self._step() is True
        return self._news.have(self._step, self._was_woken)

    def _worked(self) -> None:
        self._heartbeat.beat()
        if self._said:
            self._log.info("part_works_again")
        self._failures, self._said = 0, ""

    def _failed(self, error: Exception, line: Callable[..., object]) -> None:
        """What goes on failing in the same way is logged once; the heartbeat tells it meanwhile."""
        reason = in_words(error)
        self._failures += 1
        self._heartbeat.fault(reason)
        if reason != self._said:
            line("part_fails", reason=reason)
        self._said = reason

    def _rest(self) -> bool:
        if self._news is None:
            return self._wake.wait(self._rest_s())
        return self._news.rest(self._wake.wait, self._rest_s())

    def _rest_s(self) -> float:
        if not self._failures:
            return self._pause_s()
        return doubled(RETRY_S, self._failures, RETRY_MAX_S)


def in_words(error: Exception) -> str:
    """A fault in one line. Of an exception not made here only its type: its text may quote."""
    if isinstance(error, StorageError):
        return str(error)
    if isinstance(error, NodeError | OSError):
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    return type(error).__name__
