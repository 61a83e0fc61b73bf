"""Volume and Dice of the PET methods against drawn tumour contours (RTSTRUCT), as a Markdown table.

Every folder under the one given with a PET series and an RTSTRUCT in its folder ``PET`` is a case;
contours are placed by their patient coordinates. "All foci" is what the analyzer reports of
the whole series, physiologic uptake included; "of the tumour" keeps the foci that meet the contour,
as a reader would choose them. Nothing is fitted to the cases.

    python -m benchmarks.pet_tumour FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray

from analyzers.contract import NotApplicable, Segmentation, Volume
from analyzers.segmentation.pet_foci import Method
from analyzers.segmentation.pet_tumour import PetTumour, PetTumourParameters
from node.series.read import read_series

SUBPIXELS = 16
HEADER = (
    "| case | contour mL | method | all foci mL | Dice | of the tumour mL | Dice |\n"
    "|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    print(HEADER)
    for name, volume, contour in cases(parser.parse_args().folder):
        for method in Method:
            print(row(name, volume, contour, method))


def cases(folder: Path) -> Iterator[tuple[str, Volume, NDArray[np.bool_]]]:
    """Name, PET volume and tumour mask of every case."""
    for case in sorted(path for path in folder.iterdir() if (path / "PET").is_dir()):
        images, structures = [], []
        for path in sorted(path for path in (case / "PET").rglob("*") if is_dicom(path)):
            header = pydicom.dcmread(path, stop_before_pixels=True)
            if header.get("Modality") == "PT":
                images.append(path)
            elif header.get("Modality") == "RTSTRUCT":
                structures.append(header)
        if images and structures:
            volume = read_series(images).volume
            yield case.name, volume, contour_mask(structures[0], volume)


def is_dicom(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def contour_mask(structures: Any, volume: Volume) -> NDArray[np.bool_]:
    """Voxels of which more than half lies inside the contours of the first structure."""
    to_index = np.linalg.inv(volume.affine)
    mask = np.zeros(volume.shape, bool)
    for contour in structures.ROIContourSequence[0].ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        index = points @ to_index[:3, :3].T + to_index[:3, 3]
        corners = np.rint((index[:, [2, 1]] + 0.5) * SUBPIXELS - 0.5).astype(np.int32)
        rows, columns = volume.shape[1:]
        fine = np.zeros((rows * SUBPIXELS, columns * SUBPIXELS), np.uint8)
        cv2.fillPoly(fine, [corners], 1)
        share = fine.reshape(rows, SUBPIXELS, columns, SUBPIXELS).mean(axis=(1, 3))
        mask[round(float(index[:, 0].mean()))] ^= share > 0.5
    return mask


def row(name: str, volume: Volume, contour: NDArray[np.bool_], method: Method) -> str:
    """One line of the table."""
    drawn_ml = contour.sum() * volume.voxel_ml
    start = f"| {name} | {drawn_ml:.1f} | {method} |"
    try:
        findings = PetTumour("cpu").analyze(volume, PetTumourParameters(method=method.value))
    except NotApplicable as verdict:
        return f"{start} {verdict} | | | |"
    (found,) = [item for item in findings.items if isinstance(item, Segmentation)]
    met = np.unique(found.labels[contour & (found.labels > 0)])
    parts = [found.labels > 0, np.isin(found.labels, met[met > 0])]
    cells = [f"{one.sum() * volume.voxel_ml:.1f} | {dice(one, contour):.2f}" for one in parts]
    return f"{start} {cells[0]} | {cells[1]} |"


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1))


if __name__ == "__main__":
    main()
