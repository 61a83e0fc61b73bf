"""The seal of a stored file: a mark in its preamble by which it proves that it is whole.

PS3.10 7.1 leaves the 128 bytes of the preamble to the implementation that writes the file. The mark
holds the length and the SHA-256 of the data set, so a file that a power cut tore does not bear a
valid one; and the SOP Instance UID that was answered for.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from storage.files.port import Readable

PREAMBLE = 128
"""Bytes before "DICM". PS3.10 7.1."""

_MAGIC = b"WETREAD1"
_UNSYNCED = b"WETREAD0"
"""Of a store that does not wait for the disk."""
_MARK = struct.Struct("<8sQ32s64s")  # magic, bytes of the data set, their SHA-256, UID
_CHUNK = 1 << 20


def seal(digest: bytes, dataset_bytes: int, sop_instance_uid: str, synced: bool) -> bytes:
    """The mark for a data set; empty for a UID that is none: it has no place for more."""
    uid = sop_instance_uid.encode("utf-8", "replace")
    if not uid or len(uid) > 64:
        return b""
    return _MARK.pack(_MAGIC if synced else _UNSYNCED, dataset_bytes, digest, uid)


def seal_file(path: Path, sop_instance_uid: str) -> None:
    """Seal a whole file that bears no seal, and sync it; one without a preamble stays as it is."""
    with path.open("r+b") as file:
        offset = dataset_offset(file.read(PREAMBLE + 16))
        if offset:
            digest = bytes.fromhex(dataset_digest(path))
            length = path.stat().st_size - offset
            file.seek(0)
            file.write(seal(digest, length, sop_instance_uid, synced=True))
            file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Seal:
    """What a file says of itself."""

    dataset_bytes: int
    sha256: str
    sop_instance_uid: str
    synced: bool
    """Whether the file was synced before it got its final name, so that it survives a power cut
    under it: its other name was synced before, and the seal gives it this one back."""


def read_seal(source: Readable) -> Seal | None:
    """The seal that a file bears, whether it holds or not; None where there is none."""
    with source.open("rb") as file:
        return seal_of(file.read(_MARK.size))


def seal_of(preamble: bytes) -> Seal | None:
    """The same by the file's first bytes."""
    if len(preamble) < _MARK.size:
        return None
    magic, length, digest, uid = _MARK.unpack(preamble[: _MARK.size])
    if magic not in (_MAGIC, _UNSYNCED):
        return None
    text = str(uid.rstrip(b"\0").decode("utf-8", "replace"))
    return Seal(length, digest.hex(), text, magic == _MAGIC)


def holds(path: Path, dataset: memoryview) -> bool:
    """Whether a file's data set is this one."""
    with path.open("rb") as file:
        offset = dataset_offset(file.read(PREAMBLE + 16))
        if os.fstat(file.fileno()).st_size - offset != len(dataset):
            return False
        file.seek(offset)
        return file.read() == dataset


def sealed_uid(path: Path) -> str:
    """The SOP Instance UID of a file that bears a valid seal; else empty."""
    found = read_seal(path)
    if found is None or not _has_length(path, found.dataset_bytes):
        return ""
    return found.sop_instance_uid if dataset_digest(path) == found.sha256 else ""


def contradicts_seal(path: Path, sha256: str) -> bool:
    """Whether a file whose data set has this digest was sealed for other bytes."""
    found = read_seal(path)
    return found is not None and found.sha256 != sha256


def _has_length(path: Path, dataset_bytes: int) -> bool:
    with path.open("rb") as file:
        offset = dataset_offset(file.read(PREAMBLE + 16))
    return offset > 0 and path.stat().st_size - offset == dataset_bytes


def dataset_digest(source: Readable) -> str:
    """sha256 of a file's data set: what follows preamble, "DICM" and the group 2 elements."""
    digest = hashlib.sha256()
    with source.open("rb") as file:
        file.seek(dataset_offset(file.read(PREAMBLE + 16)))
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def dataset_offset(head: bytes) -> int:
    """Where the data set begins: after (0002,0000), whose UL value counts the rest of group 2."""
    group_length = head[PREAMBLE + 4 : PREAMBLE + 16]
    is_whole = len(group_length) == 12 and head[PREAMBLE : PREAMBLE + 4] == b"DICM"
    if not is_whole or group_length[:6] != b"\x02\x00\x00\x00UL":
        return 0
    return PREAMBLE + 16 + int.from_bytes(group_length[8:12], "little")
