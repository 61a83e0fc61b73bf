"""Remembers what was asked for last, up to so many bytes. For any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Kept(Generic[_T]):
    """By key; ``weigh`` says how many bytes something takes."""

    def __init__(self, most_bytes: int, weigh: Callable[[_T], int]) -> None:
        self._most_bytes = most_bytes
        self._weigh = weigh
        self._known: OrderedDict[Hashable, _T] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What is kept under a key, or what ``make`` gives, which is kept from now on; whatever
        that raises. Two who ask at once may both make it."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = make()
        with self._lock:
            self._keep(key, made)
        return made

    def _keep(self, key: Hashable, made: _T) -> None:
        weight = self._weigh(made)
        if key in self._known or weight > self._most_bytes:
            return
        self._known[key] = made
        self._bytes += weight
        while self._bytes > self._most_bytes:
            _, oldest = self._known.popitem(last=False)
            self._bytes -= self._weigh(oldest)

    @property
    def size_bytes(self) -> int:
        return self._bytes
