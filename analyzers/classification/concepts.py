"""Coded questions and answers of the classifiers (PS3.16; private where none is published)."""

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
NO_UNIT = Code("1", "UCUM", "no units")

YES = Code("373066001", "SCT", "Yes")
NO = Code("373067005", "SCT", "No")
BODY_PART = Code("BODYPARTSEEN", PRIVATE_SCHEME, "Body part shown")
IMAGE_PLANE = Code("IMAGEPLANE", PRIVATE_SCHEME, "Plane of the images")
IS_LOCALIZER = Code("LOCALIZER", PRIVATE_SCHEME, "Localizer")
CONTRAST_AGENT = Code("CONTRASTSEEN", PRIVATE_SCHEME, "Contrast agent shown")
