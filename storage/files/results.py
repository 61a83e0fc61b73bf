"""The folder of result files: one sub-folder a job, named by the job's key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO

from storage.files import folder_lock
from storage.files.blobs import Files
from storage.files.disk import named_errors, sync_file, sync_folder, write_whole

_STORE = "the results folder"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The folder of one job's results; it may be any. Without a quarantine none are set aside."""

    folder: Path
    quarantine: Path | None = None

    @property
    def name(self) -> str:
        """What the keys of its files begin with."""
        return self.folder.name

    def open(self, name: str) -> BufferedReader:
        """One of its files. Raises FileNotFoundError, OSError."""
        return (self.folder / name).open("rb")

    @contextmanager
    def making(self) -> Iterator[Path]:
        """The folder itself; what lies in it at the end survives a power cut.

        Raises
        ------
        OSError
            It cannot be made, or synced.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        yield self.folder
        seal(path for path in sorted(self.folder.iterdir()) if path.is_file())

    def put(self, name: str, data: bytes) -> None:
        """Write a file, in the place of what was there; afterwards it survives a power cut.

        Raises
        ------
        OSError
        """
        write_whole(self.folder / name, data)
        sync_folder(self.folder)

    def set_aside(self, name: str, but: Collection[str] = ()) -> bool:
        """Move its files into quarantine, into a folder of this name; false where there is none.

        ``but``: the names of those that stay as well.

        Raises
        ------
        OSError
        """
        if self.quarantine is None:
            return False
        if not but:
            self.folder.rename(self.quarantine / name)
            return True
        aside = self.quarantine / name
        aside.mkdir()
        for path in sorted(self.folder.iterdir()):
            os.link(path, aside / path.name)
        sync_folder(aside)
        for path in aside.iterdir():
            if path.name not in but:
                (self.folder / path.name).unlink()
        sync_folder(self.folder)
        return True

    def set_apart(self, name: str, ending: str) -> bool:
        """Move its files whose names end so into quarantine, into a folder of this name; false
        where there is no quarantine, or no such file.

        Raises
        ------
        OSError
        """
        files = sorted(self.folder.glob(f"*{ending}"))
        if self.quarantine is None or not files:
            return False
        aside = self.quarantine / name
        aside.mkdir(parents=True, exist_ok=True)
        for path in files:
            path.rename(aside / path.name)
        sync_folder(aside)
        sync_folder(self.folder)
        return True

    def take_back(self, aside: Path, names: Mapping[str, str]) -> None:
        """Files that were set aside, by the names that they get here; they stay there as well.

        What has that name already is the same, of a call that was cut off. Afterwards they survive
        a power cut.

        Raises
        ------
        OSError
        """
        self.folder.mkdir(exist_ok=True)
        for there, here in names.items():
            with suppress(FileExistsError):
                os.link(aside / there, self.folder / here)
        seal(self.folder / here for here in names.values())


class ResultStore:
    """Result files below a root; keys are ``<job key>/<file>``."""

    def __init__(self, root: Path, quarantine: Path | None = None) -> None:
        """Raises StoreUnavailable."""
        self.root = root
        self.blobs = Files(root)
        self._quarantine = quarantine
        with named_errors(_STORE):
            root.mkdir(parents=True, exist_ok=True)
        self._held: IO[bytes] | None = None

    def lock(self) -> None:
        """Be the one node that works here, until unlocked or the process ends.

        Raises
        ------
        FolderTaken, StoreUnavailable
        """
        self._held = folder_lock.lock(self.root, _STORE)

    def unlock(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """``lock`` for as long as something is done.

        Raises
        ------
        FolderTaken, StoreUnavailable
        """
        self.lock()
        try:
            yield
        finally:
            self.unlock()

    def job(self, job_key: str) -> JobFolder:
        """The place of one job's results.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        return JobFolder(self.folder(job_key), self._quarantine)

    def jobs(self) -> Iterator[str]:
        """The keys of the jobs that have results, in no order that means anything.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(_STORE):
            names = sorted(path.name for path in self.root.iterdir() if path.is_dir())
        yield from names

    def folder(self, job_key: str) -> Path:
        """The folder of a job, made if it is not there.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        folder = self.root / job_key
        with named_errors(_STORE):
            folder.mkdir(exist_ok=True)
        return folder

    def path(self, key: str) -> Path:
        return self.blobs.path(key)

    def delete(self, job_key: str) -> None:
        """Delete what a job made; nothing where nothing is.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(_STORE), suppress(FileNotFoundError):
            shutil.rmtree(self.root / job_key)


def seal(files: Iterable[Path]) -> None:
    """Sync files, the folders that they lie in, and those that these lie in.

    From here on they survive a power cut. Raises OSError.
    """
    sealed = list(files)
    for path in sealed:
        sync_file(path)
    folders = {path.parent for path in sealed}
    for folder in folders | {folder.parent for folder in folders}:
        sync_folder(folder)
