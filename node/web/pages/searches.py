"""What people have typed to find somebody, by a key: addresses carry the key, and so no name.

Kept in memory, so many of them; an address whose words are gone says so.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

MOST = 1000
MAX_CHARACTERS = 200


class Searches:
    """All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: OrderedDict[str, str] = OrderedDict()

    def keep(self, words: str) -> str:
        """The key of some words; empty for none."""
        words = " ".join(words[:MAX_CHARACTERS].split())
        if not words:
            return ""
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._words[key] = words
            while len(self._words) > MOST:
                self._words.popitem(last=False)
        return key

    def words(self, key: str) -> str | None:
        """What was typed; None where nobody knows that any more."""
        if not key:
            return ""
        with self._lock:
            return self._words.get(key)
