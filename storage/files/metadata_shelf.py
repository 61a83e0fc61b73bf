"""The shelf of metadata: one packed file for a series, made of what is held, to be read fast.

Every file here can be made anew at any time. Its name tells of what it was made: another instance,
another byte in one of them, and it has another name, so what is out of date is never found. Names
are digests; the files of a study lie in a folder of its own and go with it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO

from storage.files.disk import named_errors

SHELF = "the folder of metadata"
PART = ".part"
_TOLD_AS = "told_as"


@dataclass(frozen=True, slots=True)
class Shelved:
    """The name of a file: whose metadata, all that they are made of, and how they are told."""

    study_instance_uid: str
    series_instance_uid: str
    made_of: str
    told_as: str = ""


class Adding:
    """A file that is found once it is kept, whole and synced. No fault of the disk is raised: then
    nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        if path is not None:
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.with_name(f"{secrets.token_hex(8)}{PART}").open("xb")

    def write(self, data: bytes) -> None:
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError:
                self.abandon()

    def keep(self) -> bool:
        """Put it in its place, and take what was there of the same series before; false where it
        could not be written."""
        file, path = self._file, self._path
        if file is None or path is None:
            return False
        try:
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
            _leave_alone(path)
        except OSError:
            return False
        finally:
            self.abandon()
        return True

    def abandon(self) -> None:
        """Leave nothing of what is not kept."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                Path(file.name).unlink(missing_ok=True)


def _leave_alone(path: Path) -> None:
    series, _, _ = path.name.partition("-")
    for older in path.parent.glob(f"{series}-*"):
        if older != path:
            older.unlink(missing_ok=True)


class MetadataShelf:
    """All methods may be called from any thread, and from several processes."""

    def __init__(self, root: Path, has_room: Callable[[], bool] = lambda: True) -> None:
        """``has_room``: whether the disk has room for what is not needed."""
        self._root = root
        self._has_room = has_room

    def open(self, name: Shelved) -> BufferedReader:
        """Raises FileNotFoundError, OSError."""
        return self._path(name).open("rb")

    def open_otherwise(self, name: Shelved) -> BufferedReader:
        """The same, however it is told. Raises FileNotFoundError, OSError."""
        found = self._of_any_telling(name)
        if found is None:
            raise FileNotFoundError
        return found.open("rb")

    def has(self, name: Shelved) -> bool:
        """Whether it is there, however it is told."""
        return self._of_any_telling(name) is not None

    @property
    def told_as(self) -> str:
        """How what is made beforehand is best told; empty while nobody has said."""
        with suppress(OSError, UnicodeDecodeError):
            return (self._root / _TOLD_AS).read_text()
        return ""

    def prefer(self, told_as: str) -> None:
        """Say so."""
        if told_as != self.told_as:
            with suppress(OSError):
                self._root.mkdir(parents=True, exist_ok=True)
                half = self._root / f"{secrets.token_hex(8)}{PART}"
                half.write_text(told_as)
                half.replace(self._root / _TOLD_AS)

    def adding(self, name: Shelved) -> Adding:
        """A file to be written. Where there is no room for it, it is written nowhere."""
        return Adding(self._path(name) if self._has_room() else None)

    def discard(self, study_instance_uid: str) -> None:
        """Delete all of a study; nothing where nothing is.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(SHELF), suppress(FileNotFoundError):
            shutil.rmtree(self._folder(study_instance_uid))

    def discard_others(self, study_instance_uids: Iterable[str]) -> int:
        """Delete what lies there of other studies than these, and what an abrupt end left; gives
        of how many.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(SHELF):
            left = {folder.name: folder for folder in self._root.glob("??/*")}
            for half in self._root.rglob(f"*{PART}"):
                half.unlink(missing_ok=True)
            for uid in study_instance_uids if left else ():
                left.pop(name_of(uid), None)
            for folder in left.values():
                shutil.rmtree(folder, ignore_errors=True)
        return len(left)

    def size_bytes(self) -> int:
        """How much lies there.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(SHELF):
            total = 0
            for path in self._root.glob("??/*/*.json.gz"):
                with suppress(FileNotFoundError):
                    total += path.stat().st_size
        return total

    def _folder(self, study_instance_uid: str) -> Path:
        return folder_of(self._root, study_instance_uid)

    def _path(self, name: Shelved) -> Path:
        series = name_of(name.series_instance_uid)
        made_of = name_of(name.made_of)
        folder = self._folder(name.study_instance_uid)
        return folder / f"{series}-{made_of}-{name_of(name.told_as)}.json.gz"

    def _of_any_telling(self, name: Shelved) -> Path | None:
        path = self._path(name)
        if path.is_file():
            return path
        told, _, _ = path.name.rpartition("-")
        return next(path.parent.glob(f"{told}-*"), None)


def folder_of(root: Path, study_instance_uid: str) -> Path:
    """Where lies what can be made anew of a study: it goes with the study."""
    digest = name_of(study_instance_uid)
    return root / digest[:2] / digest


def name_of(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
