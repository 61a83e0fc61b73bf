"""Remembers where the frames of the instances last asked for lie: they are asked for one by one."""

from __future__ import annotations

import threading
from collections import OrderedDict

from node.retrieve.frames import EncapsulatedFrames, StoredFrames, stored_frames
from storage.port import Readable

MOST_INSTANCES = 4096
MOST_STARTS = 1 << 20
"""Frames of compressed instances in all: each has a place to remember."""


class KeptFrames:
    """What ``stored_frames`` found, by the digest of the instance's bytes. For any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, StoredFrames] = OrderedDict()
        self._starts = 0
        self._lock = threading.Lock()

    def of(self, source: Readable, sha256: str, transfer_syntax_uid: str) -> StoredFrames:
        """Raises what ``stored_frames`` raises."""
        with self._lock:
            known = self._known.get(sha256)
            if known is not None:
                self._known.move_to_end(sha256)
                return known
        found = stored_frames(source, transfer_syntax_uid)
        with self._lock:
            self._keep(sha256, found)
        return found

    def _keep(self, sha256: str, found: StoredFrames) -> None:
        if sha256 in self._known:
            return
        self._known[sha256] = found
        self._starts += _weight(found)
        while len(self._known) > MOST_INSTANCES or self._starts > MOST_STARTS:
            _, oldest = self._known.popitem(last=False)
            self._starts -= _weight(oldest)


def _weight(found: StoredFrames) -> int:
    return len(found.starts) if isinstance(found, EncapsulatedFrames) else 0
