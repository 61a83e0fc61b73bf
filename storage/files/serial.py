"""The serial number of a node: made once at random, and kept in its folder of data.

No two nodes have the same, whatever else they have in common. It is a file and no row, so that it
outlives the database, as the results do that name it.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from storage.errors import StoreUnavailable
from storage.files.disk import named_errors, sync_folder, write_whole

NAME = "serial"
_FORM = re.compile(r"[0-9A-F]{16}")


def serial_of(folder: Path) -> str:
    """The serial number kept in a folder; made where there is none. One process at a time.

    Raises
    ------
    OutOfSpace, StoreUnavailable
        It cannot be read or written; or what is there is no serial number.
    """
    path = folder / NAME
    with named_errors("the folder of data"):
        try:
            kept = path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return _made(path)
    if not _FORM.fullmatch(kept):
        raise StoreUnavailable(
            f"{path} holds no serial number of 16 hexadecimal digits: put the file back from a"
            " copy, or delete it, and a new one is made"
        )
    return kept


def _made(path: Path) -> str:
    made = secrets.token_hex(8).upper()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, f"{made}\n".encode())
    sync_folder(path.parent)
    return made
