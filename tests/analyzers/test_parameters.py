"""Parameters declare what they accept; a wrong value is named with what would be accepted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from analyzers import registry
from analyzers.contract import InvalidParameters, Parameter, Parameters
from analyzers.contract.parameters import declared, read


@dataclass(frozen=True, slots=True)
class Declaring(Parameters):
    width_mm: Annotated[float, Parameter("width", "mm", least=0.5, most=20)] = 1.0
    share: Annotated[float, Parameter("share", least=0, below=1)] = 0.0
    count: Annotated[int, Parameter("how many", least=1)] = 1
    colour: Annotated[str, Parameter("colour", choices=("red", "green"))] = "red"
    shown: Annotated[tuple[str, ...], Parameter("what is shown", choices=("a", "b"))] = ()
    point_mm: Annotated[tuple[float, ...], Parameter("a point", "mm")] = ()


@dataclass
class Plain:
    """As an author writes it who declares nothing."""

    size: int = 1
    limit: float = float("-inf")
    file: Path = Path("rules.toml")
    side: Literal["left", "right"] = "left"
    table: object = None


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"width_mm": 50}, "width_mm is 50: a number from 0.5 to 20 mm is accepted"),
    ({"width_mm": "wide"}, "width_mm is 'wide': a number from 0.5 to 20 mm is accepted"),
    ({"width_mm": True}, "width_mm is True: a number from 0.5 to 20 mm is accepted"),
    ({"width_mm": float("nan")}, "width_mm is nan: a number from 0.5 to 20 mm is accepted"),
    ({"share": 1.0}, "share is 1: a number from 0 below 1 is accepted"),
    ({"count": 0}, "count is 0: a whole number from 1 is accepted"),
    ({"count": 2.5}, "count is 2.5: a whole number from 1 is accepted"),
    ({"colour": "blue"}, "colour is 'blue': 'red' or 'green' is accepted"),
    ({"shown": ["a", "c"]}, "shown is ['a', 'c']: a list of 'a' or 'b' is accepted"),
    ({"point_mm": 3.0}, "point_mm is 3: a list of numbers in mm is accepted"),
    ({"count": 0, "colour": 1}, "; colour is 1: 'red' or 'green' is accepted"),
]


@pytest.mark.parametrize(("given", "sentence"), WRONG)
def test_a_wrong_value_is_named_with_what_is_accepted(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidParameters) as from_a_file:
        read(Declaring, given)
    with pytest.raises(InvalidParameters) as made:
        Declaring(**given)
    assert sentence in str(from_a_file.value)
    assert sentence in str(made.value)


def test_values_are_read_as_a_file_writes_them() -> None:
    found = Declaring(**read(Declaring, {"shown": ["a"], "point_mm": [1, 2.5, 3], "width_mm": 2}))
    assert found.shown == ("a",)
    assert found.point_mm == (1, 2.5, 3)
    assert isinstance(found.point_mm[0], int), "the identity of a job hangs on what was written"
    assert isinstance(found.width_mm, int)


def test_who_declares_nothing_gets_the_types_checked_and_no_more() -> None:
    found = read(Plain, {"size": 3, "limit": float("inf"), "file": "own.toml", "table": {"a": 1}})
    assert found == {"size": 3, "limit": float("inf"), "file": Path("own.toml"), "table": {"a": 1}}
    with pytest.raises(InvalidParameters, match=r"size is 'x': a whole number is accepted \(Input"):
        read(Plain, {"size": "x"})
    with pytest.raises(InvalidParameters, match="side is 'up': 'left' or 'right' is accepted"):
        read(Plain, {"side": "up"})


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(InvalidParameters, match="it has: dimensions, size_mm; did you mean 'size_"):
        registry.parameters("mean_filter", {"size": 3})


@pytest.mark.parametrize("name", registry.names())
def test_every_parameter_says_what_it_means_and_its_default_is_accepted(name: str) -> None:
    kind: Any = registry.load(name).parameters
    for one in declared(kind):
        assert one.parameter is not None, one.name
        assert one.parameter.meaning
        read(kind, {one.name: one.default})
