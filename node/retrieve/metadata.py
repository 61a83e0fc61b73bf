"""The metadata of stored instances: DICOM JSON of everything but pixels and long values.

PS3.18 10.4.1.1.2. Reads the header alone, whatever the file's size and transfer syntax; a header
that is damaged gives as much as comes before the damage.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

import structlog
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from node.observe.logs import study_digest
from node.retrieve.dicom_json.data_set import Encoding, JsonWriter, Written
from storage.errors import UnreadableInstance
from storage.files.blobs import local_file
from storage.files.port import Readable
from storage.files.seal import PREAMBLE, dataset_offset
from storage.header.reading import inflated

log: structlog.stdlib.BoundLogger = structlog.get_logger()

FORM = "1"
"""Another one when the same bytes are written otherwise: what was kept is made anew then."""
ROOT = "/dicom-web"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an instance stands among the resources of DICOMweb.

    origin: scheme, host and port by which the node is asked (RFC 6454); without, URLs begin with
    their path.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    origin: str = ""

    @property
    def instance(self) -> str:
        """The URL of the instance's resource."""
        return (
            f"{self.origin}{ROOT}/studies/{self.study_instance_uid}/series/{self.series_instance_uid}"
            f"/instances/{self.sop_instance_uid}"
        )

    @property
    def bulkdata(self) -> str:
        """What the URLs of its long values begin with."""
        return f"{self.instance}/bulkdata/"


_BULK = re.compile(rb'("BulkDataURI":")[^"]*?(?=%s/studies/)' % ROOT.encode())


def told_by(origin: str, instance: bytes) -> bytes:
    """The metadata of an instance as they are told by another origin."""
    return _BULK.sub(rb"\g<1>" + origin.encode(), instance)


class MetadataWriter:
    """Writes the metadata of instances, fastest for those of one series by one writer."""

    def __init__(self) -> None:
        self._writer = JsonWriter()

    def write(self, source: Readable, transfer_syntax_uid: str, address: Address) -> bytes:
        """The JSON object of one stored instance.

        Raises
        ------
        OSError
            The file is gone, or the disk does not give it.
        """
        written = self._written(source, transfer_syntax_uid, address.bulkdata)
        if not written.fault:
            return written.json
        study = study_digest(address.study_instance_uid)
        log.warning("metadata_incomplete", study=study, reason=written.fault)
        return _identified(written.json, address)

    def _written(self, source: Readable, transfer_syntax_uid: str, place: str) -> Written:
        try:
            with local_file(source) as path:
                if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
                    with inflated(path) as (inner, start):
                        return self._writer.write(inner, start, Encoding(is_explicit=True), place)
                with _mapped(path) as data:
                    start = dataset_offset(data[: PREAMBLE + 16])
                    encoding = _encoding(transfer_syntax_uid, data[start + 4 : start + 6])
                    return self._writer.write(data, start, encoding, place)
        except UnreadableInstance as error:
            return Written(b"{}", str(error))


@contextmanager
def _mapped(path: Path) -> Iterator[mmap]:
    """Raises UnreadableInstance, OSError."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise UnreadableInstance("the file is empty")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            yield data


def _encoding(transfer_syntax_uid: str, first_vr: bytes) -> Encoding:
    """Of private transfer syntaxes the first element tells whether they name VRs."""
    if transfer_syntax_uid == ImplicitVRLittleEndian:
        return Encoding(is_explicit=False)
    if transfer_syntax_uid == ExplicitVRBigEndian:
        return Encoding(is_explicit=True, is_little=False)
    return Encoding(is_explicit=first_vr.isalpha() and first_vr.isupper())


def _identified(damaged: bytes, address: Address) -> bytes:
    """With the UIDs that the index knows, where the damage took them."""
    found = json.loads(damaged)
    known = {
        "00080018": address.sop_instance_uid,
        "0020000D": address.study_instance_uid,
        "0020000E": address.series_instance_uid,
    }
    whole = {tag: {"vr": "UI", "Value": [uid]} for tag, uid in known.items()} | found
    return json.dumps(dict(sorted(whole.items())), separators=(",", ":")).encode()
