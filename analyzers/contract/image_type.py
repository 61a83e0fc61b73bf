"""What images are by the words of their header: slices as scanned, or made from such slices.

One word is not enough: archives that rewrite images call every one of them DERIVED
(PS3.3 C.7.6.1.1.2), plain slices too. What was made of slices mostly names how.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from analyzers.contract.series import SeriesFacts
from analyzers.contract.volume import Volume

FEWEST_VALUES = 257
"""Different values: what was shown on a screen has at most 256, a mask or threshold far fewer; a CT
in HU has more between air and bone, by its noise alone."""
SLICES_LOOKED_AT = 8

MADE: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "it is a projection of several slices": re.compile(
            r"\b(MIP|MIN ?IP|MAX ?IP|MEAN ?IP|AVG ?IP|PROJECTION|VRT?|RENDERED|"
            r"VOLREN|VOLUME RENDERING)\b"
        ),
        "it is a subtraction": re.compile(r"\bSUBTRACT(ED|ION)?\b"),
        "it is a capture of a screen": re.compile(r"\bSCREEN ?(SAVE|SHOT|CAPTURE)\b"),
        "it is a mask or a threshold": re.compile(
            r"\b(MASK(ED)?|THRESHOLD(ED)?|BINARY|SEGMENTATION)\b"
        ),
        "it is a map computed from other images": re.compile(
            r"\b(PERFUSION|CBF|CBV|MTT|TTP|TMAX|IODINE|VNC|VIRTUAL NON ?CONTRAST|MATERIAL)\b"
        ),
    }
)
"""How what was made of slices is named, in Image Type or in the description of the series."""
MADE_BY_TYPE: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "it is a reformat of other slices": re.compile(r"\b(REFORMAT(TED)?|MPR|CPR|CURVED)\b"),
        "it is a capture of a screen": re.compile(r"\bSCREEN\b"),
    }
)
"""In Image Type only: descriptions call thin plain slices so that reformats are made of, and say
"lung screen" of whom is screened."""

WORN = re.compile(
    r"\b(W|WITH|W O|WO|WITHOUT|NO|IN|MIT|OHNE|FACE|HEAD|FIXATION|IMMOBILI[SZ]ATION|THERMO\w*|"
    r"AIRWAY|LARYNGEAL|OXYGEN) MASK\b"
)
"""A mask that a person wears, for radiotherapy or to breathe."""
BY_CODE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("113072", "113073"), "it is a reformat of other slices"),
        **dict.fromkeys(
            ("113048", "113051", "113074", "113075", "113078", "113079"),
            "it is a projection of several slices",
        ),
        "113062": "it is a subtraction",
        **dict.fromkeys(("113047", "113076"), "it is a mask or a threshold"),
        "129104": "it is a map computed from other images",
    }
)
"""Derivation Code Sequence (CID 7203); what is not here leaves slices what they were."""


def is_derived(facts: SeriesFacts) -> bool:
    """Whether the header says that the images were computed from others."""
    return "DERIVED" in {part.strip().upper() for part in facts.image_type}


def made(facts: SeriesFacts) -> str:
    """How derived images were made, in words; empty where the header does not name it."""
    kinds = _words(" ".join(facts.image_type))
    described = WORN.sub(" ", _words(facts.description))
    said = f"{kinds} {described}" if is_derived(facts) else kinds
    by_both = (reason for reason, words in MADE.items() if words.search(said))
    by_type = (reason for reason, words in MADE_BY_TYPE.items() if words.search(kinds))
    return next(by_both, next(by_type, ""))


def derivation(facts: SeriesFacts) -> str:
    """How images that were read were made, by Derivation Code Sequence and Derivation Description,
    in words; empty where they do not say, or where slices stay what they were."""
    coded = next((BY_CODE[one] for one in facts.derivation if one in BY_CODE), "")
    said = " ".join(WORN.sub(" ", _words(one)) for one in facts.derivation)
    named = {**MADE, **MADE_BY_TYPE}
    return coded or next((why for why, words in named.items() if words.search(said)), "")


def is_plain(facts: SeriesFacts) -> bool:
    """Whether derived images may be slices as scanned: a CT whose slices have their place."""
    return facts.modality == "CT" and facts.plane is not None and facts.spacing_mm is not None


def different_values(volume: Volume) -> int:
    """In some slices spread over the series; no more than ``FEWEST_VALUES`` are counted."""
    step = max(1, volume.shape[0] // SLICES_LOOKED_AT)
    return min(np.unique(volume.stored[::step]).size, FEWEST_VALUES)


def _words(text: str) -> str:
    return re.sub(r"[_/.-]+", " ", text.upper())
