"""An instance whose frames are read one after the other: as stored, decompressed, or as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import BinaryIO, cast

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

from node.retrieve import samples
from node.retrieve.frames import (
    EncapsulatedFrames,
    StoredFrames,
    UnreadablePixels,
    frames_of_data_set,
)
from node.retrieve.kept import KeptFrames
from node.retrieve.samples import Samples
from node.retrieve.stored import frame_pieces
from node.retrieve.transcode import NotEncodable, encoded
from storage.files.port import Readable
from storage.header.guarded import guarded_header
from storage.header.reading import read_header

_RECODED = (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
"""Frames do not stand in the file as they are to be given."""


class OpenFrames:
    """The frames of an instance, counted from 1. ``transfer_syntax_uid``: in which they come."""

    def __init__(
        self, source: Readable, file: BinaryIO, frames: StoredFrames, transfer_syntax_uid: str
    ) -> None:
        self.frames = frames
        self.transfer_syntax_uid = transfer_syntax_uid
        self._source = source
        self._file = file

    @cached_property
    def header(self) -> Dataset:
        """Raises UnreadableInstance, OSError."""
        return guarded_header(read_header(self._source).dataset)

    def stored(self, number: int) -> Iterator[bytes]:
        """A frame's bytes, in pieces: pixels where they are native, else its codestream.

        Raises
        ------
        NoSuchFrame, UnreadablePixels, OSError
        """
        return frame_pieces(self._file, self.frames, number)

    def native(self, number: int) -> Iterator[bytes]:
        """The same, decompressed: Explicit VR Little Endian.

        Raises
        ------
        NoSuchFrame, UnreadablePixels, UnreadableInstance, OSError
        """
        if isinstance(self.frames, EncapsulatedFrames):
            stream = b"".join(self.stored(number))
            syntax = UID(self.transfer_syntax_uid)
            return iter((samples.decoded(stream, self.header, self.frames.form, syntax).pixels,))
        return self.stored(number)

    def samples(self, number: int) -> Samples:
        """The same as numbers. Raises what ``native`` raises."""
        return samples.of_frame(
            b"".join(self.stored(number)), self.frames, self.header, UID(self.transfer_syntax_uid)
        )


@contextmanager
def open_frames(
    kept: KeptFrames, source: Readable, known_by: str, transfer_syntax_uid: str
) -> Iterator[OpenFrames]:
    """``known_by``: another one for other bytes of the file.

    Raises
    ------
    NoPixels, UnreadablePixels, UnreadableInstance, FileNotFoundError, OSError
    """
    if transfer_syntax_uid not in _RECODED:
        frames: StoredFrames = kept.of(source, known_by, transfer_syntax_uid)
        with source.open("rb") as file:
            yield OpenFrames(source, file, frames, transfer_syntax_uid)
        return
    try:
        with encoded(source, transfer_syntax_uid, ExplicitVRLittleEndian) as made:
            plain = cast(BinaryIO, made.file)
            yield OpenFrames(source, plain, frames_of_data_set(plain), ExplicitVRLittleEndian)
    except NotEncodable as error:
        raise UnreadablePixels(f"its pixels cannot be read: {error}") from error
