"""Whatever reads images or results asks one port for bytes, and needs no folder behind it."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.dimse.scu.answers import SendResult
from node.dimse.scu.sender import Peer, send
from node.retrieve.bulkdata import TagPath, open_value
from node.retrieve.kept import KeptFrames
from node.retrieve.metadata import Address, MetadataWriter
from node.retrieve.opened import open_frames
from node.retrieve.transcode import encoded
from node.series.read import read_series
from storage.files.archive import Archive
from storage.files.blobs import Blob, sha256_of
from storage.files.seal import dataset_digest
from storage.header.reading import read_attributes, read_header
from tests.peers import running_pacs
from tests.storage.files.test_port import sources

PIXELS = TagPath((), 0x7FE00010)


class Unnumbered(io.BytesIO):
    """No file: it has no number, and only the name that pydicom asks of whatever it reads."""

    name = "elsewhere"


@dataclass
class Elsewhere:
    """Keeps bytes in no file. Who needs one gets a copy, for as long as it is asked for."""

    content: dict[str, bytes] = field(default_factory=dict)
    copies: int = 0

    def open(self, key: str) -> BufferedReader:
        return BufferedReader(Unnumbered(self._of(key)))  # type: ignore[arg-type]

    def size(self, key: str) -> int:
        return len(self._of(key))

    def exists(self, key: str) -> bool:
        return key in self.content

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        self.copies += 1
        with TemporaryDirectory() as folder:
            path = Path(folder) / "copy"
            path.write_bytes(self._of(key))
            yield path

    def _of(self, key: str) -> bytes:
        try:
            return self.content[key]
        except KeyError as error:
            raise FileNotFoundError(key) from error


@dataclass(frozen=True)
class Kept:
    """As a row of the index says where an instance lies."""

    key: str
    own: bool = False


@pytest.fixture
def elsewhere(phantom_paths: list[Path]) -> Elsewhere:
    return Elsewhere({path.name: path.read_bytes() for path in phantom_paths})


@pytest.fixture
def blobs(elsewhere: Elsewhere) -> list[Blob]:
    archive = Archive(elsewhere, Elsewhere())
    return [archive.blob(Kept(name)) for name in elsewhere.content]


def test_the_index_and_commitment_read_the_same_as_of_files(
    blobs: list[Blob], phantom_paths: list[Path]
) -> None:
    for blob, path in zip(blobs, phantom_paths, strict=True):
        assert read_attributes(blob) == read_attributes(path)
        assert dataset_digest(blob) == dataset_digest(path)
        assert sha256_of(blob) == sha256_of(path)
        assert (blob.size(), blob.exists()) == (path.stat().st_size, True)
    assert str(read_header(blobs[0]).dataset.Modality) == "CT"


def test_what_is_not_there_is_missed_as_a_file_is(blobs: list[Blob]) -> None:
    gone = Blob(blobs[0].store, "gone")
    assert not gone.exists()
    for read in (Blob.open, Blob.size, read_attributes, sha256_of):
        with pytest.raises(FileNotFoundError):
            read(gone)  # type: ignore[operator]


def test_analysis_reads_the_same_volume(blobs: list[Blob], phantom_paths: list[Path]) -> None:
    there, here = read_series(blobs).volume, read_series(phantom_paths).volume
    assert there is not None and here is not None
    assert np.array_equal(there.stored, here.stored)
    assert np.array_equal(there.affine, here.affine)


def test_retrieval_gives_the_same_data_set_as_it_is_and_encoded_anew(
    blobs: list[Blob], phantom_paths: list[Path]
) -> None:
    for wanted in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        with (
            encoded(blobs[0], ExplicitVRLittleEndian, wanted) as there,
            encoded(phantom_paths[0], ExplicitVRLittleEndian, wanted) as here,
        ):
            assert there.file.read(there.length) == here.file.read(here.length)


def test_the_web_gives_the_same_frames_values_and_metadata(
    blobs: list[Blob], phantom_paths: list[Path]
) -> None:
    found = []
    for source in (blobs[0], phantom_paths[0]):
        digest = sha256_of(source)
        with open_frames(KeptFrames(), source, digest, ExplicitVRLittleEndian) as frames:
            frame = b"".join(frames.stored(1))
            shown = frames.samples(1).array
        with open_value(source, ExplicitVRLittleEndian, PIXELS) as value:
            length = value.length
        written = MetadataWriter().write(
            source, ExplicitVRLittleEndian, Address("1.2", "1.2.3", "1.2.3.4")
        )
        found.append((frame, shown.tobytes(), length, written))
    assert found[0] == found[1]


@pytest.mark.interop
def test_results_are_sent_from_wherever_they_lie(
    blobs: list[Blob], phantom_paths: list[Path]
) -> None:
    answers: list[SendResult] = []
    with running_pacs() as pacs:
        peer = Peer("pacs", pacs.ae_title, "127.0.0.1", pacs.port, calling_ae="WETREAD")
        send(blobs[:3], peer, lambda index, result: answers.append(result))
        assert [one.status for one in answers] == [0, 0, 0], answers
        sent = {read_attributes(path).sop_instance_uid for path in phantom_paths[:3]}
        assert set(pacs.uids()) == sent


OPENERS = ("node/config/", "node/commands/", "node/demo/", "node/observe/", "node/results/")
"""Settings, commands, logs, and what a job makes before it is kept."""
MACHINE = (
    "node/audit/", "node/dimse/association/", "node/dimse/receivers/", "node/work/", "node/app.py",
)  # fmt: skip
"""Secrets, sockets, processes and the audit trail of this machine."""


def test_no_room_that_reads_what_is_stored_opens_files_by_name() -> None:
    opening = [
        f"{name}:{node.lineno}"
        for name, tree in sources()
        if not name.startswith((*OPENERS, *MACHINE))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "os.open", "io.open")
    ]
    assert opening == []
