"""The nuclides of PET and how fast they decay (PS3.16 CID 4020; half-lives: ENSDF, nndc.bnl.gov).

A half-life in a header is held against them: written in minutes it is that of no nuclide here.
"""

from __future__ import annotations

from dataclasses import dataclass

TOLERANCE = 0.03
"""Headers round, and tables differ: 109.77 or 110 minutes, 75.5 or 76.4 seconds."""


@dataclass(frozen=True, slots=True)
class Nuclide:
    """``codes``: its values in SCT or DCM, and in SRT, which older equipment writes."""

    name: str
    half_life_s: float
    codes: tuple[str, ...]

    def decays_in(self, half_life_s: float) -> bool:
        """Whether that is its half-life."""
        return abs(half_life_s / self.half_life_s - 1) <= TOLERANCE


NUCLIDES = (
    Nuclide("C-11", 1221.8, ("40565003", "C-105A1")),
    Nuclide("N-13", 597.9, ("21576001", "C-107A1")),
    Nuclide("O-14", 70.62, ("424875009", "C-1018C")),
    Nuclide("O-15", 122.24, ("129504001", "C-B1038")),
    Nuclide("F-18", 6586.2, ("77004003", "C-111A1")),
    Nuclide("Na-22", 8.21e7, ("71633006", "C-155A1")),
    Nuclide("K-38", 458.2, ("423764008", "C-135A4")),
    Nuclide("Sc-43", 14007, ("126605",)),
    Nuclide("Sc-44", 14400, ("126600",)),
    Nuclide("Ti-45", 11088, ("75696008", "C-166A2")),
    Nuclide("Mn-51", 2772, ("126601",)),
    Nuclide("Mn-52", 483062, ("37225000", "C-149A1")),
    Nuclide("Mn-52m", 1266, ("126607",)),
    Nuclide("Fe-52", 29790, ("69089000", "C-130A1")),
    Nuclide("Cu-60", 1422, ("425364008", "C-127A4")),
    Nuclide("Cu-61", 12020, ("71425003", "C-127A1")),
    Nuclide("Cu-62", 580, ("422934004", "C-127A5")),
    Nuclide("Cu-64", 45721, ("3932008", "C-127A2")),
    Nuclide("Zn-62", 33090, ("65054007", "C-141A1")),
    Nuclide("Ga-66", 34164, ("79477007", "C-131A1")),
    Nuclide("Ga-68", 4062.6, ("35337001", "C-131A3")),
    Nuclide("Ge-68", 2.3408e7, ("53315004", "C-128A2")),
    Nuclide("As-70", 3156, ("126602",)),
    Nuclide("As-72", 93600, ("2705002", "C-115A2")),
    Nuclide("Se-73", 25740, ("87437000", "C-116A2")),
    Nuclide("Br-75", 5802, ("17910003", "C-113A1")),
    Nuclide("Br-76", 58320, ("79523006", "C-113A2")),
    Nuclide("Br-77", 205344, ("86521004", "C-113A3")),
    Nuclide("Rb-82", 75.5, ("79197006", "C-159A2")),
    Nuclide("Y-86", 53064, ("10738001", "C-162A3")),
    Nuclide("Y-90", 230580, ("14691008", "C-162A7")),
    Nuclide("Zr-89", 282276, ("63360001", "C-168A4")),
    Nuclide("Nb-90", 52560, ("126603",)),
    Nuclide("Tc-94m", 3120, ("424079002", "C-163AA")),
    Nuclide("I-124", 360806, ("40937006", "C-114A5")),
    Nuclide("Tb-152", 63000, ("126606",)),
)

_BY_CODE = {code: nuclide for nuclide in NUCLIDES for code in nuclide.codes}


def coded(code: str) -> Nuclide | None:
    """The nuclide of a code value; None where it is none of these."""
    return _BY_CODE.get(code)


def decays_in(half_life_s: float) -> bool:
    """Whether any nuclide of PET has that half-life."""
    return any(nuclide.decays_in(half_life_s) for nuclide in NUCLIDES)
