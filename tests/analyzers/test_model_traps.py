"""What the models did with what they were not made for ends their cards, once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.contract import Findings, InputContract, NotApplicable, Volume
from analyzers.testing import examples
from benchmarks import ct_traps, made_traps, model_traps
from benchmarks.made_traps import Given


def test_rows_take_the_place_of_earlier_ones() -> None:
    card = "# model\n\n**Limits:** some.\n"
    first = model_traps.entered(card, [f"{model_traps.TITLE} (model 1)", "", "| a |"])
    again = model_traps.entered(first, [f"{model_traps.TITLE} (model 2)", "", "| b |"])
    assert again == f"{card}\n{model_traps.TITLE} (model 2)\n\n| b |\n"


def test_proper_variations_fill_up_to_the_number_asked_for() -> None:
    made = list(made_traps.in_turn(3, 2, 8))
    assert len(made) == 5
    assert len(set(made)) == 5
    assert list(made_traps.in_turn(9, 2, 8)) == []
    assert len(set(made_traps.in_turn(3, 2, 100))) == 6


def test_as_many_proper_images_are_taken_as_asked_for_and_all_traps() -> None:
    proper = [Given(str(n), made_traps.film(np.zeros((2, 2))), True) for n in range(9)]
    trap = Given("trap", proper[0].volume)
    chosen = model_traps.some([*proper, trap], 3)
    assert [one.what for one in chosen] == ["0", "3", "6", "trap"]
    assert model_traps.some([*proper, trap], None) == [*proper, trap]
    assert len(model_traps.some([*proper, trap], 50)) == 10


class Scripted:
    """Says of a volume what its first value stands for."""

    version = "1"
    inputs = InputContract(modalities=frozenset({"DX"}), youngest_years=18)

    def analyze(self, volume: Volume, parameters: object) -> Findings:
        first = int(volume.stored.flat[0])
        if first == 9:
            raise NotApplicable("no chest")
        return Findings(
            (), (), (f"About {first} mL of tissue.",) if first == 1 else ("Odd.",)[:first]
        )


def test_what_is_said_of_proper_images_too_is_no_doubt_of_a_trap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_traps.registry, "load", lambda name: lambda device: Scripted())
    monkeypatch.setattr(model_traps.registry, "parameters", lambda name, given: None)

    def shown(what: str, first: int, proper: bool = False, **said: object) -> Given:
        return Given(what, made_traps.film(np.full((2, 2), first), **said), proper)

    trap, child = shown("odd", 2), replace(shown("child", 0).volume, subject=made_traps.CHILD)
    images = [shown("proper", 1, proper=True), shown("same words", 1), trap, shown("refused", 9)]
    silent = shown("silent", 0)
    *_, last = model_traps.table("x", [*images, silent, Given("child", child)])
    assert last.startswith("Traps refused or doubted: 3 of 5 ")
    assert "Proper ones refused: 0 of 1 " in last
    sound = [shown("proper", 0, proper=True)] * 19
    *_, last = model_traps.table("x", [*images[:1], *sound, images[1]])
    assert last.startswith("Traps refused or doubted: 1 of 1 "), "one in twenty is not usual"


def test_a_ct_is_told_by_its_grid_and_not_by_its_folder() -> None:
    volume = examples.volume(np.zeros((4, 6, 8), np.int16), "CT")
    assert ct_traps.titled(2, volume).startswith("CT 2: 4 slices of ")
    assert "6×8 pixels" in ct_traps.titled(2, volume)
