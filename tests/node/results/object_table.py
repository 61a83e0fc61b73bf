"""``docs/objects.md``: every object over images of every geometry, as others read it.

``python -m tests.node.results.object_table docs/objects.md`` writes the objects and asks dciodvfy,
pydicom, highdicom, dcmqi and DCMTK about each. It needs all of these programs.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation

from analyzers.contract import (
    Classification,
    ColorImage,
    DerivedImage,
    Detection,
    Finding,
    Findings,
    Segmentation,
    Shades,
    WindowPreset,
)
from node.results.forms.table import FORMS
from node.results.write import write_results
from node.series.source import Source
from tests.node.results import sources
from tests.node.results.every_kind import POINT, QUANTITY, YES, chart
from tests.node.results.sources import ABNORMAL, BLUR, NODULE, PROVENANCE

_HEAD = """\
# Every object over images of every geometry

Each object is written over a small series of each geometry and read by programs that nobody here
wrote. This page is made by `make docs`. A cell says *yes* where every reader of that kind of object
agrees, *–* where there is no such object, and else who does not:

- dciodvfy `-new`: no error;
- pydicom: the whole file is read, and pixels that it decodes are as many as it says;
- highdicom: `segread`, `srread` or `imread`; of segmentations as many voxels as were found;
- dcmqi: `segimage2itkimage` finds the voxels of every segment where they were in patient space,
  `tid1500reader` as many measurement groups as there are;
- DCMTK: `dcmdump`, of reports `dsrdump`, without an error.

"""
_TAIL = """
dcmqi refuses the segmentation of a tilted gantry: its slices are no grid with right angles, and an
image of ITK, which it makes, can be no other. highdicom reads as many voxels as were found, and the
output gate finds each where it belongs.
"""
KNOWN = {("seg", "tilted"): "dcmqi"}
"""What a reader cannot read, and the page explains."""


# --- images ---------------------------------------------------------------------------------------


def _laid(orientation: list[float], step: list[float], position: str = "HFS") -> Source:
    """A series whose slices lie ``step`` apart, which need not be across them."""
    source = sources.ct_source()
    assert source.volume is not None
    affine = source.volume.affine.copy()
    row, column = np.array(orientation, float).reshape(2, 3)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = step, column * 0.8, row * 1.1
    for index, header in enumerate(source.headers):
        place = affine @ (index, 0, 0, 1)
        header.ImagePositionPatient = [f"{value:.10g}" for value in place[:3]]
        header.ImageOrientationPatient = [f"{value:.10g}" for value in (*row, *column)]
        header.PatientPosition = position
    return dataclasses.replace(source, volume=dataclasses.replace(source.volume, affine=affine))


def _tilted() -> Source:
    angle = np.deg2rad(15)
    down = [0.0, float(np.cos(angle)), float(-np.sin(angle))]
    return _laid([1, 0, 0, *down], [0, 0, 2.5])


def _radiograph() -> Source:
    return sources.one_slice(
        sources.ct_source(
            Modality="DX",
            SOPClassUID=DigitalXRayImageStorageForPresentation,
            ImagePositionPatient=None,
            ImageOrientationPatient=None,
            FrameOfReferenceUID=None,
        )
    )


GEOMETRIES: Mapping[str, Callable[[], Source]] = {
    "axial": sources.ct_source,
    "sagittal": lambda: sources.ct_source("sagittal"),
    "coronal": lambda: sources.ct_source("coronal"),
    "oblique": lambda: sources.ct_source("oblique"),
    "tilted": _tilted,
    "feet first": lambda: _laid([1, 0, 0, 0, 1, 0], [0, 0, -2.5], "FFS"),
    "decubitus": lambda: _laid([0, 1, 0, -1, 0, 0], [0, 0, 2.5], "HFDL"),
    "one slice": lambda: sources.one_slice(sources.ct_source()),
    "radiograph": _radiograph,
    "Enhanced": sources.enhanced_source,
}


def findings_on(source: Source) -> Findings:
    """What can be found on any image; other images of single-frame ones alone."""
    assert source.volume is not None
    shape = source.volume.shape
    labels = sources.labels()[3 : 3 + shape[0]] if shape[0] == 1 else sources.labels()
    share = (labels == 5).astype(np.float32) * 0.75
    lungs = dataclasses.replace(sources.lungs(), labels=labels, probabilities={"left_lung": share})
    box = Detection("nodule_1", NODULE, ABNORMAL, (0, 3, 4), (shape[0] - 1, 10, 12), 0.8)
    items: list[Finding] = [lungs, box, Classification(NODULE, YES, 0.75, POINT, ("a reason",))]
    items.append(WindowPreset("lung", Shades(-1350, 150)))
    if source.frames[0].number is None and source.headers[0].Modality == "CT":
        items.append(DerivedImage(source.volume.values() * 0.9, "Smoothed", BLUR))
        items.append(ColorImage(np.full((*shape, 3), 9, np.uint8), "Coloured", QUANTITY))
        items.append(chart(source))
    return Findings(tuple(items))


# --- readers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A written object, with what it was made from."""

    path: Path
    dataset: Dataset
    source: Source
    segmentation: Segmentation

    @property
    def is_report(self) -> bool:
        return bool(self.dataset.Modality == "SR")

    @property
    def is_binary(self) -> bool:
        return bool(self.dataset.get("SegmentationType") == "BINARY")


