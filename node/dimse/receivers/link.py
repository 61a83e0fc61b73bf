"""Messages between the node and its receiver processes: in order, and answered where asked for.

Both ends are ours, so ``multiprocessing`` pickles them; nothing from a peer is ever unpickled.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

Handler = Callable[[Any], Any]


class LinkLost(Exception):
    """The other process is gone, or does not answer."""


@dataclass(frozen=True, slots=True)
class _Call:
    number: int
    message: Any


@dataclass(frozen=True, slots=True)
class _Reply:
    number: int
    value: Any


class _Waiter(threading.Event):
    value: Any = None


class Link:
    """One end. Any thread may send; one thread runs ``serve``."""

    def __init__(self, connection: Connection, handle: Handler, answer: Handler) -> None:
        """``handle`` takes messages in their order; ``answer`` serves calls, each in a thread."""
        self._connection = connection
        self._handle = handle
        self._answer = answer
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiters: dict[int, _Waiter] = {}
        self._is_over = False

    def send(self, message: Any) -> None:
        """Pass a message on; waits while the other end is behind.

        Raises
        ------
        LinkLost
        """
        try:
            with self._lock:
                self._connection.send(message)
        except (OSError, ValueError) as error:
            raise LinkLost("the other process is gone") from error

    def call(self, message: Any, timeout_s: float) -> Any:
        """Ask, and wait for the answer.

        Raises
        ------
        LinkLost
        """
        number, waiter = next(self._numbers), _Waiter()
        self._waiters[number] = waiter
        try:
            self.send(_Call(number, message))
            if not waiter.wait(timeout_s) or self._is_over:
                raise LinkLost("the other process does not answer")
            return waiter.value
        finally:
            self._waiters.pop(number, None)

    def serve(self) -> None:
        """Take what comes until the other process is gone."""
        try:
            while True:
                self._take(self._connection.recv())
        except (EOFError, OSError):
            pass
        finally:
            self._is_over = True
            for waiter in list(self._waiters.values()):
                waiter.set()

    def close(self) -> None:
        """To be called when nobody sends or serves any more."""
        self._connection.close()

    def _take(self, message: Any) -> None:
        if isinstance(message, _Reply):
            waiter = self._waiters.get(message.number)
            if waiter is not None:
                waiter.value = message.value
                waiter.set()
        elif isinstance(message, _Call):
            threading.Thread(target=self._serve_call, args=(message,), daemon=True).start()
        else:
            self._handle(message)

    def _serve_call(self, call: _Call) -> None:
        value = self._answer(call.message)
        with suppress(LinkLost):  # then nobody waits any more
            self.send(_Reply(call.number, value))
