"""How fast OHIF shows a study, on this node and on Orthanc's DICOMweb.

    python -m benchmarks.viewer [--quick] [--only CASE ...] [--runs N] [--json FILE]

Both sides hold the same objects, received by C-STORE, and the same OHIF is opened before each in
turn, by Chromium without a screen that has OHIF's files in its cache and nothing of the study.
Given are seconds from the click: medians, their ratio, the goal and whether it was met. This node
puts a picture of what is opened before OHIF until that has drawn: the first of two rows says when
it is seen, the second when OHIF has drawn. And of the node's own view, seconds from a key to the
slice that it leads to.

A study that cannot be opened is a row that says why, and the others go on; what was found is
printed, and written to the file, as it comes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

from benchmarks import ohif_page, receivers, transfers, viewer_objects
from benchmarks.archives import CACHE, Archive, orthanc, wetread
from benchmarks.comparison import OURS, Goal, Table
from benchmarks.opening import WARMING, Opened, Reader, Study
from benchmarks.viewer_objects import Written

IDLE_S = 4.0
"""For so long a side has nothing left to do with what it received."""
SHELVED_S = 60.0
"""And so long nobody waits for that."""
SOON = Goal(at_most=0.1)
"""Seconds that a person takes for at once."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the CT, and of the CT below a segmentation; rows and columns; how often each is opened."""

    slices: int
    below: int
    rows: int
    segments: tuple[int, ...]
    runs: int
    warmings: int


FULL = Sizes(400, 200, 512, (1, 10, 100), 5, WARMING)
QUICK = Sizes(20, 10, 64, (1, 3), 1, 1)
OWN = "own"
"""The node's own view, of the CT."""


@dataclass(frozen=True, slots=True)
class Side:
    """An archive, and where OHIF stands before it."""

    archive: Archive
    page: str


def cases(sizes: Sizes) -> list[str]:
    return ["ct", OWN, *(f"seg-{number}" for number in sizes.segments)]


def written(sizes: Sizes, case: str) -> Written:
    """The objects of a case, made once."""
    name = f"viewer-{sizes.rows}-{sizes.slices}"
    if case in ("ct", OWN):
        return viewer_objects.ct(CACHE / name / "ct", "ct", sizes.slices, sizes.rows)
    number = int(case.removeprefix("seg-"))
    folder = CACHE / name / f"{case}-{sizes.below}"
    return viewer_objects.ct(folder, case, sizes.below, sizes.rows, number)


@contextmanager
def sides(folder: Path) -> Iterator[list[Side]]:
    """This node with OHIF in its data folder, and Orthanc with OHIF beside it."""
    viewer = ohif_page.installed(CACHE / "viewer")
    data = folder / "wetread" / "node"
    data.mkdir(parents=True)
    (data / "viewer").symlink_to(CACHE / "viewer")
    with ExitStack() as stack:
        ours = stack.enter_context(wetread(folder / "wetread"))
        theirs = stack.enter_context(orthanc(folder / "orthanc"))
        beside = stack.enter_context(ohif_page.page(viewer, theirs.web))
        yield [Side(ours, ours.page), Side(theirs, beside)]


