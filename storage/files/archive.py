"""The bytes of all that the node holds, wherever they lie: one way to read images and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from storage.files.blobs import Blob
from storage.files.port import Blobs


class Kept(Protocol):
    """What says where an instance lies; ``storage.holdings.Held`` does."""

    @property
    def key(self) -> str: ...

    @property
    def own(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Archive:
    """Both stores, to be read. Crosses process borders."""

    instances: Blobs
    """What was received."""
    results: Blobs
    """What the node made itself."""

    def blob(self, held: Kept) -> Blob:
        """The whole file; opening it meets FileNotFoundError where it was deleted meanwhile."""
        return self.blob_of(held.key, held.own)

    def blob_of(self, key: str, own: bool) -> Blob:
        """The same by what a row of the index says."""
        return Blob(self.results if own else self.instances, key)
