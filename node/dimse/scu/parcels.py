"""What is sent: files with their SOP class and transfer syntax, and the contexts to propose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import SEEK_END

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom.presentation import PresentationContext, build_context

from storage.files.port import Readable

MAX_CONTEXTS = 128
"""Presentation context ids are the odd numbers of a byte. PS3.8 9.3.2.2."""

CONVERTIBLE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
"""Between these only the headers' encoding differs, never the pixel data."""


class NotSendable(Exception):
    """The file is missing, no DICOM file, or says not what it is."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file to send. ``index`` is its place in the caller's sequence."""

    index: int
    source: Readable
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size_bytes: int
    decompressed: bool = False
    """Whether it may leave decompressed, where it is compressed."""

    def contexts(self) -> tuple[tuple[str, str], ...]:
        """(SOP class, transfer syntax) pairs that would do, the file's own first."""
        syntaxes = [self.transfer_syntax_uid]
        if self.decompressed or self.transfer_syntax_uid in CONVERTIBLE:
            syntaxes += [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        return tuple((self.sop_class_uid, syntax) for syntax in dict.fromkeys(syntaxes))


def read_parcel(index: int, source: Readable, decompressed: bool = False) -> Parcel:
    """What a file needs to be sent; reads its file meta information only.

    Raises
    ------
    NotSendable
    """
    try:
        with source.open("rb") as file:
            meta = dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
            size = file.seek(0, SEEK_END)
        sop_class = str(meta.get("MediaStorageSOPClassUID", ""))
        syntax = str(meta.get("TransferSyntaxUID", ""))
    except InvalidDicomError as error:
        raise NotSendable("is no DICOM file") from error
    except OSError as error:
        raise NotSendable(f"cannot be read: {error.strerror or 'ends too early'}") from error
    except Exception as error:  # border: pydicom raises nearly anything on foreign bytes
        raise NotSendable("is a damaged DICOM file") from error
    instance = str(meta.get("MediaStorageSOPInstanceUID", "") or "")
    if not sop_class or not syntax or not instance:
        raise NotSendable("its file meta information names no SOP class, instance or syntax")
    return Parcel(index, source, sop_class, instance, syntax, size, decompressed)


def batches(parcels: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    """The parcels in order, split where one association would need too many contexts."""
    batch: list[Parcel] = []
    needed: set[tuple[str, str]] = set()
    for parcel in parcels:
        more = needed.union(parcel.contexts())
        if len(more) > MAX_CONTEXTS:
            yield batch
            batch, more = [], set(parcel.contexts())
        batch.append(parcel)
        needed = more
    if batch:
        yield batch


def proposals(batch: Sequence[Parcel]) -> list[PresentationContext]:
    """One context a pair, so that the peer cannot choose another syntax than the file's."""
    pairs = dict.fromkeys(pair for parcel in batch for pair in parcel.contexts())
    return [build_context(UID(sop_class), UID(syntax)) for sop_class, syntax in pairs]
