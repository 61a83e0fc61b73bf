"""Studies that a site holds, with what lies over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Code, Findings, Segment, Segmentation
from node.demo.phantom import ACQUISITIONS, ChestPhantom
from node.look.looker import Looker, Study
from node.look.stack import Stack
from node.results import prepared
from node.results.objects import seg
from node.results.write import write_results
from node.series.read import read_series
from node.series.source import Source
from tests.node.results.sources import FIRST, PROVENANCE
from tests.node.web.dicomweb.holding import take
from tests.node.web.sites import Site

ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
LUNG, HEART = Code("39607008", "SCT", "Lung"), Code("80891009", "SCT", "Heart")
RED, BLUE = (230, 60, 50), (60, 110, 230)
NUMBERS = {"right_lung": 1, "heart": 2}


@dataclass(frozen=True)
class Chest:
    """A phantom as a site holds it. ``source``: as it was read; ``truth``: by slice of that."""

    source: Source
    truth: dict[str, NDArray[np.bool_]]
    study_id: int
    series_id: int


@dataclass(frozen=True)
class _Made:
    """Files as bytes, in the order in which they are sent, and what they were made from."""

    files: tuple[bytes, ...]
    seg: bytes
    source: Source
    truth: dict[str, NDArray[np.bool_]]


@cache
def _made(acquisition: str) -> _Made:
    """Made once for all tests."""
    phantom = ChestPhantom.small(ACQUISITIONS[acquisition])
    with TemporaryDirectory() as folder:
        paths = phantom.write(Path(folder))
        source = read_series(paths)
        files = tuple(path.read_bytes() for path in reversed(paths))
    truth = {name: np.asarray(phantom.truth.masks[name]) for name in NUMBERS}
    written = BytesIO()
    found = found_in(Chest(source, truth, 0, 0))
    prepared.write(written, seg.build(source, found, PROVENANCE, FIRST))
    return _Made(files, written.getvalue(), source, truth)


def chest(site: Site, folder: Path, acquisition: str = "supine") -> Chest:
    """A small chest that was imaged in one of ``ACQUISITIONS``, without results."""
    made = _made(acquisition)
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(made.files):
        path = folder / f"{number}.dcm"
        path.write_bytes(data)
        take(site, path)
    study = looker(site).study(1)
    return Chest(made.source, made.truth, study.id, study.series[0].id)


def found_in(one: Chest) -> Segmentation:
    """The truth as a finding: the right lung red, the heart blue."""
    labels = np.zeros(next(iter(one.truth.values())).shape, np.uint8)
    for name, number in NUMBERS.items():
        labels[one.truth[name]] = number
    segments = (
        Segment("right_lung", 1, "Right lung", ANATOMY, LUNG, rgb=RED),
        Segment("heart", 2, "Heart", ANATOMY, HEART, rgb=BLUE),
    )
    return Segmentation(labels, segments, "Chest")


def hold_found(site: Site, folder: Path, acquisition: str = "supine") -> Path:
    """The truth as a segmentation object that came from elsewhere."""
    path = folder / "seg.dcm"
    path.write_bytes(_made(acquisition).seg)
    return take(site, path)


def hold_results(site: Site, one: Chest, findings: Findings, folder: Path) -> list[Path]:
    """What the node would make of findings, held as if it had come from elsewhere."""
    made = write_results(one.source, findings, PROVENANCE, folder / "job")
    paths = [folder / each.key for each in made.objects]
    return [take(site, path) for path in paths]


def looker(site: Site) -> Looker:
    return Looker(site.database, site.archive)


def stack_of(looked: Looker, one: Chest) -> tuple[Study, Stack]:
    study = looked.study(one.study_id)
    return study, looked.stack(study, one.series_id)


def near(rgba: NDArray[np.uint8], rgb: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Where something of a colour lies."""
    apart = np.abs(rgba[..., :3].astype(int) - rgb).max(axis=2)
    return np.asarray((apart < 40) & (rgba[..., 3] > 0))


def header_of(source: Source, index: int) -> Dataset:
    return source.headers[source.frames[index].header]
