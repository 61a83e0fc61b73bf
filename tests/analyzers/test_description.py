"""What an analyzer declares of itself, for whoever has to choose one."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzers import declaration, registry
from analyzers.contract import About, InputContract, Limits, NoParameters, Plane


@pytest.mark.parametrize("name", registry.names())
def test_every_analyzer_says_what_it_is_for_and_what_it_gives(name: str) -> None:
    about = registry.info(name).about
    assert about.purpose.endswith(".")
    assert about.gives
    assert not about.card or Path(registry.card(name)).is_file()


class Undeclared:
    """Counts voxels
    of air.

    And more.
    """

    name, version, title = "undeclared", "1.0.0", "Undeclared"
    inputs = InputContract(modalities=frozenset({"CT"}))
    limits = Limits()
    parameters = NoParameters

    def __init__(self, device: str) -> None: ...

    def analyze(self, volume: object, parameters: object) -> object: ...


def test_an_analyzer_that_declares_nothing_is_told_by_its_docstring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "load", lambda name: Undeclared)
    info = registry.info("undeclared")
    assert info.about == About("Counts voxels of air.")
    assert info.parameters == ()
    assert registry.card("undeclared") == ""


def test_a_description_of_another_type_is_a_fault() -> None:
    found = type("Unfit", (Undeclared,), {"about": "counts air"})
    assert declaration.faults(found) == ("about is of type str: give About(purpose=…, gives=(…,))",)


def test_an_input_contract_is_told_in_words() -> None:
    plain = InputContract(modalities=frozenset({"MR", "PT"}), derived=True)
    assert plain.in_words() == ("MR or PT", "originals or derived images")
    strict = InputContract(
        modalities=frozenset({"CT"}),
        planes=frozenset({Plane.AXIAL}),
        min_slices=3,
        max_spacing_mm=2.5,
        max_thickness_mm=3,
        contrast=False,
        youngest_years=18,
    )
    assert strict.in_words() == (
        "CT",
        "axial images",
        "at least 3 slices",
        "slices at most 2.5 mm apart",
        "slices at most 3 mm thick",
        "without contrast agent",
        "persons from 18 years on",
        "originals only",
        "CT in HU",
    )
