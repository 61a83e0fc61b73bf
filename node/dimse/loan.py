"""A connection, lent by the thread that serves it to another one for a while.

Two threads at one socket would mix their messages, and OpenSSL takes no two at one time. Handing
each message over instead costs two changes of threads for each C-STORE.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

GRACE_S = 0.05
"""So often who waits for the connection looks whether its thread has ended."""


class NotLent(Exception):
    """The association is over: there is nothing to lend."""


class Loan:
    """Between the thread that serves a connection, and the one that borrows it."""

    def __init__(self, wake: Callable[[], None], is_alive: Callable[[], bool]) -> None:
        """``wake`` ends what the serving thread waits in; ``is_alive``: whether it is there."""
        self._wake = wake
        self._is_alive = is_alive
        self._gate = threading.Condition()
        self._is_wanted = False
        self._is_lent = False

    @property
    def is_wanted(self) -> bool:
        return self._is_wanted

    def take(self) -> None:
        """Borrow; returns once the serving thread does nothing any more.

        Raises
        ------
        NotLent
        """
        with self._gate:
            self._is_wanted = True
        self._wake()
        with self._gate:
            while not self._is_lent:
                if not self._is_alive():
                    self._is_wanted = False
                    raise NotLent
                self._gate.wait(GRACE_S)

    def give_back(self) -> None:
        """The serving thread goes on."""
        with self._gate:
            self._is_wanted = self._is_lent = False
            self._gate.notify_all()

    def lend(self) -> None:
        """Of the serving thread: return when it was given back."""
        with self._gate:
            self._is_lent = self._is_wanted
            self._gate.notify_all()
            while self._is_lent:
                self._gate.wait()
