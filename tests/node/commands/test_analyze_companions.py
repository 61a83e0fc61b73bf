"""``wetread analyze`` gives an analyzer the other series of the folder, as the node does."""

from __future__ import annotations

from pathlib import Path

import pydicom

from node.commands import author
from node.demo.ct_files import CtSeries
from node.demo.phantom import ChestPhantom


def test_a_second_series_of_the_folder_is_fused(tmp_path: Path) -> None:
    for number, slices in ((2, 8), (3, 6)):
        series = CtSeries(number=number)
        phantom = ChestPhantom(shape=(slices, 48, 48), spacing_mm=(20.0, 8.0, 8.0), series=series)
        folder = tmp_path / f"study/{number}"
        folder.mkdir(parents=True)
        phantom.write(folder)
    out = tmp_path / "out"
    given = ["registration=never", "moving=ct"]
    assert author.analyze(tmp_path / "study", "fusion", out, "cpu", given) == 0
    state = pydicom.dcmread(out / "blending-0.dcm")
    under, above = (len(x.ReferencedSeriesSequence[0].ReferencedImageSequence)
                    for x in state.BlendingSequence)  # fmt: skip
    assert under == above == 8
