"""A CT of many slices, and segmentations of it with few and many segments, kept between runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import UID, generate_uid

from benchmarks.opening import Study
from node.demo.ct_files import CtFiles, CtSeries, CtVolume, write_ct

_AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


@dataclass(frozen=True, slots=True)
class Written:
    """A study as files."""

    study: Study
    files: list[Path]


def ct(folder: Path, key: str, slices: int, rows: int, segments: int = 0) -> Written:
    """A body with noise in it, ``slices`` × ``rows`` × ``rows``; with so many segments, if any."""
    images = _images(folder, key, slices, rows)
    first = dcmread(images[0], stop_before_pixels=True)
    files, segmentation = images, ""
    if segments:
        made = _segmentation(folder / f"seg-{segments}.dcm", images, rows, segments)
        segmentation = str(dcmread(made, stop_before_pixels=True).SeriesInstanceUID)
        files = [*images, made]
    study = Study(first.StudyInstanceUID, first.SeriesInstanceUID, slices, segmentation)
    return Written(study, files)


def _images(folder: Path, key: str, slices: int, rows: int) -> list[Path]:
    done = sorted(folder.glob("*.dcm"))
    images = [one for one in done if not one.name.startswith("seg-")]
    if len(images) == slices:
        return images
    random = np.random.default_rng(7)
    across = np.linspace(-1, 1, rows)
    inside = across[:, None] ** 2 + across[None, :] ** 2 < 0.7
    hu = np.where(inside, 40, -1000).astype(np.int16)
    noise = random.normal(0, 20, (rows, rows)).astype(np.int16)
    volume = np.stack([hu + np.roll(noise, number * 7) for number in range(slices)])
    affine = np.diag([1.0, 400 / rows, 400 / rows, 1.0])[:, [0, 2, 1, 3]]
    affine = np.array(
        [[0, 0, 400 / rows, -200], [0, 400 / rows, 0, -200], [1.0, 0, 0, -300], [0, 0, 0, 1]]
    )
    series = CtSeries(study=key, description=f"{slices} slices")
    return write_ct(CtVolume(volume, affine, *_AXIAL, "HFS", series, key), folder, CtFiles())


def _segmentation(path: Path, images: list[Path], rows: int, segments: int) -> Path:
    if path.exists():
        return path
    sources = sorted(map(dcmread, images), key=lambda one: float(one.ImagePositionPatient[2]))
    labels = _labels(len(sources), rows, segments)
    made = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=labels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(number) for number in range(1, segments + 1)],
        series_instance_uid=UID(generate_uid()),
        series_number=100,
        sop_instance_uid=UID(generate_uid()),
        instance_number=1,
        manufacturer="Wetread",
        manufacturer_model_name="benchmark",
        software_versions="1",
        device_serial_number="1",
        series_description=f"{segments} segments",
    )
    made.save_as(path)
    return path


def _labels(slices: int, rows: int, segments: int) -> NDArray[np.uint8]:
    """Balls that lie beside each other, none touching."""
    labels = np.zeros((slices, rows, rows), np.uint8)
    across = max(1, round(segments ** (1 / 3) + 0.49))
    step = np.array([slices, rows * 0.55, rows * 0.55]) / across
    radius = step * 0.42
    for number in range(segments):
        place = np.array(np.unravel_index(number, (across, across, across)))
        middle = np.array([0, rows * 0.22, rows * 0.22]) + (place + 0.5) * step
        first = np.maximum(np.floor(middle - radius).astype(int), 0)
        last = np.minimum(np.ceil(middle + radius).astype(int) + 1, labels.shape)
        box = tuple(slice(*ends) for ends in zip(first, last, strict=True))
        grids = np.ogrid[box]
        parts = zip(grids, middle, radius, strict=True)
        distance = sum(((grid - centre) / size) ** 2 for grid, centre, size in parts)
        labels[box][distance < 1] = number + 1
    return labels


def _described(number: int) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=f"Structure {number}",
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=codes.SCT.Liver,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="benchmark", version="1", family=codes.DCM.ArtificialIntelligence
        ),
    )