@dataclass(frozen=True, slots=True)
class Measuring:
    """Opens a case on each side in turn."""

    readers: dict[str, Reader]
    """By the name of the side."""
    table: Table
    runs: int

    def measure(self, case: str, what: Written) -> None:
        """Rows of the table."""
        if case == OWN:
            self._scroll(what.study.slices)
            return
        found = self._opened(case, what.study)
        if OURS not in found:
            self.table.fail(case, f"{OURS} did not show it")
            return
        slices = what.study.slices
        if what.study.segmentation:
            name = f"SEG of {case.removeprefix('seg-')} segments on {slices} slices"
            wanted = Goal("Orthanc", 1 / 0.7)
            self._add_seen(f"{name}: click → seen on the image", "overlay_s", found, wanted)
            self._add(f"{name}: click → on the image in OHIF", "overlay_s", found, wanted)
            self._add(f"{name}: longest task", "longest_s", found, Goal("Orthanc", 1))
            return
        name = f"CT of {slices} slices: click →"
        self._add_seen(f"{name} a slice is seen", "first_s", found, Goal("Orthanc", 1 / 0.6))
        self._add(f"{name} first slice in OHIF", "first_s", found, Goal("Orthanc", 1 / 0.6))
        self._add(f"{name} all slices", "all_s", found, Goal("Orthanc", 1 / 0.7))

    def _opened(self, case: str, study: Study) -> dict[str, list[Opened]]:
        """By side, each in turn; a side that failed is not asked again."""
        found: dict[str, list[Opened]] = {}
        failed: set[str] = set()
        for _ in range(self.runs):
            for side, reader in self.readers.items():
                if side in failed:
                    continue
                try:
                    one = reader.open(study)
                except Error as error:
                    failed.add(side)
                    self.table.fail(f"{case}, {side}", error.message)
                    continue
                found.setdefault(side, []).append(one)
                print(f"{case} {side}: {one}", flush=True)
        return found

    def _scroll(self, slices: int) -> None:
        reader = self.readers[OURS]
        for key, said in (("ArrowDown", "next slice"), ("PageDown", "ten slices on")):
            case = f"own view of {slices} slices: key → {said}"
            try:
                took = [one for _ in range(self.runs) for one in reader.scroll(slices, key)]
            except Error as error:
                self.table.fail(case, error.message)
            else:
                self.table.add(case, "s", {OURS: took}, SOON)

    def _add_seen(self, case: str, field: str, found: dict[str, list[Opened]], goal: Goal) -> None:
        """By whoever clicks: this node puts its own picture before OHIF until that has drawn."""
        values = {side: [getattr(one, field) for one in all_of] for side, all_of in found.items()}
        ours = [one.picture_s or getattr(one, field) for one in found[OURS]]
        self.table.add(case, "s", {**values, OURS: ours}, goal)

    def _add(self, case: str, field: str, found: dict[str, list[Opened]], goal: Goal) -> None:
        values = {side: [getattr(one, field) for one in all_of] for side, all_of in found.items()}
        self.table.add(case, "s", values, goal)


def prepare(side: Side, reader: Reader, studies: list[Written], warmings: int) -> None:
    """Send by C-STORE what is measured, and let the browser know OHIF."""
    warming = viewer_objects.ct(CACHE / "viewer-warming", "warming", 8, 64)
    for what in (warming, *studies):
        transfers.send(side.archive, what.files[0].parent, len(what.files))
    print(f"{side.archive.name} has {len(studies)} studies", flush=True)
    if warmings:
        reader.warm(warming.study, warmings)


def until_idle(pids: list[int]) -> None:
    """Until these do next to nothing."""
    ends = time.monotonic() + SHELVED_S
    share = 1.0
    while share > 0.05 and time.monotonic() < ends:
        before, began = sum(map(receivers.cpu_s, pids)), time.monotonic()
        time.sleep(IDLE_S)
        share = (sum(map(receivers.cpu_s, pids)) - before) / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of all: no figures")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="ct, own, seg-1, seg-10, seg-100")
    parser.add_argument("--runs", type=int, help="how often each is opened")
    parser.add_argument("--json", type=Path, help="where the table is also written")
    parser.add_argument("--folder", type=Path, help="where the files lie while it runs")
    given = parser.parse_args()
    sizes = QUICK if given.quick else FULL
    names = given.only or cases(sizes)
    if unknown := set(names) - set(cases(sizes)):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(cases(sizes))}")
    made = {name: written(sizes, name) for name in names}
    table = Table()
    with (
        tempfile.TemporaryDirectory(prefix="wetread-bench-", dir=given.folder) as folder,
        sides(Path(folder)) as both,
        sync_playwright() as playwright,
    ):
        studies = {what.study.uid: what for what in made.values()}
        readers = {}
        for side in both:
            profile = Path(folder) / f"profile-{side.archive.name}"
            reader = Reader(playwright, side.page, profile)
            readers[side.archive.name] = reader
            prepare(side, reader, list(studies.values()), 0 if names == [OWN] else sizes.warmings)
        if not given.quick and names != [OWN]:
            until_idle([side.archive.pid for side in both])
        measuring = Measuring(readers, table, given.runs or sizes.runs)
        for case, what in made.items():
            measuring.measure(case, what)
            if given.json:
                table.save(given.json)
    print(f"\n{table.text()}")
    if table.failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
