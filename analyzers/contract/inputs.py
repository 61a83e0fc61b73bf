"""Which series an analyzer can read, and why it cannot read another."""

from __future__ import annotations

import re
from dataclasses import dataclass

from analyzers.contract import image_type
from analyzers.contract.errors import NotApplicable
from analyzers.contract.series import Plane, SeriesFacts
from analyzers.contract.volume import Volume


@dataclass(frozen=True, slots=True)
class InputContract:
    """Which series an analyzer can read. Every condition left at its default is not checked."""

    modalities: frozenset[str]
    planes: frozenset[Plane] = frozenset()
    min_slices: int = 1
    max_spacing_mm: float | None = None
    max_thickness_mm: float | None = None
    contrast: bool | None = None
    derived: bool = False
    """Whether images that were themselves computed are accepted. If not, a CT that is only called
    DERIVED is accepted where it has places and values of slices as scanned."""
    any_units: bool = False
    """Whether a CT is accepted whose header does not say that its values are HU."""
    views: frozenset[str] = frozenset()
    """View Positions of a radiograph; one whose header gives none is accepted."""
    youngest_years: float | None = None
    """Of the person examined; one whose header gives no age is accepted, and the report says so."""

    def require_units(self, volume: Volume) -> None:
        """Whoever asks for HU is given HU.

        Raises
        ------
        NotApplicable
            The values of a CT are not known to be HU.
        """
        if volume.modality == "CT" and volume.units is None and not self.any_units:
            reason = volume.units_reason or "the header gives no units"
            raise NotApplicable(f"The values are not known to be HU: {reason}.")

    def require_age(self, volume: Volume) -> None:
        """Whoever learned from adults is given no children.

        Raises
        ------
        NotApplicable
            The header says that the person is younger than those it was made for.
        """
        age, limit = volume.subject.age_years, self.youngest_years
        if age is not None and limit is not None and age < limit:
            raise NotApplicable(
                f"The person was younger than {limit:g} years, and this method knows no one of"
                " that age."
            )

    def require_plain(self, volume: Volume) -> None:
        """Whoever asks for originals is given slices as scanned, whatever their header calls them.

        Raises
        ------
        NotApplicable
            The header says that a CT is derived, and how; or it has the few values of a mask or a
            screen.
        """
        if volume.facts is None or not self._called_derived(volume):
            return
        if how := image_type.derivation(volume.facts):
            raise NotApplicable(f"{how}, slices as scanned are needed")
        count = image_type.different_values(volume)
        if count < image_type.FEWEST_VALUES:
            raise NotApplicable(
                f"The images are derived and hold {count} different values only, as masks and"
                " captures of a screen do; slices as scanned are needed."
            )

    def cautions(self, volume: Volume) -> tuple[str, ...]:
        """Why not to rely on an answer although the input was accepted."""
        limit = self.youngest_years
        if limit is None or volume.subject.age_years is not None:
            return ()
        return (
            f"The header gives no age: this method knows persons from {limit:g} years on only, and"
            " does not notice a child.",
        )

    def remarks(self, volume: Volume) -> tuple[str, ...]:
        """What a reader has to know of the input that was accepted."""
        if not self._called_derived(volume):
            return ()
        return (
            "The header calls these images derived; they were taken for slices as scanned, by their"
            " places and values.",
        )

    def _called_derived(self, volume: Volume) -> bool:
        facts = volume.facts
        return bool(
            facts and volume.modality == "CT" and not self.derived and image_type.is_derived(facts)
        )

    def refusals(self, series: SeriesFacts) -> tuple[str, ...]:
        """The conditions that the series does not meet, in words; empty when it is accepted."""
        return tuple(reason for reason in self._unmet(series) if reason)

    def in_words(self) -> tuple[str, ...]:
        """Every condition as a person says it."""
        said = [" or ".join(sorted(self.modalities))]
        if self.planes:
            said.append(f"{' or '.join(sorted(self.planes))} images")
        if self.min_slices > 1:
            said.append(f"at least {self.min_slices} slices")
        if self.max_spacing_mm is not None:
            said.append(f"slices at most {self.max_spacing_mm:g} mm apart")
        if self.max_thickness_mm is not None:
            said.append(f"slices at most {self.max_thickness_mm:g} mm thick")
        if self.contrast is not None:
            said.append(f"{'with' if self.contrast else 'without'} contrast agent")
        if self.views:
            said.append(f"view {' or '.join(sorted(self.views))} where one is given")
        if self.youngest_years is not None:
            said.append(f"persons from {self.youngest_years:g} years on")
        said.append("originals or derived images" if self.derived else "originals only")
        if "CT" in self.modalities:
            said.append("CT in any units" if self.any_units else "CT in HU")
        return tuple(said)

    def preference(self, series: SeriesFacts) -> tuple[float, ...]:
        """Sort key among accepted series, best first: thin slices, then many."""
        spacing = series.spacing_mm if series.spacing_mm is not None else float("inf")
        return (round(spacing, 2), -series.slices)

    def _unmet(self, series: SeriesFacts) -> list[str]:
        return [
            self._modality(series),
            self._image_type(series),
            self._plane(series),
            _at_least("slices", series.slices, self.min_slices),
            _at_most("distance between slices", series.spacing_mm, self.max_spacing_mm),
            _at_most("slice thickness", series.thickness_mm, self.max_thickness_mm),
            self._contrast(series),
            self._view(series),
        ]

    def _modality(self, series: SeriesFacts) -> str:
        if series.modality in self.modalities:
            return ""
        wanted = " or ".join(sorted(self.modalities))
        said = series.modality if _CODE.fullmatch(series.modality) else "not readable"
        return f"modality is {said if series.modality else 'not given'}, {wanted} is needed"

    def _image_type(self, series: SeriesFacts) -> str:
        kinds = {part.upper() for part in series.image_type}
        if "LOCALIZER" in kinds:
            return "it is a localizer"
        if self.derived:
            return ""
        if how := image_type.made(series):
            return f"{how}, slices as scanned are needed"
        plain = "AXIAL" in kinds or image_type.is_plain(series)
        if image_type.is_derived(series) and not plain:
            return "its images are derived, originals are needed"
        return ""

    def _plane(self, series: SeriesFacts) -> str:
        if not self.planes or series.plane in self.planes:
            return ""
        wanted = " or ".join(sorted(self.planes))
        return f"its plane is {series.plane or 'unknown'}, {wanted} is needed"

    def _view(self, series: SeriesFacts) -> str:
        if not self.views or not series.view or series.view in self.views:
            return ""
        said = series.view if _CODE.fullmatch(series.view) else "another"
        return f"its view is {said}, {' or '.join(sorted(self.views))} is needed"

    def _contrast(self, series: SeriesFacts) -> str:
        if self.contrast is None or series.contrast is None or series.contrast == self.contrast:
            return ""
        return f"it is {'with' if series.contrast else 'without'} contrast agent"


_CODE = re.compile(r"[A-Z0-9]{2,8}")
"""A defined term of Modality; whatever else stands there is not repeated in a reason."""


def _at_least(what: str, have: int, need: int) -> str:
    return f"{have} {what}, at least {need} are needed" if have < need else ""


def _at_most(what: str, have_mm: float | None, limit_mm: float | None) -> str:
    if limit_mm is None or have_mm is None or have_mm <= limit_mm + 1e-3:
        return ""
    return f"{what} is {have_mm:g} mm, at most {limit_mm:g} mm is accepted"


# --- findings -------------------------------------------------------------------------------------
