"""What the models did with what they were not made for ends their cards, once."""

from __future__ import annotations

import numpy as np

from benchmarks import made_traps, model_traps
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
