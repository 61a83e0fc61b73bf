"""Remembers where the frames of the instances last asked for lie: they are asked for one by one."""

from __future__ import annotations

import threading
from collections import OrderedDict

from node.retrieve.frames import EncapsulatedFrames, StoredFrames, stored_frames
from storage.files.port import Readable

MOST_INSTANCES = 4096
MOST_STARTS = 1 << 20
"""Frames of compressed instances in all: each has a place to remember."""


class KeptFrames:
    """What ``stored_frames`` found, by what tells the bytes of a file. For any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, StoredFrames] = OrderedDict()
        self._starts = 0
        self._lock = threading.Lock()

    def of(self, source: Readable, known_by: str, transfer_syntax_uid: str) -> StoredFrames:
        """Raises what ``stored_frames`` raises."""
        with self._lock:
            known = self._known.get(known_by)
            if known is not None:
                self._known.move_to_end(known_by)
                return known
        found = stored_frames(source, transfer_syntax_uid)
        with self._lock:
            self._keep(known_by, found)
        return found

    def _keep(self, known_by: str, found: StoredFrames) -> None:
        if known_by in self._known:
            return
        self._known[known_by] = found
        self._starts += _weight(found)
        while len(self._known) > MOST_INSTANCES or self._starts > MOST_STARTS:
            _, oldest = self._known.popitem(last=False)
            self._starts -= _weight(oldest)


def _weight(found: StoredFrames) -> int:
    return len(found.starts) if isinstance(found, EncapsulatedFrames) else 0
