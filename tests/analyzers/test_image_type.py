"""What images are decides whether they are read, not one word of their header."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.contract import InputContract, NotApplicable, Plane, SeriesFacts, Subject
from analyzers.testing import examples

ORIGINALS = InputContract(modalities=frozenset({"CT", "MR"}))
ARCHIVED = SeriesFacts(
    modality="CT",
    instances=100,
    slices=100,
    plane=Plane.AXIAL,
    spacing_mm=1.5,
    image_type=("DERIVED", "SECONDARY"),
)


def test_slices_that_an_archive_called_derived_are_accepted() -> None:
    assert ORIGINALS.refusals(ARCHIVED) == ()
    assert ORIGINALS.refusals(replace(ARCHIVED, description="THORAX MPR axial 1.0")) == ()
    assert ORIGINALS.refusals(replace(ARCHIVED, description="LOW DOSE LUNG SCREEN")) == ()
    assert ORIGINALS.refusals(replace(ARCHIVED, description="HEAD W MASK")) == ()
    assert ORIGINALS.refusals(replace(ARCHIVED, description="RT Planung mit_Mask 3.0")) == ()
    assert ORIGINALS.refusals(replace(ARCHIVED, image_type=("ORIGINAL", "PRIMARY", "AXIAL"))) == ()


@pytest.mark.parametrize(
    ("words", "description", "why"),
    [
        ("MIP", "", "a projection"),
        ("AXIAL\\MIP", "", "a projection"),
        ("AXIAL\\MIN_IP", "THORAX MinIP", "a projection"),
        ("", "Lunge MIP 8/2", "a projection"),
        ("AXIAL\\SUBTRACTION", "", "a subtraction"),
        ("SCREEN SAVE", "", "a capture of a screen"),
        ("SCREEN", "", "a capture of a screen"),
        ("", "Screenshot 1", "a capture of a screen"),
        ("REFORMATTED\\AVERAGE", "", "a reformat"),
        ("AXIAL\\MPR", "", "a reformat"),
        ("", "Bone mask", "a mask"),
        ("CBF", "", "a map"),
    ],
)
def test_what_was_made_of_slices_is_refused_by_name(words: str, description: str, why: str) -> None:
    kinds = ("DERIVED", "SECONDARY", *(words.split("\\") if words else ()))
    (reason,) = ORIGINALS.refusals(replace(ARCHIVED, image_type=kinds, description=description))
    assert why in reason
    anything = replace(ORIGINALS, derived=True)
    assert anything.refusals(replace(ARCHIVED, image_type=kinds, description=description)) == ()


@pytest.mark.parametrize("without", [{"plane": None}, {"spacing_mm": None}, {"modality": "MR"}])
def test_derived_images_without_a_place_or_of_mr_are_refused(without: dict[str, object]) -> None:
    (reason,) = ORIGINALS.refusals(replace(ARCHIVED, **without))  # type: ignore[arg-type]  # by name
    assert reason == "its images are derived, originals are needed"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("113072", "a reformat"),
        ("113078", "a projection"),
        ("113062", "a subtraction"),
        ("113047", "a mask"),
        ("Thick MIP of 8 slices", "a projection"),
        ("bone mask applied", "a mask"),
    ],
)
def test_how_derived_images_were_made_is_read_of_the_images_themselves(said: str, why: str) -> None:
    scan = np.random.default_rng(1).normal(0, 300, (4, 40, 40)).astype(np.int16)
    made = replace(examples.volume(scan, "CT"), facts=replace(ARCHIVED, derivation=(said,)))
    with pytest.raises(NotApplicable, match=why):
        ORIGINALS.require_plain(made)
    original = replace(made.facts, image_type=("ORIGINAL", "PRIMARY"))  # type: ignore[type-var]
    ORIGINALS.require_plain(replace(made, facts=original))


@pytest.mark.parametrize("said", ["113040", "Lossy compression 10:1", "head with mask", "113085"])
def test_a_derivation_that_leaves_slices_what_they_were_is_accepted(said: str) -> None:
    scan = np.random.default_rng(1).normal(0, 300, (4, 40, 40)).astype(np.int16)
    plain = replace(examples.volume(scan, "CT"), facts=replace(ARCHIVED, derivation=(said,)))
    ORIGINALS.require_plain(plain)


def test_an_age_that_is_not_given_is_said_before_the_answer_of_what_knows_adults() -> None:
    scan = np.random.default_rng(1).normal(0, 300, (4, 40, 40)).astype(np.int16)
    untold = replace(examples.volume(scan, "CT"), subject=Subject())
    adults = replace(ORIGINALS, youngest_years=18)
    assert "gives no age" in adults.cautions(untold)[0]
    assert ORIGINALS.cautions(untold) == ()
    assert adults.cautions(replace(untold, subject=Subject(age_years=40.0))) == ()


def test_values_tell_a_mask_from_a_scan() -> None:
    scan = np.random.default_rng(1).normal(0, 300, (4, 40, 40)).astype(np.int16)
    plain = replace(examples.volume(scan, "CT"), facts=ARCHIVED)
    ORIGINALS.require_plain(plain)
    assert "derived" in ORIGINALS.remarks(plain)[0]
    mask = replace(plain, stored=(scan > 200).astype(np.int16))
    with pytest.raises(NotApplicable, match="2 different values only"):
        ORIGINALS.require_plain(mask)
    original = replace(mask, facts=replace(ARCHIVED, image_type=("ORIGINAL", "PRIMARY")))
    ORIGINALS.require_plain(original)
    assert ORIGINALS.remarks(original) == ()