def _ran(*command: str | Path) -> subprocess.CompletedProcess[str]:
    name = str(command[0])
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is not installed")
    return subprocess.run(
        [found, *map(str, command[1:])],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _dciodvfy(one: Asked) -> bool:
    said = _ran("dciodvfy", "-new", one.path).stderr.splitlines()
    return not any(line.startswith("Error") for line in said)


def _pydicom(one: Asked) -> bool:
    for _ in one.dataset.iterall():
        pass
    if "PixelData" not in one.dataset:
        return True
    frames = int(one.dataset.get("NumberOfFrames") or 1)
    wanted = frames * one.dataset.Rows * one.dataset.Columns * one.dataset.SamplesPerPixel
    return bool(one.dataset.pixel_array.size == wanted)


def _highdicom(one: Asked) -> bool | None:
    dataset = one.dataset
    if dataset.Modality == "SEG":
        read: Any = hd.seg.segread(one.path)
        return not one.is_binary or _same_areas(read.pixel_array, one)
    if one.is_report:
        return len(hd.sr.srread(one.path).content) > 0
    if "PixelData" in dataset or "FloatPixelData" in dataset:
        return bool(hd.imread(one.path).pixel_array.size == dataset.pixel_array.size)
    return None


def _same_areas(pixels: NDArray[Any], one: Asked) -> bool:
    return int(np.count_nonzero(pixels)) == int(np.count_nonzero(one.segmentation.labels))


def _dcmqi(one: Asked) -> bool | None:
    with tempfile.TemporaryDirectory() as where:
        if one.is_report:
            out = Path(where) / "read.json"
            done = _ran("tid1500reader", "--outputMetadata", out, "--inputDICOM", one.path)
            groups = sum(
                item.ConceptNameCodeSequence[0].CodeValue == "125007"
                for item in _items(one.dataset)
            )
            return done.returncode == 0 and out.read_text().count('"TrackingIdentifier"') == groups
        if not one.is_binary or "FrameOfReferenceUID" not in one.dataset:
            return None
        to = ("-t", "nii", "-p", "s", "--outputDirectory", where)
        _ran("segimage2itkimage", *to, "--inputDICOM", one.path)
        return all(_same_places(Path(where) / f"s-{n}.nii.gz", v, one) for n, v in ((1, 2), (2, 5)))


def _items(holder: Dataset) -> Iterator[Dataset]:
    for item in holder.get("ContentSequence", ()):
        if "ConceptNameCodeSequence" in item:
            yield item
        yield from _items(item)


def _same_places(path: Path, value: int, one: Asked) -> bool:
    if not path.is_file() or one.source.volume is None:
        return False
    image: Any = nibabel.load(path)
    places = np.argwhere(np.asarray(image.dataobj) != 0)
    matrix = np.linalg.inv(one.source.volume.affine) @ np.diag([-1, -1, 1, 1]) @ image.affine
    indices = np.rint(places @ matrix[:3, :3].T + matrix[:3, 3]).astype(int)
    wanted = np.argwhere(one.segmentation.labels == value)
    return {tuple(place) for place in indices.tolist()} == {tuple(p) for p in wanted.tolist()}


def _dcmtk(one: Asked) -> bool:
    if _ran("dcmdump", "-q", one.path).returncode:
        return False
    if not one.is_report:
        return True
    said = _ran("dsrdump", one.path)
    return said.returncode == 0 and not any(
        line.startswith("E:") for line in said.stderr.splitlines()
    )


READERS: Mapping[str, Callable[[Asked], bool | None]] = {
    "dciodvfy": _dciodvfy,
    "pydicom": _pydicom,
    "highdicom": _highdicom,
    "dcmqi": _dcmqi,
    "DCMTK": _dcmtk,
}


# --- the page -------------------------------------------------------------------------------------


def page() -> str:
    """The whole page."""
    cells = {name: _column(make()) for name, make in GEOMETRIES.items()}
    rows = dict.fromkeys(row for column in cells.values() for row in column)
    lines = [f"| | {' | '.join(cells)} |", f"| --- |{' --- |' * len(cells)}"]
    for row in rows:
        said = " | ".join(column.get(row, "–") for column in cells.values())
        lines.append(f"| {row} | {said} |")
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def _column(source: Source) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as where:
        found = written(source, findings_on(source), Path(where) / "job")
        return {name: cell(one) for name, one in found}


def written(source: Source, findings: Findings, folder: Path) -> Iterator[tuple[str, Asked]]:
    """The first object of each name."""
    (segmentation,) = (one for one in findings.items if isinstance(one, Segmentation))
    kinds, seen = [form.kind for form in FORMS], set()
    for made in write_results(source, findings, PROVENANCE, folder, kinds).objects:
        path = folder.parent / made.key
        name = path.stem.partition("-")[0]
        if name not in seen:
            seen.add(name)
            yield name, Asked(path, pydicom.dcmread(path), source, segmentation)


def _answer(ask: Callable[[Asked], bool | None], one: Asked) -> bool | None:
    try:
        return ask(one)
    except Exception as error:  # noqa: BLE001  a reader may raise anything
        print(f"{one.path.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return False


def cell(one: Asked) -> str:
    answers = {name: _answer(ask, one) for name, ask in READERS.items()}
    against = [name for name, answer in answers.items() if answer is False]
    return ", ".join(against) or "yes"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
