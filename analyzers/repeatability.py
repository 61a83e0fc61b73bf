"""How far the numbers of an analyzer go apart when the same body is imaged again.

``repeatability.toml`` beside this module holds what ``benchmarks.repeatability`` measured: each
series was sampled anew between its voxels and given noise as strong as its own, several times over.
The repeatability coefficient (2.77 × the standard deviation within a subject; Bland and Altman, BMJ
1996;313:106) is what 95 of 100 differences between two repeats stay below. What was measured of
another version of an analyzer is not said of this one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from analyzers.contract import Detection, Findings, Measurement, Segmentation

FILE = "repeatability.toml"
RATIO_UNITS = frozenset({"mL", "cm3", "mm3", "cm2", "mm2", "cm", "mm", "g", "g/ml{SUVbw}"})
"""UCUM units of quantities that have a true zero: their coefficient is in percent."""
WIDTHS = 1.96 * 2**0.5
"""Standard deviations within a subject in a coefficient."""


@dataclass(frozen=True, slots=True)
class Repeatability:
    """Of one version of an analyzer. ``below``: coefficients in words, by what they are of."""

    analyzer: str
    version: str
    series: int
    repeats: int
    below: Mapping[str, str]


def told(findings: Findings, analyzer: str, version: str) -> Findings:
    """The findings, with a remark on how far their numbers would go apart, where that is known."""
    names = dict.fromkeys(name for name, _ in measurements(findings))
    remark = in_words(analyzer, version, tuple(names))
    return replace(findings, remarks=(*findings.remarks, remark)) if remark else findings


def in_words(analyzer: str, version: str, names: Collection[str] | None = None) -> str:
    """What is known of an analyzer, of these numbers or of all; empty where nothing is."""
    known = table().get(analyzer)
    if known is None or known.version != version:
        return ""
    asked = known.below if names is None else names
    said = ", ".join(f"{name} {known.below[name]}" for name in asked if name in known.below)
    if not said:
        return ""
    return (
        f"Sampled anew and with noise of its own strength, 95 of 100 differences stay below: {said}"
        f" ({known.series} series, {known.repeats} repeats each)."
    )


def named(one: Measurement) -> str:
    """What a number is of, and how it was derived."""
    how = f" ({one.derivation.meaning.lower()})" if one.derivation else ""
    return f"{one.name.meaning}{how}"


def measurements(findings: Findings) -> Iterator[tuple[str, Measurement]]:
    """Every number of the findings with its name, those of structures and marks first.

    One of the whole that structures have too is their total.
    """
    parts = [one for item in findings.items for one in _of_parts(item)]
    names = {named(one) for one in parts}
    yield from ((named(one), one) for one in parts)
    for one in findings.items:
        if isinstance(one, Measurement):
            yield (f"{named(one)} (total)" if named(one) in names else named(one)), one


def _of_parts(item: object) -> Iterator[Measurement]:
    if isinstance(item, Segmentation):
        for segment in item.segments:
            yield from segment.measurements
    elif isinstance(item, Detection):
        yield from item.measurements


@cache
def table() -> Mapping[str, Repeatability]:
    """What was measured, by the analyzer's name."""
    return read(resources.files("analyzers").joinpath(FILE).read_text("utf-8"))


def read(text: str) -> Mapping[str, Repeatability]:
    """The table as it is written."""
    return {name: Repeatability(name, **row) for name, row in tomllib.loads(text).items()}
