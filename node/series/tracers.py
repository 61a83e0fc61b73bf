"""Which radiopharmaceutical a PET shows, from code, text and half-life, or that they disagree.

PS3.3 C.8.9.2; PS3.16 CID 4020, 4021 (PET) and 18 (nuclear medicine). Names come from the tables
here and from the standard's, never from the header's free text.
"""

from __future__ import annotations

import re
from functools import cache

from pydicom.dataset import Dataset

from analyzers.contract import FDG, Tracer
from node.series import nuclides
from node.series.nuclides import Nuclide
from storage.header import values
from storage.header.values import Unknown

NO_POSITRONS = (
    ("Lu-177", ("lu", "lutetium"), 574_300.0),
    ("Tc-99m", ("tc", "technetium"), 21_624.0),
    ("I-131", ("i", "iodine"), 693_000.0),
    ("I-123", ("i", "iodine"), 47_604.0),
    ("In-111", ("in", "indium"), 242_330.0),
    ("Ga-67", ("ga", "gallium"), 281_790.0),
    ("Tl-201", ("tl", "thallium"), 262_800.0),
    ("Sm-153", ("sm", "samarium"), 166_570.0),
    ("Xe-133", ("xe", "xenon"), 453_000.0),
    ("Ra-223", ("ra", "radium"), 987_550.0),
)
"""Nuclides that are imaged, but not by PET: name, element, half-life in seconds (ENSDF)."""
NO_POSITRON_CODES = {
    **{"447553000": "Lu-177", "72454006": "Tc-99m", "1368003": "I-131", "21572004": "I-123"},
    **{"56609000": "In-111", "2008008": "Ga-67", "60057003": "Tl-201", "419804008": "Sm-153"},
    **{"80751004": "Xe-133", "24853006": "Ra-223", "781259000": "Lu-177", "126509": "Lu-177"},
}
"""Of CID 18 and 25."""
FDG_CODES = frozenset({"35321007", "C-B1031", "Y-X1743"})
"""SCT, SRT, and the one that GE writes."""

WORDS = (
    (r"\bFD-?G\b|fluoro?-?de(?:s)?oxy-?d?-?gluc|fludeoxyglucose|\bF-?18-?FDG\b", FDG),
    (r"PSMA|piflufolastat|DCFPyL|DCFBC|J591", "PSMA ligand"),
    (r"DOTA-?(?:TATE|TOC|NOC)|edotreotide|oxodotreotide|DOTA-?0", "somatostatin analogue"),
    (r"FAPI", "FAPI"),
    (r"\bFET\b|fluoro?-?ethyl-?(?:l-)?tyros", "fluoroethyltyrosine"),
    (r"F-?DOPA|fluoro-?(?:l-)?dopa", "fluorodopa"),
    (r"\bFLT\b|thymidine", "fluorothymidine"),
    (r"\bF-?MISO\b|misonidazole", "fluoromisonidazole"),
    (r"\bFES\b|estradiol", "fluoroestradiol"),
    (r"\bNaF\b|(?:sodium|na) ?-?fluorid", "sodium fluoride"),
    (r"choline", "choline"),
    (r"fluciclovine|FACBC", "fluciclovine"),
    (r"florbeta|flutemetamol|\bPi-?B\b|pittsburgh|flortaucipir|\bT807\b|AV-?45", "brain tracer"),
    (r"methionine", "methionine"),
    (r"acetate", "acetate"),
    (r"ammonia|rubidium|flurpiridaz|oxygen-water|\bH2O\b", "tracer of perfusion"),
    (r"raclopride|fallypride|flumazenil|fluoro-?tyramine", "brain tracer"),
    (r"\bEXENDIN", "exendin"),
    (r"mab\b|antibod", "antibody"),
)
"""What people write, and what it is; the order does not matter."""


class Contradiction(ValueError):
    """Two statements of the header cannot both be true; the message names the attributes."""


