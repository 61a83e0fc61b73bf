"""The port through which instances and results are read and written, whatever keeps them.

Nobody outside ``storage`` knows where bytes lie: they have keys. Files are the one implementation
(``storage.files.instances``, ``storage.files.results``). Whoever reads meets FileNotFoundError
where nothing lies under a key, and OSError where it cannot be read; whoever writes, the errors of
``storage``, or OSError where a job makes its results: by their number it is known what a job waits
for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from storage.records import Placement

if TYPE_CHECKING:  # workers, which touch no database, know the port too
    from storage.files.metadata_shelf import Shelved
    from storage.files.refused_runs import RefusedRun
    from storage.quarantine import RefusalKind, Refused


class Readable(Protocol):
    """Bytes that can be opened again and again; a ``Path`` is one, a ``Blob`` is another."""

    def open(self, mode: Literal["rb"], /) -> BufferedReader:
        """A seekable reader, which takes no more of the bytes than it is asked for."""


class Blobs(Protocol):
    """Bytes under keys. Crosses process borders: what is open is opened anew on the other side."""

    def open(self, key: str) -> BufferedReader:
        """A seekable reader, which takes no more of the bytes than it is asked for.

        It has a ``name``, for pydicom; a ``fileno`` only where there is a file.
        """

    def size(self, key: str) -> int:
        """In bytes."""

    def exists(self, key: str) -> bool:
        """Whether anything lies there."""

    def local_file(self, key: str) -> AbstractContextManager[Path]:
        """A file of this machine with these bytes, for readers that need one; only to be read."""


class Incoming(Protocol):
    """One instance while it is received: put if absent. Leaving it unplaced deletes it."""

    @property
    def size_bytes(self) -> int:
        """How much came until now."""

    @property
    def sha256(self) -> str:
        """Of the data set bytes that came until now."""

    def write_header(self, data: bytes, sop_instance_uid: str = "") -> None:
        """Preamble and file meta information, before all else: ours, not part of the digest.

        With the UID under which it most likely is placed.
        """

    def write(self, data: bytes | memoryview) -> None:
        """Data set bytes, as received."""

    def beginning(self) -> memoryview:
        """The data set's first bytes; valid until a write."""

    def local_file(self) -> AbstractContextManager[Path]:
        """What came until now, for readers that need a file."""

    def begin_to_place(self, sop_instance_uid: str) -> None:
        """All bytes came, and most likely are this instance: prepare what ``place`` finishes."""

    def place(self, sop_instance_uid: str) -> Placement:
        """Store it, if nothing lies under its name; when this returns it survives a power cut."""

    def quarantine(self, kind: RefusalKind) -> str:
        """Keep it aside instead; gives its name there."""

    def close(self) -> None:
        """Nothing more comes."""


