"""What is fetched and stored: metadata, WADO-RS, frames, C-GET, C-MOVE, STOW-RS, many at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from benchmarks import transfers
from benchmarks.archives import Archive, dcmqrscp, orthanc, wetread
from benchmarks.comparison import Goal, Table
from benchmarks.crowd import Crowd
from benchmarks.fresh_images import Images
from benchmarks.transfers import INSTANCES, JSON, Browser, get_frames, send, timed

_CONNECTIONS = 6


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is moved: ``small`` instances of 36 kB, ``large`` ones of 0.5 MB; how often."""

    small: int
    large: int
    runs: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A study that a side has."""

    study: str
    instances: tuple[str, ...]

    @property
    def series(self) -> str:
        return f"studies/{self.study}/series/{self.study}.1"

    @property
    def paths(self) -> list[str]:
        return [f"{self.series}/instances/{uid}" for uid in self.instances]


@dataclass(frozen=True, slots=True)
class Retrieving:
    """Each side has the same studies, received by C-STORE, and is asked in turn."""

    folder: Path
    table: Table
    sizes: Sizes

    def metadata(self) -> None:
        """Of a series that nobody has asked for, and of the same again."""
        count = self.sizes.large
        images = Images(self.folder / "metadata", count, 512)
        cold: dict[str, list[float]] = {}
        again: dict[str, list[float]] = {}
        with ExitStack() as stack:
            sides = [stack.enter_context(side) for side in self._web_sides("metadata")]
            for _ in range(self.sizes.runs):
                sent = self._send(images, sides, count)
                for side in sides:
                    cold.setdefault(side.name, []).append(_metadata_ms(side, sent))
                    again.setdefault(side.name, []).append(_metadata_ms(side, sent))
        case = f"metadata of {count} slices"
        self.table.add(f"{case}, cold", "ms", cold, Goal("Orthanc", times=3))
        self.table.add(f"{case}, again", "ms", again, Goal(at_most=50), Goal("Orthanc", times=3))

    def wado(self) -> None:
        """A series whole, and its frames one by one."""
        count = self.sizes.large
        images = Images(self.folder / "wado", count, 512)
        whole: dict[str, list[float]] = {}
        frames: dict[str, list[float]] = {}
        with ExitStack() as stack:
            sides = [stack.enter_context(side) for side in self._web_sides("wado")]
            sent = self._send(images, sides, count)
            for _ in range(self.sizes.runs):
                for side in sides:
                    whole.setdefault(side.name, []).append(_series_ms(side, sent))
                    frames.setdefault(side.name, []).append(_frames_ms(side, sent))
        self.table.add(f"WADO-RS of {count} × 0.5 MB", "ms", whole, Goal("Orthanc", times=2))
        case = f"{count} frames one by one, {_CONNECTIONS} connections"
        self.table.add(case, "ms", frames, Goal("Orthanc", times=3))

    def get(self) -> None:
        """C-GET by DCMTK's getscu."""
        self._retrieve("C-GET", transfers.get)

    def move(self) -> None:
        """C-MOVE by DCMTK's movescu, to its storescp."""
        with transfers.receiver():
            self._retrieve("C-MOVE", transfers.move)

    def _retrieve(self, case: str, work: Callable[[Archive, str], None]) -> None:
        for count, rows, size in (
            (self.sizes.small, 128, "36 kB"),
            (self.sizes.large, 512, "0.5 MB"),
        ):
            images = Images(self.folder / f"{case}{rows}", count, rows)
            values: dict[str, list[float]] = {}
            with ExitStack() as stack:
                opened = [
                    *self._web_sides(f"{case}{rows}"),
                    dcmqrscp(self.folder / f"{case}{rows}-q"),
                ]
                sides = [stack.enter_context(side) for side in opened]
                sent = self._send(images, sides, count)
                for _ in range(self.sizes.runs):
                    for side in sides:
                        started = time.perf_counter()
                        work(side, sent.study)
                        spent_ms = (time.perf_counter() - started) * 1000
                        values.setdefault(side.name, []).append(spent_ms)
            goals = (Goal("Orthanc", times=2), Goal("dcmqrscp", times=1))
            self.table.add(f"{case} of {count} × {size}", "ms", values, *goals)

    def stow(self) -> None:
        """In one request, and in one for each instance; until the last answer."""
        count = self.sizes.small
        images = Images(self.folder / "stow", count, 128)
        one: dict[str, list[float]] = {}
        each: dict[str, list[float]] = {}
        with ExitStack() as stack:
            sides = [stack.enter_context(side) for side in self._web_sides("stow")]
            for _ in range(self.sizes.runs):
                for side in sides:
                    one.setdefault(side.name, []).append(_stow_ms(side, images.fresh(), count))
                    each.setdefault(side.name, []).append(_stow_ms(side, images.fresh(), 1))
        case = f"STOW-RS of {count} × 36 kB"
        self.table.add(f"{case} in one request", "ms", one, Goal("Orthanc", times=3))
        self.table.add(f"{case} in {count} requests", "ms", each, Goal("Orthanc", times=3))

    def crowd(self) -> None:
        """Ten who retrieve at once: the node's memory, and how long its health takes to tell."""
        count = self.sizes.large
        images = Images(self.folder / "crowd", count, 512)
        with wetread(self.folder / "crowd-node") as side:
            sent = self._send(images, [side], count)
            grown_mb, health_ms = Crowd(side, sent.study).run(self.sizes.runs)
        case = "10 clients retrieve at once"
        self.table.add(f"{case}: memory", "MB", {side.name: [grown_mb]}, Goal(at_most=100))
        self.table.add(f"{case}: /health, p95", "ms", {side.name: [health_ms]}, Goal(at_most=50))

    def _web_sides(self, name: str) -> list[AbstractContextManager[Archive]]:
        home = self.folder / f"{name}-sides"
        return [wetread(home / "wetread"), orthanc(home / "orthanc")]

    def _send(self, images: Images, sides: list[Archive], count: int) -> Sent:
        folder = images.fresh()
        for side in sides:
            send(side, folder, count)
        heads = [dcmread(file, stop_before_pixels=True) for file in sorted(folder.iterdir())]
        return Sent(heads[0].StudyInstanceUID, tuple(head.SOPInstanceUID for head in heads))


def _metadata_ms(side: Archive, sent: Sent) -> float:
    browser = Browser(side.web)
    seconds = timed(lambda: browser.size(f"{sent.series}/metadata", JSON))
    browser.close()
    return seconds * 1000


def _series_ms(side: Archive, sent: Sent) -> float:
    browser = Browser(side.web)
    seconds = timed(lambda: browser.size(sent.series, INSTANCES))
    browser.close()
    return seconds * 1000


def _frames_ms(side: Archive, sent: Sent) -> float:
    return timed(lambda: get_frames(side.web, sent.paths, _CONNECTIONS)) * 1000


def _stow_ms(side: Archive, folder: Path, at_once: int) -> float:
    """All files of a folder, so many in a request."""
    files = sorted(folder.iterdir())
    browser = Browser(side.web)
    started = time.perf_counter()
    for at in range(0, len(files), at_once):
        browser.store(files[at : at + at_once])
    seconds = time.perf_counter() - started
    browser.close()
    side.settle(len(files))
    return seconds * 1000
