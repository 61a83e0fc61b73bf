"""Window presets in the units of the series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.contract import InvalidParameters, NotApplicable, Shades, Volume, WindowPreset
from analyzers.filters.window_presets import CT_HU, WindowPresets, WindowPresetsParameters
from analyzers.testing import examples


def presets(volume: Volume, *names: str) -> dict[str, Shades]:
    findings = WindowPresets("cpu").analyze(volume, WindowPresetsParameters(names))
    return {one.title: one.shades for one in findings.items if isinstance(one, WindowPreset)}


def test_ct_has_the_usual_windows_in_hounsfield_units() -> None:
    found = presets(examples.volume(examples.torso(), "CT"))
    assert len(found) == len(CT_HU)
    lung, bone = found["lung"], found["bone"]
    assert ((lung.low + lung.high) / 2, lung.high - lung.low) == (-600, 1500)
    assert ((bone.low + bone.high) / 2, bone.high - bone.low) == (400, 1800)


def test_pet_windows_are_suv_in_the_units_of_the_series() -> None:
    pet = examples.volume(examples.uptake(), "PT")
    assert presets(pet, "suv_5") == {"suv 5": Shades(0, pytest.approx(5000))}
    with pytest.raises(NotApplicable, match="SUV"):
        presets(replace(pet, suv_factor=None))


def test_mr_windows_follow_the_values() -> None:
    mr = examples.volume(examples.head(), "MR")
    whole = presets(mr)["whole range"]
    assert (whole.low, whole.high) == (mr.stored.min(), mr.stored.max())
    with pytest.raises(NotApplicable, match="no contrast"):
        presets(examples.volume(np.full((4, 9, 9), 7, np.int16), "MR"))


def test_names_are_checked_and_belong_to_a_modality() -> None:
    ct = examples.volume(examples.torso(), "CT")
    assert list(presets(ct, "bone", "suv_5")) == ["bone"]
    with pytest.raises(NotApplicable, match="is one of CT"):
        presets(ct, "suv_5")
    with pytest.raises(InvalidParameters, match="'night'"):
        WindowPresetsParameters(("night",))
