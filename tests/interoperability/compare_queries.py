"""Generated queries on the same studies against this node, Orthanc and dcmqrscp; every difference.

    python -m tests.interoperability.compare_queries [--queries 500] [--studies 2000] [--write]

``--write`` makes ``docs/query_differences.md``. Exit code 1: the node differs from the standard, or
a difference of somebody is not explained.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from benchmarks.archives import Archive, dcmqrscp, orthanc, wetread
from benchmarks.requestor import PATIENT_ROOT_FIND, STUDY_ROOT_FIND, Requestor
from tests.interoperability.corpus import SEED, write
from tests.interoperability.differences import Answer, Compared, page, unexplained
from tests.interoperability.expected import expected
from tests.interoperability.queries import Asked, generated

PAGE = Path("docs") / "query_differences.md"
_MOST_STUDIES = 500
"""In one area of dcmqrscp, which ends itself at more: so there are several, asked as one."""


def compare(studies: int, queries: int, folder: Path) -> list[Compared]:
    """Fill all three, ask all of them everything."""
    images = write(folder / "files", studies)
    _add_modalities(images)
    files = sorted((folder / "files").iterdir())
    with ExitStack() as stack:
        sides = [stack.enter_context(one) for one in (wetread(folder / "w"), orthanc(folder / "o"))]
        for side in sides:
            _send(side, folder / "files", len(images))
        sides += _areas(stack, folder, _by_area(images, files))
        asked: dict[str, list[Requestor]] = {}
        for side in sides:
            requestor = stack.enter_context(Requestor(side.port, side.ae_title))
            asked.setdefault(side.name, []).append(requestor)
        return [
            Compared(
                one,
                expected(one, images),
                {name: _answer(requestors, one) for name, requestors in asked.items()},
            )
            for one in generated(images, queries, SEED)
        ]


def _by_area(images: Sequence[Dataset], files: Sequence[Path]) -> list[list[Path]]:
    """The files of 500 studies each."""
    studies = {
        uid: at for at, uid in enumerate(dict.fromkeys(one.StudyInstanceUID for one in images))
    }
    areas: list[list[Path]] = [[] for _ in range(-(-len(studies) // _MOST_STUDIES))]
    for image, file in zip(images, files, strict=True):
        areas[studies[image.StudyInstanceUID] // _MOST_STUDIES].append(file)
    return areas


def _areas(stack: ExitStack, folder: Path, areas: list[list[Path]]) -> list[Archive]:
    started = []
    for number, files in enumerate(areas):
        home = folder / f"q{number}"
        started.append(stack.enter_context(dcmqrscp(home)))
        for at in range(0, len(files), 200):  # an argument list has an end
            index = ["/usr/bin/dcmqridx", str(home / "store"), *map(str, files[at : at + 200])]
            subprocess.run(index, check=True, capture_output=True)
    return started


def _add_modalities(images: Sequence[Dataset]) -> None:
    """What an archive computes, once the files are written without it."""
    found: dict[str, set[str]] = {}
    for image in images:
        found.setdefault(str(image.StudyInstanceUID), set()).add(str(image.Modality))
    for image in images:
        image.ModalitiesInStudy = sorted(found[str(image.StudyInstanceUID)])


def _send(side: Archive, files: Path, count: int) -> None:
    address = ["-aec", side.ae_title, "127.0.0.1", str(side.port)]
    subprocess.run(["/usr/bin/dcmsend", *address, "+sd", str(files)], check=True)
    side.settle(count)


def _answer(requestors: list[Requestor], asked: Asked) -> Answer:
    """Of all areas of a side together."""
    found: set[str] = set()
    status = 0
    model = PATIENT_ROOT_FIND if asked.patient_root else STUDY_ROOT_FIND
    for requestor in requestors:
        for response in requestor.ask(asked.identifier(), model):
            status = response.status
            if not response.is_final:
                matched = read_dataset(BytesIO(response.identifier), True, True)
                found.add(str(matched.get(asked.unique, "")))
    return Answer(frozenset(found), status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help=f"make {PAGE}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wetread-compare-") as folder:
        compared = compare(given.studies, given.queries, Path(folder))
    text = page(compared, given.studies)
    print(text)
    if given.write:
        PAGE.write_text(text)
    return 1 if unexplained(compared) else 0


if __name__ == "__main__":
    sys.exit(main())
