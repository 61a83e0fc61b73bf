"""Instances as files of their own, in the transfer syntax that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from node.receive.file_meta import file_header
from node.receive.offer import Offer
from node.retrieve.encoded import Encoded
from node.retrieve.transcode import NotEncodable, encoded
from node.web.dicomweb.accept import AS_STORED
from node.web.dicomweb.room import Room
from node.web.dicomweb.streams import PIECE, Pieces, file_pieces
from storage.holdings import Held


@dataclass(frozen=True, slots=True)
class WholeInstance:
    """A file as it is sent, and what it is encoded in."""

    transfer_syntax_uid: str
    pieces: Pieces


def is_stored_so(held: Held, transfer_syntax: str) -> bool:
    """Whether the bytes that are stored are those that are asked for."""
    return transfer_syntax in (AS_STORED, held.transfer_syntax_uid)


@contextmanager
def whole_instance(
    room: Room, held: Held, transfer_syntax: str, strictly: bool = False
) -> Iterator[WholeInstance]:
    """An instance in a transfer syntax; as stored where it cannot be had in that one, unless that
    is asked for ``strictly``: its part says what it is.

    Raises
    ------
    NotEncodable
    FileNotFoundError, OSError
    """
    source, stored = room.context.archive.blob(held), held.transfer_syntax_uid
    if is_stored_so(held, transfer_syntax):
        yield WholeInstance(stored, file_pieces(source))
        return
    with ExitStack() as stack:
        try:
            made = stack.enter_context(encoded(source, stored, transfer_syntax))
        except NotEncodable:
            if strictly:
                raise
            yield WholeInstance(stored, file_pieces(source))
            return
        yield WholeInstance(transfer_syntax, _file(held, transfer_syntax, made))


def _file(held: Held, transfer_syntax: str, made: Encoded) -> Pieces:
    yield file_header(Offer(held.sop_class_uid, held.sop_instance_uid, transfer_syntax))
    left = made.length
    while left:
        piece = made.file.read(min(left, PIECE))
        left = left - len(piece) if piece else 0
        yield piece