def tracer_of(isotope: Dataset) -> Tracer:
    """Of an item of Radiopharmaceutical Information Sequence.

    Raises
    ------
    Contradiction
        The nuclide is none of PET, or not that of the tracer, or two tracers are named.
    """
    coded, text = _coded_nuclide(isotope), _written(isotope)
    _require_positrons(isotope, text)
    name = _name(isotope, text)
    nuclide = coded or _by_half_life(isotope)
    if name == FDG and nuclide is not None and nuclide.name != "F-18":
        raise Contradiction("the nuclide is not that of the radiopharmaceutical (FDG)")
    return Tracer(name, nuclide.name if nuclide else "")


def _name(isotope: Dataset, text: str) -> str:
    found = {name for pattern, name in WORDS if re.search(pattern, text, re.IGNORECASE)}
    code = values.text(values.item(isotope, "RadiopharmaceuticalCodeSequence"), "CodeValue")
    if code in FDG_CODES:
        found.add(FDG)
    elif code in _standard():
        found |= {_standard()[code]} if not found - {FDG} else set()
    if FDG in found and len(found) > 1:
        raise Contradiction("code and text name different radiopharmaceuticals")
    return " or ".join(sorted(found))


@cache
def _standard() -> dict[str, str]:
    """Code value and meaning of the radiopharmaceuticals of PET (CID 4021)."""
    from pydicom.sr.codedict import codes

    concepts = (getattr(codes.cid4021, keyword) for keyword in codes.cid4021.dir())
    return {one.value: one.meaning.replace("^", "") for one in concepts}


def _written(isotope: Dataset) -> str:
    """Whatever the item says in words of tracer and nuclide."""
    sequences = ("RadiopharmaceuticalCodeSequence", "RadionuclideCodeSequence")
    coded = [values.text(values.item(isotope, one), "CodeMeaning") for one in sequences]
    return " ; ".join((values.text(isotope, "Radiopharmaceutical"), *coded))


def _coded_nuclide(isotope: Dataset) -> Nuclide | None:
    code = values.text(values.item(isotope, "RadionuclideCodeSequence"), "CodeValue")
    return nuclides.coded(code)


def _by_half_life(isotope: Dataset) -> Nuclide | None:
    """The nuclide of that half-life, where only one has it."""
    given = values.number(isotope, "RadionuclideHalfLife")
    if isinstance(given, Unknown):
        return None
    found = [one for one in nuclides.NUCLIDES if one.decays_in(given)]
    return found[0] if len(found) == 1 else None


def _require_positrons(isotope: Dataset, text: str) -> None:
    half_life = values.known(values.number(isotope, "RadionuclideHalfLife"))
    if half_life is not None and nuclides.decays_in(half_life):
        half_life = None  # Zr-89 lasts as long as Ga-67
    sequences = ("RadiopharmaceuticalCodeSequence", "RadionuclideCodeSequence")
    coded = {values.text(values.item(isotope, one), "CodeValue") for one in sequences}
    named = {NO_POSITRON_CODES[one] for one in coded if one in NO_POSITRON_CODES}
    for name, elements, lasts_s in NO_POSITRONS:
        alike = half_life is not None and abs(half_life / lasts_s - 1) <= 0.01
        if name in named or alike or _names(text, name, elements):
            raise Contradiction(f"the nuclide ({name}) is none of PET")


def _names(text: str, name: str, elements: tuple[str, ...]) -> bool:
    """Whether a text says "177Lu", "Lu-177", "^177^Lutetium" or "Lutetium 177"."""
    mass = name.partition("-")[2]
    element = "|".join(elements)
    before = rf"(?<![0-9a-z])\^?{mass}\^?[ -]?(?:{element})(?![a-z])"
    behind = rf"(?<![a-z])(?:{element})[ -]?\^?{mass}\^?(?![0-9a-z])"
    return bool(re.search(f"{before}|{behind}", text, re.IGNORECASE))
