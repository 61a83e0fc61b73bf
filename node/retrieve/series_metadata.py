"""The metadata of a whole series, packed: from the shelf, or made and put there.

A series is shelved once it is worth a file. What is made while a client waits is put on the shelf
as it is sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from io import BufferedReader

from node.retrieve.metadata import FORM, Address, MetadataWriter, told_by
from storage import holdings
from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable, StoreUnavailable
from storage.files.archive import Archive
from storage.files.metadata_shelf import Shelved
from storage.files.port import Adding, Metadata
from storage.holdings import Held, Selection

WORTH_INSTANCES = 16
WORTH_BYTES = 16 * 1024 * 1024
"""A series of so many instances, or of so many bytes, is shelved; others are made in no time."""
_PACKING = 4
"""Of zlib: more makes files little smaller."""
_PACKING_IN_HASTE = 1
_GZIP = 16 + zlib.MAX_WBITS
PIECE = 64 * 1024
_PAGE = 1000

Pieces = Generator[bytes, None, None]


def array(objects: Iterable[bytes]) -> Iterator[bytes]:
    """Objects as a JSON array."""
    separator = b"["
    for one in objects:
        yield separator
        yield one
        separator = b",\n"
    yield b"[]" if separator == b"[" else b"]"


def packed(pieces: Iterable[bytes]) -> Pieces:
    """The pieces as one gzip file, made while somebody waits."""
    packer = zlib.compressobj(_PACKING_IN_HASTE, wbits=_GZIP)
    for piece in pieces:
        if some := packer.compress(piece):
            yield some
    yield packer.flush()


def unpacked(pieces: Iterable[bytes]) -> Pieces:
    """The other way round."""
    unpacker = zlib.decompressobj(wbits=_GZIP)
    for piece in pieces:
        if some := unpacker.decompress(piece):
            yield some
    yield unpacker.flush()


def _pieces(file: BufferedReader) -> Pieces:
    while piece := file.read(PIECE):
        yield piece


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """An array as ``array`` writes it: an instance is a line."""
    begun: list[bytes] = []
    for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join([*begun, line, b"\n"])
            begun = []
        begun.append(rest)
    yield b"".join(begun)


class Nowhere:
    """Where metadata go that are not kept."""

    def write(self, data: bytes) -> None:
        """Nowhere."""

    def keep(self) -> bool:
        return False

    def abandon(self) -> None:
        """There is nothing."""


class SeriesMetadata:
    """Makes and keeps what is asked for. All methods may be called from any thread."""

    def __init__(self, database: Database, archive: Archive, shelf: Metadata | None = None) -> None:
        self._database = database
        self._archive = archive
        self._shelf = shelf

    def packed(self, series: Sequence[Held], origin: str) -> Pieces:
        """The metadata of all instances of a series as a gzip file.

        origin: what their URLs begin with. What the shelf has by another one is packed anew.

        Raises
        ------
        OSError
            While it is made: a file cannot be read.
        """
        name = name_of(series, origin)
        shelf = self._shelf
        if shelf is None or not is_worth(series):
            yield from self._made(series, name, lambda: None)
            return
        shelf.prefer(origin)
        with suppress(FileNotFoundError), shelf.open(name) as file:
            yield from _pieces(file)
            return
        with suppress(FileNotFoundError), shelf.open_otherwise(name) as file:
            lines = _lines(unpacked(_pieces(file)))
            yield from packed(told_by(origin, line) for line in lines)
            return
        yield from self._made(series, name, lambda: None)

    def is_shelved(self, series: Sequence[Held]) -> bool:
        """Whether nothing has to be made of it."""
        return self._shelf is None or not is_worth(series) or self._shelf.has(name_of(series))

    def shelve(self, series: Sequence[Held], breathe: Callable[[], None]) -> None:
        """Make what is not there; ``breathe`` is called after every instance.

        Raises
        ------
        OSError
        """
        origin = self._shelf.told_as if self._shelf is not None else ""
        for _ in self._made(series, name_of(series, origin), breathe):
            pass

    def objects(self, instances: Iterable[Held], origin: str) -> Iterator[bytes]:
        """One JSON object an instance; what was deleted meanwhile is left out."""
        writer = MetadataWriter()
        for one in instances:
            uids = (one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid)
            blob = self._archive.blob(one)
            with suppress(FileNotFoundError):
                yield writer.write(blob, one.transfer_syntax_uid, Address(*uids, origin))

    def _made(self, series: Sequence[Held], name: Shelved, breathe: Callable[[], None]) -> Pieces:
        packer = zlib.compressobj(_PACKING, wbits=_GZIP)
        added = self._adding(series, name)
        try:
            for piece in array(self.objects(series, name.told_as)):
                if some := packer.compress(piece):
                    added.write(some)
                    yield some
                breathe()
            rest = packer.flush()
            added.write(rest)
            self._keep(added, name)
            yield rest
        finally:
            added.abandon()

    def _adding(self, series: Sequence[Held], name: Shelved) -> Adding:
        if self._shelf is None or not is_worth(series):
            return Nowhere()
        return self._shelf.adding(name)

    def _keep(self, added: Adding, name: Shelved) -> None:
        """Unless the series is another one by now: then whoever deletes may have been here."""
        if not added.keep() or self._shelf is None:
            return
        if not self._is_so_still(name):
            with suppress(StoreUnavailable):
                self._shelf.discard(name.study_instance_uid)

    def _is_so_still(self, name: Shelved) -> bool:
        """False too where nobody can tell now: what is not kept is made anew."""
        try:
            with self._database.look() as tx:
                now = series_of(tx, name.study_instance_uid, name.series_instance_uid)
        except DatabaseUnavailable:
            return False
        return bool(now) and name_of(now, name.told_as) == name


def is_worth(series: Sequence[Held]) -> bool:
    """Whether a file is kept of it."""
    return len(series) >= WORTH_INSTANCES or sum(one.size_bytes for one in series) >= WORTH_BYTES


def name_of(series: Sequence[Held], origin: str = "") -> Shelved:
    """On the shelf. Made of the bytes of all instances, in their order, and how they are read."""
    parts = (f"{one.sop_instance_uid} {one.sha256} {one.transfer_syntax_uid}" for one in series)
    first = series[0]
    made_of = "\n".join([FORM, *parts])
    return Shelved(first.study_instance_uid, first.series_instance_uid, made_of, origin)


def series_of(tx: Transaction, study_instance_uid: str, series_instance_uid: str) -> list[Held]:
    """All instances of a series."""
    selected = Selection(study_uids=(study_instance_uid,), series_uids=(series_instance_uid,))
    found: list[Held] = []
    page = holdings.select(tx, selected, 0, _PAGE)
    while page:
        found += page
        page = holdings.select(tx, selected, page[-1].id, _PAGE) if len(page) == _PAGE else []
    return found
