"""What the tracer of a PET allows: levels of SUV and reference organs are those of FDG."""

from __future__ import annotations

from analyzers.contract import FDG, NotApplicable, Tracer
from analyzers.segmentation.pet_foci import Method

OF_FDG = frozenset({Method.ABSOLUTE_2_5, Method.ABSOLUTE_4, Method.PERCIST})
"""Methods whose level was published for FDG; the others cut by contrast or by a share."""
FLUORINE = "F-18"


def is_other(tracer: Tracer) -> bool:
    """Whether the header says that it is not FDG, by its name or by its nuclide."""
    return tracer.name not in ("", FDG) or tracer.nuclide not in ("", FLUORINE)


def require_fdg(tracer: Tracer, method: Method) -> None:
    """Raises ``NotApplicable`` where the method holds for FDG, and it is another tracer or, for a
    reference organ, none that the header names."""
    if method in OF_FDG and is_other(tracer):
        raise NotApplicable(
            f"The method {method.value} was made for FDG; the tracer is {said(tracer)}."
        )
    if method is Method.PERCIST and not tracer.is_fdg:
        raise NotApplicable(
            "PERCIST was made for FDG; the header does not say which tracer this is."
        )


def said(tracer: Tracer) -> str:
    """Name and nuclide, as far as the header says."""
    known = [part for part in (tracer.name, tracer.nuclide) if part]
    return ", ".join(known) if known else "not given"


def caution(tracer: Tracer) -> str:
    """Why not to read the foci as those of FDG; empty where the header says that it is."""
    if tracer.is_fdg:
        return ""
    if is_other(tracer):
        return (
            f"The tracer is not FDG ({said(tracer)}): where foci are looked for and what is usual "
            "uptake was learned from FDG."
        )
    return (
        "The header does not say which tracer this is: the foci are read as those of FDG, and "
        "usual uptake of organs is not named."
    )
