"""A chest that lies otherwise than its headers say is named, whichever analyzer was asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzers import structures
from analyzers.anatomy import standing
from analyzers.contract import Findings, Segmentation, Volume
from node.results.words import phrases
from node.series.read import read_series


@pytest.fixture(scope="module")
def chest(phantom_paths: list[Path]) -> Volume:
    volume = read_series(phantom_paths).volume
    assert volume is not None
    return volume


def flipped(volume: Volume, axis: int) -> Volume:
    return replace(volume, stored=np.ascontiguousarray(np.flip(volume.stored, axis)))


def part(volume: Volume, planes: slice) -> Volume:
    return replace(
        volume,
        stored=volume.stored[planes],
        slope=volume.slope[planes],
        intercept=volume.intercept[planes],
    )


@pytest.mark.parametrize("planes", [slice(0, 30), slice(7, 30), slice(0, 22), slice(15, 30)])
def test_lungs_that_lie_upside_down_are_named_and_others_are_not(
    chest: Volume, planes: slice
) -> None:
    shown = part(chest, planes)
    assert standing.contradictions(shown) == ()
    assert standing.contradictions(flipped(shown, 0)) == (standing.UPSIDE_DOWN,)


def test_a_spine_in_front_is_named(chest: Volume) -> None:
    assert standing.contradictions(flipped(chest, 1)) == (standing.BACK_TO_FRONT,)


def test_the_order_in_which_slices_are_stored_tells_nothing(chest: Volume) -> None:
    affine = chest.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (len(chest.stored) - 1)
    affine[:3, 0] *= -1
    turned = replace(flipped(chest, 0), affine=affine)
    assert standing.contradictions(turned) == ()


def test_what_shows_no_lungs_is_not_judged(chest: Volume) -> None:
    solid = replace(chest, stored=np.maximum(chest.stored, chest.stored.dtype.type(0)))
    assert standing.contradictions(solid) == ()
    assert standing.contradictions(replace(chest, modality="MR")) == ()


def test_it_stands_before_the_answer_of_what_lies_somewhere(chest: Volume) -> None:
    labels = np.zeros(chest.shape, np.uint8)
    lungs = Segmentation(labels, (structures.of("left_lung").segment(1),))
    wrong = flipped(chest, 0)
    assert standing.told(Findings((lungs,)), wrong).cautions == (standing.UPSIDE_DOWN,)
    assert standing.told(Findings(), wrong).cautions == ()
    assert phrases.shown(standing.UPSIDE_DOWN, "de").startswith("Die Anatomie widerspricht")


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["ct_lidc_idri_0314", "ct_crlm_1004"])
def test_real_chests_are_judged_as_they_lie(folder: str, test_data: Path) -> None:
    files = sorted((test_data / "studies" / folder).rglob("*.dcm"))
    volume = read_series(files).volume
    assert volume is not None
    assert standing.contradictions(volume) == ()
    upside_down = flipped(volume, 0)
    if volume.valid is not None:
        upside_down = replace(upside_down, valid=np.ascontiguousarray(volume.valid[::-1]))
    assert standing.contradictions(upside_down) == (standing.UPSIDE_DOWN,)
