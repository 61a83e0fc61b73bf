"""The first administrator: whoever has the code that the node printed when it started.

The code is never kept: a node that starts again without an administrator prints another.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from datetime import timedelta

from node.clock import Clock
from node.errors import NodeError

LIFE = timedelta(hours=1)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""None that is taken for another."""


class WrongCode(NodeError):
    """It is not the code, or it has been used, or is too old."""


class FirstCode:
    """Works once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ends_at = clock() + LIFE
        self._is_used = False
        self._code = "".join(secrets.choice(_LETTERS) for _ in range(16))  # 80 bits: not guessed

    @property
    def printed(self) -> str:
        """In groups, as a person reads it."""
        return "-".join(self._code[start : start + 4] for start in range(0, 16, 4))

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return not self._is_used and self._clock() < self._ends_at

    def check(self, given: str) -> None:
        """Raises WrongCode."""
        plain = "".join(one for one in given.upper() if one.isalnum())
        if not self.is_open or not hmac.compare_digest(plain.encode(), self._code.encode()):
            raise WrongCode(
                "this is not the code, or it is used or too old: the node prints another when it"
                " starts again, or use `wetread user add`"
            )

    def take(self, given: str) -> None:
        """Use the code up.

        Raises
        ------
        WrongCode
        """
        with self._lock:
            self.check(given)
            self._is_used = True
