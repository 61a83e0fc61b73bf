"""Units: what UCUM allows passes, what people write instead does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.results.gate.ucum import is_unit

_LIST = """
mL % 1 [hnsf'U] g/ml{SUVbw} g/mL{SUVbw} {ratio} mm mm2 cm3 m2 /min 10*3/uL 10*-6.mm2/s um2/s kg/m2
ms s-1 dB deg Bq/mL MBq mg/min/{1.73_m2} {propcounts}/s cm[H2O] mm[Hg] (m/s)/Hz /mm 2.mm kBq/ml 1/mm
[arb'U]/mL 10^ mo a kg Cel [degF] ug/(kg.h) B[SPL] KiBy [pi].rad 10*9/L
"""
UNITS = _LIST.split()

OTHERS = [
    *("", "mL ", "ml/gram", "HU", "percent", "no units", "SUV", "mm^3", "cm³", "µm", "{unclosed"),
    *(
        "a//b",
        "mL/",
        "(mm",
        "mm)",
        "..",
        "-1",
        "+",
        "2mm",
        "mm 2",
        "[hnsf]",
        "kmin",
        "m-",
        "voxels",
    ),
    *("{a}{b}", "10*3a", "mm**2", "()", "/", ".", "mm.", "{a b}", "kk", "milliliter"),
]


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_of_ucum_is_one(unit: str) -> None:
    assert is_unit(unit)


@pytest.mark.parametrize("unit", OTHERS)
def test_what_is_written_otherwise_is_none(unit: str) -> None:
    assert not is_unit(unit)


@given(st.lists(st.sampled_from(UNITS), min_size=1, max_size=4), st.sampled_from("./"))
def test_units_in_parentheses_can_be_multiplied_and_divided(units: list[str], sign: str) -> None:
    assert is_unit(sign.join(f"({unit})" for unit in units))


@given(st.text(max_size=20))
def test_any_text_is_judged(text: str) -> None:
    assert is_unit(text) in (True, False)
