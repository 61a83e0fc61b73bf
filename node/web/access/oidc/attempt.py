"""One login, from the button to the provider's answer: what only this browser knows of it.

A cookie holds a secret. State, nonce and code verifier are made from it, each by a hash of its own,
so that nothing need be kept here, however many logins are begun and never ended. Whoever brings an
answer without the cookie that belongs to it has not begun that login.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from node.web.access.wanted import local_place

LIFE_S = 600
"""How long somebody may take at the provider."""
MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """begun_s: seconds since 1970. place: the page that was wanted."""

    secret: str
    begun_s: int
    place: str

    @classmethod
    def begun(cls, at: datetime, place: str) -> Attempt:
        """A new one, with a secret of 256 random bits."""
        return cls(secrets.token_urlsafe(32), int(at.timestamp()), local_place(place))

    @classmethod
    def of_cookie(cls, text: str) -> Attempt | None:
        """What a cookie says; None where it says nothing that makes sense."""
        begun, _, rest = text.partition(".")
        secret, _, place = rest.partition(".")
        if not (begun.isascii() and begun.isdigit() and len(begun) < 12 and len(secret) >= 43):
            return None
        return cls(secret, int(begun), local_place(unquote(place)))

    @property
    def cookie(self) -> str:
        return f"{self.begun_s}.{self.secret}.{quote(self.place, safe='')}"

    @property
    def state(self) -> str:
        """RFC 6749 10.12."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        return self._derived("nonce")

    @property
    def code_verifier(self) -> str:
        """RFC 7636 4.1: 43 characters."""
        return self._derived("code verifier")

    def is_over(self, at: datetime) -> bool:
        """Whether it was begun too long ago, or is not of this time."""
        return not 0 <= at.timestamp() - self.begun_s + 1 <= LIFE_S

    def _derived(self, what: str) -> str:
        digest = hashlib.sha256(f"{what}\n{self.begun_s}\n{self.secret}".encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Used:
    """Attempts that an answer came to: none is used twice. For any thread."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def use(self, attempt: Attempt) -> bool:
        """Whether it is used for the first time."""
        with self._lock:
            if attempt.state in self._states:
                return False
            self._states[attempt.state] = None
            if len(self._states) > MOST_KEPT:
                self._states.popitem(last=False)
            return True
