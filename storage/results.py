"""The folder of result files: one sub-folder a job, named by the job's key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from storage import folder_lock
from storage.disk import named_errors, sync_folder

_STORE = "the results folder"


class ResultStore:
    """Result files below a root; keys are ``<job key>/<file>``."""

    def __init__(self, root: Path) -> None:
        self.root = root
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
        return self.root / key

    def seal(self, paths: Iterable[Path]) -> None:
        """Sync files and the folders they lie in: from here on they survive a power cut.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        sealed = list(paths)
        with named_errors(_STORE):
            for path in sealed:
                _sync_file(path)
            for folder in {self.root, *(path.parent for path in sealed)}:
                sync_folder(folder)

    def delete(self, job_key: str) -> None:
        """Delete what a job made; nothing where nothing is.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(_STORE), suppress(FileNotFoundError):
            shutil.rmtree(self.root / job_key)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
