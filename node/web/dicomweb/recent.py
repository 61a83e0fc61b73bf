"""Remembers the instances last asked for: viewers ask for the frames of a series one by one.

Nothing stale is told: the seal of the file (``storage.files.seal``) says each time that these are
still the bytes that the index spoke of. What bears none is looked up anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from node.web.access import sight
from storage.files.archive import Archive
from storage.files.seal import read_seal
from storage.holdings import Held, Selection
from storage.restriction import Restriction

MOST = 4096
_Question = tuple[Restriction, Selection]


class Recent:
    """Instances by what a URL selects, and by who may see what. For any thread."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: OrderedDict[_Question, Held] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, selected: Selection) -> Held | None:
        """The instance, if it is remembered and its bytes are those that were there."""
        with self._lock:
            held = self._known.get((sight.current(), selected))
        if held is None or self._is_there(held):
            return held
        with self._lock:
            self._known.pop((sight.current(), selected), None)
        return None

    def keep(self, selected: Selection, held: Held) -> None:
        """Remember what was just looked up; not the node's own results, which bear no seal."""
        if held.own:
            return
        with self._lock:
            self._known[sight.current(), selected] = held
            if len(self._known) > MOST:
                self._known.popitem(last=False)

    def _is_there(self, held: Held) -> bool:
        try:
            found = read_seal(self._archive.blob(held))
        except OSError:
            return False
        return found is not None and found.sha256 == held.sha256
