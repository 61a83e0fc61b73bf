"""Coded questions, answers and quantities of radiographs (private where none is published)."""

from __future__ import annotations

from analyzers.codes import PRIVATE_SCHEME
from analyzers.contract import Code

PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
LUNG_OPACITY = Code("LUNGOPACITY", PRIVATE_SCHEME, "Lung opacity on a chest radiograph")
OPACITY_EVIDENCE = Code("OPACITYMAP", PRIVATE_SCHEME, "Evidence for lung opacity")
SCORE_CHANGE = Code("SCORECHANGE", PRIVATE_SCHEME, "Change of the score when covered")
PROBABILITY_SPREAD = Code(
    "PROBSPREAD", PRIVATE_SCHEME, "Spread of the probability between the members of an ensemble"
)
