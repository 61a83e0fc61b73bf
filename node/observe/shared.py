"""One computation for all who ask for the same at the same time: ten open tabs cost as one."""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from storage.errors import Overloaded

Value = TypeVar("Value")

KEPT = 64
"""Different questions whose last answer is kept."""
WAIT_S = 5.0
"""How long one waits for another's computation."""


@dataclass(slots=True)
class _Answer:
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = float("-inf")
    value: Any = None


class Shared:
    """Answers by question. All methods may be called from any thread.

    An answer is given again for ``fresh_s``. Whoever asks while another computes waits for it and
    is given an answer that was begun after the question, or less than ``fresh_s`` before it.
    """

    def __init__(self, fresh_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._fresh_s = fresh_s
        self._now = now
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._asked_by: Callable[[], Hashable] = _all_alike

    def for_each(self, asked_by: Callable[[], Hashable]) -> Shared:
        """The same answers, told apart by who asks: nobody is given another's."""
        apart = copy.copy(self)
        apart._asked_by = asked_by
        return apart

    def get(self, question: Hashable, compute: Callable[[], Value]) -> Value:
        """The answer, computed now where there is none that is fresh.

        Raises
        ------
        Overloaded
            Another's computation takes too long; and whatever ``compute`` raises.
        """
        asked = self._now()
        answer = self._answer_to((self._asked_by(), question))
        if not answer.lock.acquire(timeout=WAIT_S):
            raise Overloaded("others wait for the same answer already: ask again in a moment")
        try:
            if answer.began < asked - self._fresh_s:
                began = self._now()
                answer.value = compute()
                answer.began = began
            value: Value = answer.value
            return value
        finally:
            answer.lock.release()

    def forget(self) -> None:
        """Something was changed: what comes is computed anew."""
        with self._lock:
            self._answers.clear()

    def _answer_to(self, question: Hashable) -> _Answer:
        with self._lock:
            answer = self._answers.setdefault(question, _Answer())
            self._answers.move_to_end(question)
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
            return answer


def _all_alike() -> Hashable:
    return None
