"""Bytes by key: as files below a folder, and one of them with the store that it lies in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal

from storage.files.port import Blobs, Readable


@dataclass(frozen=True, slots=True)
class Files:
    """Files below a folder; a key is a path from there."""

    root: Path

    def path(self, key: str) -> Path:
        return self.root / key

    def open(self, key: str) -> BufferedReader:
        return self.path(key).open("rb")

    def size(self, key: str) -> int:
        return self.path(key).stat().st_size

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        """The file itself."""
        yield self.path(key)


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that some store keeps under a key."""

    store: Blobs
    key: str

    def open(self, mode: Literal["rb"] = "rb", /) -> BufferedReader:
        return self.store.open(self.key)

    def size(self) -> int:
        """In bytes. Raises FileNotFoundError, OSError."""
        return self.store.size(self.key)

    def exists(self) -> bool:
        return self.store.exists(self.key)


@contextmanager
def local_file(one: Readable) -> Iterator[Path]:
    """A file of this machine with these bytes, for readers that need one; only to be read.

    Raises
    ------
    OSError
    """
    if isinstance(one, Path):
        yield one
    elif isinstance(one, Blob):
        with one.store.local_file(one.key) as path:
            yield path
    else:
        raise TypeError(f"{type(one).__name__} has no file")


def sha256_of(one: Readable) -> str:
    """Raises FileNotFoundError, OSError."""
    with one.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
