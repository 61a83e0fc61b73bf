"""What pynetdicom's threads wait for: they are woken when there is something to do.

Left alone both look round every millisecond, and a second thread that does so takes the interpreter
from the one that receives. Its two queues and its checkpoint are replaced here by ones that wake
the thread which serves them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from pynetdicom.association import Association

LOOK_ROUND_S = 0.05
"""So long a thread that is at work waits for more before it looks round."""
IDLE_S = 60.0
"""The same for one that has nothing to do: it is woken for everything but its time-outs."""
HELD_S = 0.01
"""So often it is looked whether the reactor that is to be held has ended."""


class Pause(threading.Event):
    """An association's reactor checkpoint that holds: its thread waits here before every round.

    pynetdicom's own lets a reactor slip through: it says that it is paused before it waits, so
    whoever clears the checkpoint at the moment between takes it for paused, and the reactor then
    takes the response off the queue that the other waits for. Here ``clear`` returns once the
    reactor is held. Who lets it go owes it a round: one who sends again and again would else hold
    it for ever, and it would never see that the peer has aborted.
    """

    def __init__(self, is_alive: Callable[[], bool]) -> None:
        """``is_alive``: whether there is a reactor that will come here."""
        super().__init__()
        self._is_alive = is_alive
        self._gate = threading.Condition()
        self._is_open = True
        self._reactor = 0
        self._is_held = False
        self._is_owed = False

    def is_set(self) -> bool:
        return self._is_open

    def set(self) -> None:
        """Let the reactor go on."""
        with self._gate:
            self._is_open = True
            self._is_owed = self._is_held
            self._gate.notify_all()

    def clear(self) -> None:
        """Hold the reactor; returns once it is. (Not when the reactor itself asks.)"""
        with self._gate:
            self._is_open = False
            while not self._has_come_round() and self._is_alive():
                self._gate.wait(HELD_S)

    def _has_come_round(self) -> bool:
        """Whether the reactor waits, and was not let go meanwhile; or it is who asks."""
        return (self._is_held and not self._is_owed) or self._reactor == threading.get_ident()

    def wait(self, timeout: float | None = None) -> bool:
        """The reactor's: return when it may go on."""
        with self._gate:
            self._reactor = threading.get_ident()
            self._is_held = True
            self._gate.notify_all()
            goes_on = self._gate.wait_for(lambda: self._is_open or self._is_owed, timeout)
            self._is_held = self._is_owed = False
            return goes_on


class Checkpoint(Pause):
    """One whose reactor waits for work too, instead of looking round every millisecond."""

    def __init__(
        self, is_alive: Callable[[], bool], patience_s: Callable[[], float] = lambda: LOOK_ROUND_S
    ) -> None:
        """``patience_s``: how long from now nothing is to be done, unless somebody wakes it."""
        super().__init__(is_alive)
        self._patience_s = patience_s
        self._work = threading.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._work.set()

    def set(self) -> None:
        self._work.set()  # it may be to end
        super().set()

    def clear(self) -> None:
        self._work.set()  # it is held behind the wait for work
        super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Return when there is something to do, and the reactor is not to pause."""
        self._work.wait(self._patience_s())
        self._work.clear()
        return super().wait(timeout)


class Held(Association):
    """An association of whose reactor only the reactor itself says that it is paused.

    pynetdicom serves an N-EVENT-REPORT in a thread of its own, and that thread too says afterwards
    that the reactor goes on: whoever holds the reactor at that moment would wait for ever.
    """

    _paused: bool

    @property
    def _is_paused(self) -> bool:
        return self._paused

    @_is_paused.setter
    def _is_paused(self, value: bool) -> None:
        if self._kill or threading.get_ident() == self.ident:
            self._paused = value


def hold_by(association: Association, checkpoint: Checkpoint) -> None:
    """Put a checkpoint in the place of pynetdicom's, before the reactor starts."""
    association._reactor_checkpoint = checkpoint
    association.__class__ = Held
    vars(association)["_paused"] = False


class WakingQueue(queue.Queue[Any]):
    """A queue that tells somebody when something was put into it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._wake()
