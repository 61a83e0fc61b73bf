"""What queries cost: C-FIND and QIDO-RS on very many studies, and on more of them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydicom.dataset import Dataset

from benchmarks.archives import Archive, filled_orthanc, orthanc, wetread
from benchmarks.comparison import OURS, Goal, Table
from benchmarks.filling import fill
from benchmarks.many import HITS, Study
from benchmarks.requestor import Requestor, Timing
from benchmarks.transfers import JSON, Browser

_RETURNED = ("PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber",
             "StudyDescription", "StudyID", "StudyInstanceUID")  # fmt: skip
_COMPUTED = (
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
_FIND = (Goal("Orthanc", times=3), Goal(at_most=20))
_QIDO = (Goal("Orthanc", times=3), Goal(at_most=25))
_Key = Callable[[Study], tuple[str, str]]
KEYS: dict[str, _Key] = {
    "patient ID": lambda study: ("PatientID", study.patient_id),
    "accession number": lambda study: ("AccessionNumber", study.accession),
    "name prefix": lambda study: ("PatientName", f"{study.family[:6]}*"),
    "date range": lambda study: ("StudyDate", f"{study.day}-{study.day}"),
}


@dataclass(frozen=True, slots=True)
class Searching:
    """Queries on so many studies, each so often, in turn."""

    folder: Path
    table: Table
    studies: int
    repeats: int

    def find(self) -> None:
        """C-FIND, one association a side."""
        with ExitStack() as stack:
            sides = self._sides(stack)
            requestors = {
                side.name: stack.enter_context(Requestor(side.port, side.ae_title))
                for side in sides
            }
            for name, key in KEYS.items():
                self._find(f"C-FIND by {name}", requestors, key, ())
            self._find("C-FIND by date range, counts", requestors, KEYS["date range"], _COMPUTED)

    def _find(
        self, case: str, requestors: dict[str, Requestor], key: _Key, more: tuple[str, ...]
    ) -> None:
        timings: dict[str, list[Timing]] = {side: [] for side in requestors}
        for study in self._chosen(self.studies):
            for side, requestor in requestors.items():
                timings[side].append(requestor.find(_identifier(*key(study), more)))
            _agree(case, {side: found[-1].answers for side, found in timings.items()})
        first = {side: [one.first_ms for one in found] for side, found in timings.items()}
        last = {side: [one.last_ms for one in found] for side, found in timings.items()}
        answers = timings[OURS][-1].answers
        self.table.add(f"{case}, first answer", "ms", first, _FIND[0])
        self.table.add(f"{case}, {answers} answers", "ms", last, *_FIND)

    def qido(self) -> None:
        """QIDO-RS, one connection a side."""
        with ExitStack() as stack:
            sides = self._sides(stack)
            browsers = {side.name: Browser(side.web) for side in sides}
            for browser in browsers.values():
                stack.callback(browser.close)
            for name, key in KEYS.items():
                self._qido(f"QIDO-RS by {name}, limit=100", browsers, key)

    def _qido(self, case: str, browsers: dict[str, Browser], key: _Key) -> None:
        values: dict[str, list[float]] = {side: [] for side in browsers}
        found: dict[str, int] = {}
        for study in self._chosen(self.studies):
            keyword, value = key(study)
            for side, browser in browsers.items():
                started = time.perf_counter()
                answer = browser.get("studies", JSON, **{keyword: value, "limit": str(HITS)})
                values[side].append((time.perf_counter() - started) * 1000)
                found[side] = len(json.loads(answer))
            _agree(case, found)
        self.table.add(f"{case}: {found[OURS]} found", "ms", values, *_QIDO)

    def growth(self) -> None:
        """The same queries on an index of a hundredth and on the whole; ten instances a study."""
        sizes = (max(self.studies // 100, HITS), self.studies)
        with ExitStack() as stack:
            sides = [self._node(stack, studies, 10) for studies in sizes]
            asked = [stack.enter_context(Requestor(one.port, one.ae_title)) for one in sides]
            for name, key in KEYS.items():
                case = f"C-FIND by {name}: {sizes[1] * 10} instances ÷ {sizes[0] * 10}"
                self._growth(case, asked, _name if name == "name prefix" else key, sizes[0])

    def _growth(self, case: str, asked: list[Requestor], key: _Key, studies: int) -> None:
        values: tuple[list[float], list[float]] = ([], [])
        for study in self._chosen(studies):
            for requestor, spent in zip(asked, values, strict=True):
                spent.append(requestor.find(_identifier(*key(study), ())).last_ms)
        ratio = median(values[1]) / median(values[0])
        self.table.add(case, "×", {OURS: [ratio]}, Goal(at_most=1.5))

    def _sides(self, stack: ExitStack) -> list[Archive]:
        theirs = stack.enter_context(orthanc(filled_orthanc(self.studies)))
        return [self._node(stack, self.studies, 1), theirs]

    def _node(self, stack: ExitStack, studies: int, instances: int) -> Archive:
        """A node with so many studies, filled by the first who asks."""
        folder = self.folder / f"node-{studies}-{instances}"
        if not folder.exists():
            fill(folder, studies, instances)
        return stack.enter_context(wetread(folder))

    def _chosen(self, studies: int) -> list[Study]:
        """Others each time, the same ones in every run."""
        chance = random.Random(self.repeats)
        return [Study(chance.randrange(studies)) for _ in range(self.repeats)]


def _name(study: Study) -> tuple[str, str]:
    """Of one study, however many there are."""
    return "PatientName", f"{study.family}*"


def _identifier(keyword: str, value: str, more: tuple[str, ...]) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    for one in (*_RETURNED, *more):
        setattr(identifier, one, None)
    setattr(identifier, keyword, value)
    return identifier


def _agree(case: str, found: dict[str, int]) -> None:
    """A side that finds less or more was asked something else: its time says nothing."""
    if len(set(found.values())) != 1:
        raise SystemExit(f"{case}: the sides found different numbers of studies: {found}")