class Instances(Protocol):
    """Every received instance exactly as it came, and beside them what was refused."""

    @property
    def blobs(self) -> Blobs:
        """The instances by key."""

    def key_of(self, sop_instance_uid: str) -> str:
        """Where an instance lies, or would."""

    def open_incoming(self) -> Incoming:
        """A new one to receive into."""

    def has_room(self, bytes_free: int) -> bool:
        """Whether so much is free."""

    def free_bytes(self) -> int:
        """How much more can be stored."""

    def verify(self, key: str, sha256: str) -> bool:
        """Whether an instance is there with the bytes that were received."""

    def iterate(self) -> Iterator[str]:
        """The keys of all instances, in no order that means anything."""

    def probe(self) -> None:
        """Write, read back and delete something small."""

    # --- the index has it, or lost it -------------------------------------------------------------

    def unindexed(self, receiver: str = "") -> Sequence[tuple[str, Readable]]:
        """What was received whole and may lack its index row: (incoming name, its bytes)."""

    def is_placed(self, found: Readable, key: str) -> bool:
        """Whether these bytes, of ``unindexed`` or of a key, are what lies under this key."""

    def received_at(self, key: str) -> float:
        """When an instance was stored, in seconds since 1970."""

    def set_aside(self, name: str, reason: str) -> Refused:
        """Move what ``unindexed`` found, and is no instance, to quarantine."""

    def withdraw(self, placement: Placement, kind: RefusalKind | None = None) -> str:
        """Take out what was placed and is held elsewhere: deleted, or kept in quarantine under a
        name that this gives."""

    def settle(self, placements: Iterable[Placement]) -> None:
        """The index has these: nothing needs to remember them beside it."""

    def forget_incoming(self, name: str) -> None:
        """The same of one whose name is known to last."""

    # --- corrections and deletion -----------------------------------------------------------------

    def exchange(self, key: str, kept: str, sop_instance_uid: str, old_sha256: str) -> str:
        """Store refused bytes in the place of others, which go to quarantine: their name there."""

    def discard(self, key: str) -> None:
        """Take an instance out of the store; ``give_back`` or ``purge`` decides about it."""

    def give_back(self, key: str) -> None:
        """A discarded instance is wanted after all; one that came anew meanwhile stays."""

    def purge(self, key: str) -> None:
        """Delete a discarded instance for good."""

    # --- what was refused -------------------------------------------------------------------------

    def can_be_taken(self, kept: str, sha256: str) -> bool:
        """Whether refused bytes are those of the digest, or were put in place already."""

    def refused_bytes(self) -> int:
        """How much quarantine holds."""

    def delete_refused(self, kept: str) -> None:
        """Delete refused bytes; nothing where nothing is."""

    def refused_runs(self) -> list[RefusedRun]:
        """Results that were refused, the oldest first."""

    def delete_refused_run(self, name: str) -> None:
        """Delete what was refused of a run."""


class JobPlace(Protocol):
    """Where one job's results go. Crosses process borders."""

    @property
    def name(self) -> str:
        """What their keys begin with."""

    def open(self, name: str) -> BufferedReader:
        """One of them, to be read."""

    def making(self) -> AbstractContextManager[Path]:
        """A folder of this machine to make them in; after it they survive a power cut.

        What is there already stays unless it is made again. After an error nothing is promised.
        """

    def put(self, name: str, data: bytes) -> None:
        """Write one, in the place of what was there; when this returns it survives a power cut."""

    def set_aside(self, name: str, but: Collection[str] = ()) -> bool:
        """Move all of them to quarantine, under this name; false where there is none.

        ``but``: the names of those that stay as well.
        """

    def set_apart(self, name: str, ending: str) -> bool:
        """Move those whose names end so to quarantine, under this name; false where there is none,
        or nothing to be moved."""


class Results(Protocol):
    """The results of jobs, by keys ``<job key>/<name>``."""

    @property
    def blobs(self) -> Blobs:
        """The results by key."""

    def job(self, job_key: str) -> JobPlace:
        """The place of one job's results, made ready."""

    def jobs(self) -> Iterator[str]:
        """The keys of the jobs that have results, in no order that means anything."""

    def delete(self, job_key: str) -> None:
        """Delete what a job made; nothing where nothing is."""


class Adding(Protocol):
    """Metadata that are put on the shelf. No fault of the disk is raised: then nothing is kept."""

    def write(self, data: bytes) -> None:
        """More of them, packed."""

    def keep(self) -> bool:
        """They are whole; false where they could not be kept."""

    def abandon(self) -> None:
        """Leave nothing of what is not kept."""


class Metadata(Protocol):
    """What was made of series to be told fast; all of it can be made anew at any time."""

    def open(self, name: Shelved) -> BufferedReader:
        """Raises FileNotFoundError, OSError."""

    def open_otherwise(self, name: Shelved) -> BufferedReader:
        """The same, however it is told."""

    def has(self, name: Shelved) -> bool:
        """Whether it is there, however it is told."""

    @property
    def told_as(self) -> str:
        """How what is made beforehand is best told; empty while nobody has said."""

    def prefer(self, told_as: str) -> None:
        """Say so."""

    def adding(self, name: Shelved) -> Adding:
        """A place for what is made; it takes that of what was there of the series."""

    def discard(self, study_instance_uid: str) -> None:
        """Delete all of a study; nothing where nothing is."""

    def discard_others(self, study_instance_uids: Iterable[str]) -> int:
        """Delete what is there of other studies than these; gives of how many."""

    def size_bytes(self) -> int:
        """How much there is."""
