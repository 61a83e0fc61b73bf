"""Window presets leave as Grayscale Softcopy Presentation States."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from analyzers.contract import Findings, Shades, WindowPreset
from node.results.errors import DerivedUnsupported, FindingsContradictImages
from node.results.modules.origin import volume_of
from node.results.write import write_results
from node.series.read import read_series
from node.series.source import Source
from tests.node.results.test_maps_and_colors import PROVENANCE, texts

LUNG, BONE = WindowPreset("lung", Shades(-1350, 150)), WindowPreset("bone", Shades(-500, 1300))


@pytest.fixture(scope="module")
def source(phantom_paths: list[Path]) -> Source:
    return read_series(phantom_paths)


def test_a_state_shows_all_images_in_its_window(source: Source, tmp_path: Path) -> None:
    results = write_results(source, Findings((LUNG, BONE)), PROVENANCE, tmp_path / "out")
    assert [one.kind for one in results.objects] == ["window", "window", "record"]
    states = [pydicom.dcmread(tmp_path / f"out/window-{number}.dcm") for number in range(2)]
    assert len({state.SeriesInstanceUID for state in states}) == 1
    assert [state.ContentLabel for state in states] == ["LUNG", "BONE"]
    (first, _) = states
    assert first.SOPClassUID == GrayscaleSoftcopyPresentationStateStorage
    (series,) = first.ReferencedSeriesSequence
    assert len(series.ReferencedImageSequence) == len(source.headers)
    assert float(first.RescaleIntercept) == volume_of(source).intercept[0]
    (window,) = first.SoftcopyVOILUTSequence
    assert (float(window.WindowCenter), float(window.WindowWidth)) == (-600, 1500)
    words = " ".join(texts(pydicom.dcmread(tmp_path / "out/report.dcm")))
    assert "Presentation states were made: lung, bone." in words


@pytest.mark.skipif(shutil.which("dcmp2pgm") is None, reason="dcmp2pgm is not installed")
def test_dcmtk_shows_an_image_in_the_window_of_a_state(
    source: Source, phantom_paths: list[Path], tmp_path: Path
) -> None:
    write_results(source, Findings((LUNG, BONE)), PROVENANCE, tmp_path / "out")
    image = phantom_paths[len(phantom_paths) // 2]
    header = pydicom.dcmread(image)
    units = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
    for number, preset in enumerate((LUNG, BONE)):
        state, shown = tmp_path / f"out/window-{number}.dcm", tmp_path / "shown.pgm"
        subprocess.run(["dcmp2pgm", "--pstate", state, image, shown], check=True)
        grey = np.asarray(Image.open(shown), float)
        low, high = preset.shades.low, preset.shades.high
        assert np.ptp(grey) > 50
        assert np.abs(grey - np.clip((units - low) / (high - low), 0, 1) * 255).max() < 1.5


def test_what_no_state_can_say_is_refused(source: Source, tmp_path: Path) -> None:
    turned = WindowPreset("turned", Shades(100, -100))
    with pytest.raises(FindingsContradictImages):
        write_results(source, Findings((turned,)), PROVENANCE, tmp_path / "out")
    volume = volume_of(source)
    uneven = replace(volume, slope=np.linspace(1, 2, len(volume.slope)))
    with pytest.raises(DerivedUnsupported, match="from slice to slice"):
        write_results(
            replace(source, volume=uneven), Findings((LUNG,)), PROVENANCE, tmp_path / "out"
        )
