"""Whatever the node makes of a series can be looked at: drawn over it, or beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from node.look.canvas import Canvas, Style, size_of
from node.look.looker import Looker, Study
from node.look.objects import Form, OverObject
from node.look.stack import Stack
from node.results.write import write_results
from node.series.source import Source
from node.web.viewer.own.asked import Asked
from node.web.viewer.own.desk import desk
from storage.kinds import ObjectKind
from tests.node.look.studies import looker
from tests.node.results.every_kind import fused_source, in_space
from tests.node.results.sources import PROVENANCE
from tests.node.web.dicomweb.holding import hold, take
from tests.node.web.sites import Site

FORMS = (ObjectKind.OUTLINES, ObjectKind.STRUCTURE_SET, ObjectKind.LABEL_MAP)


def _hold_images(site: Site, source: Source) -> None:
    volume = source.volume
    assert volume is not None
    for index, header in enumerate(source.headers):
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
        header.PixelRepresentation = 1
        header.PixelData = volume.stored[index].astype("<i2").tobytes()
        hold(site, header)
        del header.PixelData


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The objects of a finding of each kind."""
    folder = tmp_path_factory.mktemp("written")
    source = fused_source()
    made = write_results(source, in_space(source), PROVENANCE, folder / "job", FORMS)
    return [folder / one.key for one in made.objects]


@pytest.fixture
def held(site: Site, written: list[Path]) -> tuple[Looker, Study, Stack]:
    source = fused_source()
    _hold_images(site, source)
    for companion in source.companions.values():
        _hold_images(site, companion)
    for path in written:
        take(site, path)
    looked = looker(site)
    study = looked.study(1)
    (ct,) = [one for one in study.series if one.modality == "CT" and one.number == 4]
    return looked, study, looked.stack(study, ct.id)


def _drawn(
    held: tuple[Looker, Study, Stack], one: OverObject, style: Style
) -> list[NDArray[np.uint8]]:
    looked, study, stack = held
    pictures = []
    for shown in stack.slices:
        canvas = Canvas(shown, size_of(shown, 220))
        looked.overlay(study, one.held).draw(canvas, stack, shown, style)
        pictures.append(canvas.rgba)
    return pictures


def test_every_form_of_a_finding_is_drawn_where_it_has_a_place(
    held: tuple[Looker, Study, Stack],
) -> None:
    looked, study, stack = held
    over = looked.over(study, study.find(stack.series_id))
    forms = {one.form for one in over}
    assert forms == set(Form)
    for one in over:
        overlay = looked.overlay(study, one.held)
        best = overlay.best(stack)
        pictures = _drawn(held, one, Style())
        if not overlay.legend.entries:  # a window, or a summary: nothing of it has a place
            assert not any(picture.any() for picture in pictures)
            continue
        assert best is not None, one.form
        assert (pictures[best][..., 3] > 0).any(), one.form
        without = frozenset((one.held.id, entry.number) for entry in overlay.legend.entries)
        left_out = _drawn(held, one, Style(without=without))
        assert not any(picture.any() for picture in left_out), one.form


def test_a_map_says_what_its_colours_mean(held: tuple[Looker, Study, Stack]) -> None:
    looked, study, stack = held
    over = looked.over(study, study.find(stack.series_id))
    (chart,) = [one for one in over if one.form is Form.MAP]
    scale = looked.overlay(study, chart.held).legend.scale
    assert scale is not None
    assert (scale.low, scale.high, scale.unit) == pytest.approx((-1, 3, ""), abs=1e-4)


def test_a_box_is_drawn_on_the_slices_that_it_crosses_and_on_no_other(
    held: tuple[Looker, Study, Stack],
) -> None:
    looked, study, stack = held
    over = looked.over(study, study.find(stack.series_id))
    (report,) = [
        one
        for one in over
        if one.form is Form.REPORT and looked.overlay(study, one.held).legend.entries
    ]
    legend = looked.overlay(study, report.held).legend
    nodule = next(one for one in legend.entries if one.label.startswith("Nodule"))
    others = frozenset(
        (report.held.id, one.number) for one in legend.entries if one.number != nodule.number
    )
    pictures = _drawn(held, report, Style(without=others))
    places = [index for index, picture in enumerate(pictures) if picture.any()]
    (shown,) = places
    assert shown == len(stack.slices) - 1 - 1  # the box is on slice 1 from the feet
    down, across = np.nonzero(pictures[shown][..., 3])
    per_row = pictures[shown].shape[0] / stack.slices[0].rows
    per_column = pictures[shown].shape[1] / stack.slices[0].columns
    assert down.max() / per_row == pytest.approx(11, abs=0.7)
    assert across.min() / per_column == pytest.approx(4, abs=0.7)


def test_what_is_made_of_images_is_a_series_that_stands_beside_others_at_the_same_place(
    held: tuple[Looker, Study, Stack],
) -> None:
    looked, study, stack = held
    made = [one for one in study.series if one.series_instance_uid not in ("2.25.72", "2.25.74")]
    assert len(made) >= 3  # derived, resampled and coloured images
    for one in made:
        other = looked.stack(study, one.id)
        found = desk(looked, study.id, Asked(series=one.id, beside=stack.series_id))
        assert found.beside is stack
        if other.slices[0].place is not None and len(other.slices) == len(stack.slices):
            assert [stack.beside(other, at) for at in range(len(other.slices))] == list(
                range(len(stack.slices))
            )
