"""A chest that lies otherwise than its headers say is named, whichever analyzer was asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzers import codes, structures
from analyzers.anatomy import sides, standing
from analyzers.contract import Findings, Measurement, Segmentation, Volume
from node.demo.phantom import ChestPhantom
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
    mirrored = standing.contradictions(flipped(volume, 2))
    assert set(mirrored) <= set(sides.SENTENCES)
    assert bool(mirrored) is (folder == "ct_crlm_1004")  # the other one shows no liver


@pytest.fixture(scope="module")
def finer(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """A chest on a grid on which its liver is told from its stomach."""
    phantom = ChestPhantom(shape=(60, 128, 128), spacing_mm=(5.0, 3.0, 3.0))
    volume = read_series(phantom.write(tmp_path_factory.mktemp("finer"))).volume
    assert volume is not None
    return volume


def test_left_and_right_are_told_by_the_liver(finer: Volume) -> None:
    assert standing.judged(finer) == standing.Judged((), sides_agree=True)
    (said,) = standing.contradictions(flipped(finer, 2))
    assert said in sides.SENTENCES
    assert "situs inversus" in said


def test_a_liver_above_the_lungs_is_upside_down(finer: Volume) -> None:
    assert standing.contradictions(flipped(finer, 0)) == (standing.UPSIDE_DOWN,)


def test_sides_that_nothing_tells_are_said_to_be_the_headers(finer: Volume) -> None:
    segment = structures.of("left_lung").segment(
        1, (Measurement(codes.VOLUME, 1.0, codes.MILLILITER),)
    )
    lungs = Findings((Segmentation(np.ones(finer.shape, np.uint8), (segment,)),))
    above = part(finer, slice(35, 60))
    cut = Findings((Segmentation(np.ones(above.shape, np.uint8), (segment,)),))
    assert standing.told(cut, above).remarks == (standing.SIDES_NOT_TOLD,)
    assert standing.told(lungs, finer).remarks == ()
    assert standing.told(lungs, flipped(finer, 2)).remarks == ()


R, L, UNKNOWN = sides.Side.RIGHT, sides.Side.LEFT, sides.Side.UNKNOWN


@pytest.mark.parametrize(
    ("liver", "aorta", "heart", "is_doubted"),
    [
        (R, L, L, False),
        (L, UNKNOWN, UNKNOWN, True),
        (L, R, R, True),
        (UNKNOWN, R, R, True),
        (UNKNOWN, R, UNKNOWN, False),
        (UNKNOWN, UNKNOWN, R, False),
        (R, R, R, False),
        (L, L, UNKNOWN, False),
        (UNKNOWN, UNKNOWN, UNKNOWN, False),
    ],
)
def test_one_organ_on_its_side_or_too_few_on_the_other_raise_no_doubt(
    liver: sides.Side, aorta: sides.Side, heart: sides.Side, is_doubted: bool
) -> None:
    assert bool(sides.Sides(liver, aorta, heart).contradiction()) is is_doubted


@pytest.mark.parametrize("sentence", sides.SENTENCES)
def test_doubts_of_sides_are_said_in_german(sentence: str) -> None:
    assert phrases.shown(sentence, "de").startswith("Die Anatomie widerspricht den Headern: ")
    assert phrases.shown(standing.SIDES_NOT_TOLD, "de").startswith("Rechts und links")


def test_a_spine_behind_a_heart_full_of_agent_stays_behind(chest: Volume) -> None:
    heart = np.array(chest.stored)
    _, rows, columns = heart.shape
    middle = slice(columns // 2 - 4, columns // 2 + 4)
    heart[:, rows // 4 : rows // 2, middle] = heart.dtype.type(500)
    assert standing.contradictions(replace(chest, stored=heart)) == ()
