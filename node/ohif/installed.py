"""OHIF's files as they lie in the node's data folder, or that none are there.

Looked at again when they change: installing and removing needs no restart.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.ohif.pinned import FOLDER

INDEX = "index.html"
COMPRESSED = ".gz"
"""Beside a file stands its compressed form, made once when it is installed."""
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of an installed OHIF by their path in a URL, and what its document needs."""

    files: Mapping[str, Path]
    document: bytes
    inline_scripts: tuple[str, ...]
    """How a Content-Security-Policy names the scripts that stand in the document itself."""


class Viewer:
    """OHIF below a folder; installed or not. For any thread.

    segmentations_as: ``bitmap`` or ``labelmap``, how OHIF stores a segmentation that was edited.
    """

    def __init__(self, folder: Path, segmentations_as: str = "bitmap") -> None:
        self.folder = folder / FOLDER
        self.segmentations_as = segmentations_as
        self._seen: tuple[int, int] | None = None
        self._found: Installation | None = None

    def installation(self) -> Installation | None:
        """What is installed at this moment; None where nothing is."""
        seen = self._mark()
        if seen != self._seen:
            self._found = _read(self.folder) if seen else None
            self._seen = seen
        return self._found

    @property
    def is_installed(self) -> bool:
        return self.installation() is not None

    def _mark(self) -> tuple[int, int] | None:
        """Another one after each installation: the folder is put in place as a whole."""
        try:
            status = self.folder.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns


def _read(folder: Path) -> Installation | None:
    try:
        document = (folder / INDEX).read_bytes()
    except FileNotFoundError:
        return None
    files = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != COMPRESSED and path.name != INDEX
    }
    return Installation(files, document, tuple(map(_named, _INLINE_SCRIPT.findall(document))))


def _named(script: bytes) -> str:
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    return f"'sha256-{digest}'"
