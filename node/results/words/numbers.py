"""Numbers and units as people read them: what a report, a title and the page show.

Owns the digits that are shown. Nothing is decided on a rounded number: the value to six digits
stands beside it, and rules read what the analyzer measured.
"""

from __future__ import annotations

import re
from decimal import Decimal

from analyzers.contract import Code, Measurement, Reference
from node.results.words.sentences import GERMAN

SHOWN_DIGITS, KEPT_DIGITS = 3, 6
"""Significant digits: three change a value by half a per cent at most."""
MOST_CERTAIN_PERCENT = 99.0
"""No model is certain."""

_WORDS = {"[hnsf'U]": "HU", "deg": "°", "mo": "months", "a": "years", "1": "", "Cel": "°C"}
_ASCII = str.maketrans({"²": "2", "³": "3", "°": " deg"})
"""In objects: a title beyond ASCII would change the character set of all that is copied."""
_POWER = re.compile(r"(?<=[A-Za-z])[23](?![0-9])")
_UPTAKE = re.compile(r"g/m[lL]\{SUV(bw|lbm|bsa|ibw)\}")
_SUVS = {"bw": "", "lbm": " (lean mass)", "bsa": " (surface)", "ibw": " (ideal weight)"}
_ANNOTATION = re.compile(r"\{[^{}]*\}")


def kept(value: float) -> float:
    """``value`` to six significant digits."""
    return float(f"{value:.{KEPT_DIGITS}g}")


def shown(value: float, limit: float | None = None) -> float:
    """``value`` to three significant digits; to more where else it would cross ``limit``."""
    for digits in range(SHOWN_DIGITS, KEPT_DIGITS):
        rounded = float(f"{value:.{digits}g}")
        if limit is None or (rounded >= limit) == (value >= limit):
            return rounded
    return kept(value)


def written(value: float) -> str:
    """As a decimal string: 47, not 47.0."""
    return f"{value:.{KEPT_DIGITS}g}"


def certainty_percent(probability: float, threshold: float | None = None) -> float:
    """A probability (0–1) in per cent, on its side of ``threshold`` and never 100."""
    limit = None if threshold is None else shown(threshold * 100)
    return min(shown(probability * 100, limit), MOST_CERTAIN_PERCENT)


def spelled(text: str, language: str) -> str:
    """A number that is written with a point, with the decimal mark of a language."""
    return text.replace(".", ",") if language == GERMAN else text


def percent_in_words(percent: float, language: str) -> str:
    """Without its sign: "87", "99,2"."""
    return spelled(f"{percent:g}", language)


def unit_words(unit: Code) -> str:
    """A unit as people write it: HU, mm³, g/mL; empty for what has none."""
    return ucum_in_words(unit.value)


def ucum_in_words(ucum: str) -> str:
    """The same of a UCUM code."""
    if ucum in _WORDS:
        return _WORDS[ucum]
    plain = _ANNOTATION.sub("", ucum).replace("/ml", "/mL")
    return _POWER.sub(lambda match: "²³"[int(match[0]) - 2], plain)


def on_screen(ucum: str) -> str:
    """The same where no quantity stands beside it: an uptake is said to be an SUV."""
    found = _UPTAKE.fullmatch(ucum)
    return f"SUV{_SUVS[found[1]]}" if found else ucum_in_words(ucum)


def in_words(measurement: Measurement, language: str) -> str:
    """A number with its unit, as short as it can be and in ASCII: "5.2 L", "2020 mm3".

    One beyond its reference range has as many digits as it takes to be seen beyond it.
    """
    value, unit = measurement.value, measurement.unit
    return with_unit(value, unit, language, _crossed(value, measurement.reference))


def _crossed(value: float, reference: Reference | None) -> float | None:
    """The limit of the range beyond which a value lies."""
    if reference is None:
        return None
    if reference.low is not None and value < reference.low:
        return reference.low
    is_above = reference.high is not None and value > reference.high
    return reference.high if is_above else None


def with_unit(value: float, code: Code, language: str, beyond: float | None = None) -> str:
    """The same of a value and a unit; ``beyond``: a limit on whose other side it lies."""
    unit = unit_words(code).translate(_ASCII)
    if unit == "mL" and abs(value) >= 1000:
        limit = None if beyond is None else beyond / 1000
        litres = written(_rounded(value / 1000, _LITRE_DIGITS, limit))
        return f"{spelled(litres, language)} L"
    rounded = _rounded(value, SHOWN_DIGITS, beyond)
    return f"{spelled(without_powers(rounded), language)} {unit}".rstrip()


_LITRE_DIGITS = 2


def _rounded(value: float, fewest: int, beyond: float | None) -> float:
    """To so many significant digits; to more where else it would not lie beyond the limit."""
    for digits in range(fewest, KEPT_DIGITS):
        rounded = float(f"{value:.{digits}g}")
        if beyond is None or (rounded > beyond if value > beyond else rounded < beyond):
            return rounded
    return kept(value)


def without_powers(value: float) -> str:
    """As people write a number: 1230000, not 1.23e+06."""
    text = written(value)
    return f"{Decimal(text):f}" if 1e-6 <= abs(value) < 1e12 else text
