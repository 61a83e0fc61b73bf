"""Whoever asks for Hounsfield units is given them, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers import registry
from analyzers.contract import NotApplicable, Volume
from node.demo.ct_files import CtFiles
from node.demo.phantom import ChestPhantom
from node.series.geometry import UnreadableHeader
from node.series.read import read_series
from node.work import job
from node.work.executor import Outcome, Ticket, Verdict
from storage.files.results import JobFolder

Change = Callable[[Dataset], None]


def without_rescale(image: Dataset) -> None:
    for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
        image.pop(keyword, None)


def empty_rescale(image: Dataset) -> None:
    image.RescaleSlope = image.RescaleIntercept = None


def only_a_slope(image: Dataset) -> None:
    del image.RescaleIntercept


def unspecified(image: Dataset) -> None:
    image.RescaleType = "US"


def electron_density(image: Dataset) -> None:
    image.RescaleType = "ED"


def multi_energy(image: Dataset) -> None:
    image.pop("RescaleType", None)
    image.MultienergyCTAcquisition = "YES"


def written(folder: Path, change: Change, images: range = range(100)) -> list[Path]:
    paths = ChestPhantom.small().write(folder, CtFiles())
    for index, path in enumerate(paths):
        if index in images:
            image = pydicom.dcmread(path)
            change(image)
            image.save_as(path)
    return paths


def outcome_of(analyzer: str, paths: list[Path], folder: Path) -> Outcome:
    info = registry.info(analyzer)
    ticket = Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer=info.name,
        analyzer_version=info.version,
        parameters=dict(info.defaults),
        instances=tuple(paths),
        place=JobFolder(folder),
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return job.perform(ticket, "cpu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_rescale, "no rescale"),
        (empty_rescale, "no rescale"),
        (only_a_slope, "no rescale"),
        (unspecified, "Rescale Type is not HU"),
        (electron_density, "Rescale Type is not HU"),
        (multi_energy, "Rescale Type of a multi-energy CT is not given"),
    ],
)
@pytest.mark.parametrize("analyzer", ["bone_segmentation", "gaussian_filter"])
def test_a_ct_whose_values_are_not_known_to_be_hu_is_refused_by_name(
    analyzer: str, change: Change, reason: str, tmp_path: Path
) -> None:
    outcome = outcome_of(analyzer, written(tmp_path / "study", change), tmp_path / "out")
    assert outcome.verdict is Verdict.NOT_APPLICABLE
    assert "not known to be HU" in outcome.reason
    assert reason in outcome.reason
    assert [item.kind for item in outcome.results.objects] == ["sr"]


def test_one_image_without_a_rescale_is_enough(tmp_path: Path) -> None:
    paths = written(tmp_path / "study", without_rescale, range(3, 4))
    outcome = outcome_of("lung_segmentation", paths, tmp_path / "out")
    assert outcome.verdict is Verdict.NOT_APPLICABLE
    assert "not known to be HU" in outcome.reason


def test_every_analyzer_of_ct_that_is_installed_asks_for_hu() -> None:
    volume = Volume(np.zeros((1, 2, 2)), np.eye(4), "CT", np.ones(1), np.zeros(1))
    found = [registry.load(name) for name in registry.names()]
    of_ct = [one for one in found if "CT" in one.inputs.modalities]
    assert len(of_ct) > 10
    for one in of_ct:
        with pytest.raises(NotApplicable, match="not known to be HU"):
            one.inputs.require_units(volume)


@pytest.mark.parametrize("kind", ["HU", "hu ", " HU"])
def test_hu_is_hu_however_it_is_padded(kind: str, tmp_path: Path) -> None:
    def padded(image: Dataset) -> None:
        image.RescaleType = kind

    volume = read_series(written(tmp_path / "study", padded)).volume
    assert volume is not None
    assert volume.units is not None
    assert volume.units.value == "[hnsf'U]"


@pytest.mark.parametrize("slope", ["0", "0.0", "-0", "1e-40", "1e39", "NaN", "inf", "1,0", "1_0"])
def test_a_slope_of_zero_or_of_no_number_is_a_broken_header(slope: str, tmp_path: Path) -> None:
    paths = ChestPhantom.small().write(tmp_path / "study", CtFiles())
    for path in paths[:2]:
        spliced(path, b"\x28\x00\x53\x10DS", slope.encode())
    with pytest.raises(UnreadableHeader, match="RescaleSlope"):
        read_series(paths)


def spliced(path: Path, head: bytes, value: bytes) -> None:
    """Put a value in the place of that of a short element of an Explicit VR file."""
    data = path.read_bytes()
    at = data.index(head) + len(head)
    length = int.from_bytes(data[at : at + 2], "little")
    value += b" " * (len(value) % 2)
    path.write_bytes(data[:at] + len(value).to_bytes(2, "little") + value + data[at + 2 + length :])
