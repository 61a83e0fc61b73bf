"""Generated queries on the same studies against this node, Orthanc and dcmqrscp; every difference.

    python -m tests.interoperability.compare_queries [--queries 500] [--studies 2000] [--write]

``--write`` makes ``docs/query_differences.md``. Exit code 1: the node differs from the standard, or
a difference of somebody is not explained.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from benchmarks.archives import Archive, dcmqrscp, orthanc, wetread
from tests.interoperability.corpus import SEED, write
from tests.interoperability.expected import expected
from tests.interoperability.queries import Asked, generated

PAGE = Path("docs") / "query_differences.md"
_MODELS = {
    False: StudyRootQueryRetrieveInformationModelFind,
    True: PatientRootQueryRetrieveInformationModelFind,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side found, and the status it ended with."""

    found: frozenset[str]
    status: int


@dataclass(frozen=True, slots=True)
class Compared:
    """One query: what the standard says, what each side said."""

    asked: Asked
    right: frozenset[str]
    answers: dict[str, Answer]

    def differs(self, side: str) -> bool:
        return self.answers[side].found != self.right


def compare(studies: int, queries: int, folder: Path) -> list[Compared]:
    """Fill all three, ask all of them everything."""
    images = write(folder / "files", studies)
    _add_modalities(images)
    with ExitStack() as stack:
        sides = [
            stack.enter_context(wetread(folder / "wetread")),
            stack.enter_context(orthanc(folder / "orthanc")),
            stack.enter_context(dcmqrscp(folder / "dcmqrscp")),
        ]
        for side in sides:
            _fill(side, folder / "files", len(images))
        asked = {side.name: _associated(side, stack) for side in sides}
        return [
            Compared(
                one,
                expected(one, images),
                {name: _answer(association, one) for name, association in asked.items()},
            )
            for one in generated(images, queries, SEED)
        ]


def _add_modalities(images: Sequence[Dataset]) -> None:
    """What an archive computes, once the files are written without it."""
    found: dict[str, set[str]] = {}
    for image in images:
        found.setdefault(str(image.StudyInstanceUID), set()).add(str(image.Modality))
    for image in images:
        image.ModalitiesInStudy = sorted(found[str(image.StudyInstanceUID)])


def _fill(side: Archive, files: Path, count: int) -> None:
    if side.name == "dcmqrscp":
        store = next(path for path in files.parent.joinpath(side.name).iterdir() if path.is_dir())
        index = ["/usr/bin/dcmqridx", str(store), *map(str, sorted(files.iterdir()))]
        subprocess.run(index, check=True, capture_output=True)
        return
    address = ["-aec", side.ae_title, "127.0.0.1", str(side.port)]
    subprocess.run(["/usr/bin/dcmsend", *address, "+sd", str(files)], check=True)
    side.settle(count)


def _associated(side: Archive, stack: ExitStack) -> Association:
    requestor = AE(ae_title="COMPARER")
    for model in _MODELS.values():
        requestor.add_requested_context(model)
    association = requestor.associate("127.0.0.1", side.port, ae_title=side.ae_title)
    if not association.is_established:
        raise SystemExit(f"{side.name} rejected the association")
    stack.callback(association.release)
    return association


def _answer(association: Association, asked: Asked) -> Answer:
    found, status = set(), 0
    for answer, identifier in association.send_c_find(
        asked.identifier(), _MODELS[asked.patient_root]
    ):
        status = int(answer.get("Status", 0xFFFF))
        if identifier is not None and status in (0xFF00, 0xFF01):
            found.add(str(identifier.get(asked.unique, "")))
    return Answer(frozenset(found), status)
