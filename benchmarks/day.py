"""A day's load in some minutes: how long each kind of study waits for its results, and STAT ones.

    python -m benchmarks.day [--studies 300] [--minutes 15] [--commit 5d2b375]

Six modalities send at random times, the same in every run, each study over an association of its
own. Given are seconds from the acknowledgement of the last image until the PACS has the report (of
CT also the segmentation), the quiet period among them. Before that an idle node gets some STAT
studies one after another; every thirtieth study of the day is a STAT one of the same kind.

With ``--commit`` the node is that of an earlier commit: two runs, two tables.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComputedRadiographyImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SegmentationStorage,
    UltrasoundImageStorage,
)

from benchmarks import arrivals, drawn, earlier
from benchmarks.arrivals import Pacs, Running
from node.demo.phantom import ChestPhantom

QUIET_S = 1.0
IDLE_STUDIES = 6
EVERY = 30
STAT, ROUTINE = "STAT", "ROUTINE"
AT_ONCE = 32
_SEG, _SR = str(SegmentationStorage), str(Comprehensive3DSRStorage)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a modality sends, how often, and what is made of it."""

    modality: str
    share: float
    analyzer: str
    write: Callable[[Path], None]
    results: tuple[str, ...] = (_SR,)


@dataclass(frozen=True, slots=True)
class Study:
    """One of the day."""

    at_s: float
    kind: Kind
    priority: str

    @property
    def name(self) -> str:
        return f"{self.kind.modality} {self.priority}" if self.priority == STAT else self.modality

    @property
    def modality(self) -> str:
        return self.kind.modality


def main() -> None:
    options = _options()
    before, now = earlier.sides(options.commit)
    side = now if options.commit == "HEAD" else before
    with tempfile.TemporaryDirectory(prefix="wetread-bench-", dir=options.folder) as made:
        folder = Path(made)
        images = _images(folder)
        pacs = Pacs(folder / "pacs")
        with arrivals.serving(side, folder / "node", _config(pacs.port)) as node:
            hospital = Hospital(node, pacs, images, folder)
            idle = [hospital.latency(Study(0, CT, STAT)) for _ in range(IDLE_STUDIES)][1:]
            day = plan(options.studies, options.minutes * 60)
            waited = hospital.spend(day)
        pacs.stop()
    _print(waited, idle)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--commit", default="HEAD", help="left out: this checkout")
    parser.add_argument("--folder", type=Path, help="where all is written")
    return parser.parse_args()


# --- the day --------------------------------------------------------------------------------------


def _ct(folder: Path) -> None:
    ChestPhantom((60, 256, 256), (5.0, 1.5, 1.5)).write(folder)


def _save(folder: Path, images: Iterable[Dataset]) -> None:
    folder.mkdir()
    for number, image in enumerate(images):
        image.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)


def _radiograph(modality: str) -> Dataset:
    image = drawn.radiograph((512, 512))
    if modality == "CR":
        image.SOPClassUID, image.Modality = ComputedRadiographyImageStorage, "CR"
    return image


def _stills(count: int) -> Iterable[Dataset]:
    for number, image in enumerate(drawn.stack(UltrasoundImageStorage, "US", count, 400), 1):
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"):
            del image[keyword]
        image.InstanceNumber = number
        yield image


CT = Kind("CT", 0.2, "lung_segmentation", _ct, (_SEG, _SR))
KINDS = (
    CT,
    Kind("MR", 0.15, "quality", lambda to: _save(to, drawn.stack(MRImageStorage, "MR", 20, 256))),
    Kind(
        *("PT", 0.05, "quality"),
        lambda to: _save(to, drawn.stack(PositronEmissionTomographyImageStorage, "PT", 40, 128)),
    ),
    Kind("CR", 0.2, "quality", lambda to: _save(to, [_radiograph("CR")])),
    Kind("DX", 0.3, "quality", lambda to: _save(to, [_radiograph("DX")])),
    Kind("US", 0.1, "rule_annotation", lambda to: _save(to, _stills(5))),
)


def plan(studies: int, seconds: float) -> list[Study]:
    """When what comes: the same in every run."""
    chance = random.Random(0)
    times = sorted(chance.uniform(0, seconds) for _ in range(studies))
    kinds = chance.choices(KINDS, [one.share for one in KINDS], k=studies)
    return [
        Study(at_s, CT, STAT) if number % EVERY == EVERY // 2 else Study(at_s, kind, ROUTINE)
        for number, (at_s, kind) in enumerate(zip(times, kinds, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class Hospital:
    """Sends studies to the node, and waits at the PACS."""

    node: Running
    pacs: Pacs
    images: Mapping[str, Path]
    folder: Path

    def spend(self, day: Iterable[Study]) -> dict[str, list[float]]:
        """Seconds that each study waited, by name."""
        waited: dict[str, list[float]] = defaultdict(list)
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as modalities:
            sent = []
            for study in day:
                time.sleep(max(begun + study.at_s - time.monotonic(), 0))
                sent.append((study.name, modalities.submit(self.latency, study)))
            for name, one in sent:
                waited[name].append(one.result())
        return waited

    def latency(self, study: Study) -> float:
        """From the last image to the last result."""
        with tempfile.TemporaryDirectory(dir=self.folder) as made:
            copied = Path(made) / "study"
            uid = arrivals.fresh_copy(self.images[study.modality], copied, study.priority)
            acknowledged = self.node.receive(copied)
        came = self.pacs.await_all(uid, study.kind.results)
        return max(came[one] for one in study.kind.results) - acknowledged


def _images(folder: Path) -> dict[str, Path]:
    made = {one.modality: folder / f"images-{one.modality}" for one in KINDS}
    for one in KINDS:
        one.write(made[one.modality])
    return made


def _config(pacs_port: int) -> str:
    rules = [(one, ROUTINE) for one in KINDS] + [(CT, STAT)]
    return f"""\
[node]
data_dir = "data"
[dimse]
port = 0
[http]
port = 0
[completion]
quiet_period_s = {QUIET_S}
[workers]
device = "cpu"
[[destinations]]
name = "pacs"
ae_title = "BENCHPACS"
host = "127.0.0.1"
port = {pacs_port}
""" + "".join(
        f'[[rules]]\nname = "{one.modality} {priority}"\n'
        f'when = {{ Modality = "{one.modality}", StudyDescription = "{priority}" }}\n'
        f'analyzers = ["{one.analyzer}"]\ndestinations = ["pacs"]\n'
        f'priority = "{priority.lower()}"\nnotices = ["failed", "not applicable"]\n'
        for one, priority in rules
    )


def _print(waited: Mapping[str, list[float]], idle: list[float]) -> None:
    print("| study | n | p50 s | p95 s | p99 s |\n|---|---|---|---|---|")
    for name in sorted(waited):
        found = waited[name]
        p50, p95, p99 = np.percentile(found, (50, 95, 99))
        print(f"| {name} | {len(found)} | {p50:.2f} | {p95:.2f} | {p99:.2f} |")
    alone = statistics.median(idle)
    print(f"| CT STAT, idle node | {len(idle)} | {alone:.2f} | | |")
    if busy := waited.get(f"CT {STAT}"):
        print(f"STAT in the load / on an idle node: {statistics.median(busy) / alone:.2f}")


if __name__ == "__main__":
    main()
