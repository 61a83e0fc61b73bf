"""Whether the second series is moved or stays where the headers put it, and why, in words.

In a common frame of reference the headers are the truth until they are refuted: by mutual
information, by edges, and by a movement so much larger than what is not known of it that it cannot
lead away from the truth. Without a common frame the headers say nothing, and what was found is
taken with its uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analyzers.fusion.evidence import MATERIAL_GAIN, Evidence

TIMES_UNCERTAIN = 2.0
"""How many times its uncertainty a movement must be: at twice, it cannot lead further from any
truth within the uncertainty than the headers were."""
DOUBTED_MM = 5.0
"""An uncertainty from which the first sentence says so: about a voxel of PET."""
BLIND_MM = 10.0
"""A shift that mutual information does not tell, from which headers that stay are in doubt."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a movement within a common frame of reference may be.

    least_uncertain_mm: what two series of this kind never tell of their alignment. per_doubt: how
    far the truth lies from what was found, in distances between the measures. most_mm, most_deg:
    what is more is no movement of a patient between two series.
    """

    least_uncertain_mm: float
    per_doubt: float
    most_mm: float
    most_deg: float

    def uncertain_mm(self, told: Evidence) -> float:
        """How well the place of a movement that was found is known."""
        return max(self.least_uncertain_mm, self.per_doubt * told.doubt_mm)


ALIKE = Bounds(least_uncertain_mm=0.5, per_doubt=2.0, most_mm=100.0, most_deg=45.0)
"""Two series of one modality, as of one session: a patient may have moved between them."""
BETWEEN: Mapping[frozenset[str], Bounds] = MappingProxyType(
    {
        frozenset({"CT", "PT"}): Bounds(7.5, 2.0, 50.0, 20.0),
        frozenset({"MR", "PT"}): Bounds(7.5, 2.0, 50.0, 20.0),
        frozenset({"CT", "MR"}): Bounds(10.0, 2.0, 50.0, 20.0),
    }
)
"""Of one gantry, or laid on each other by somebody before. Uptake blurs by 5–7 mm and breathes
freely; fat lies flatter on another table: by so much mutual information is wrong and certain."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """accepted: the movement found is taken. uncertain_mm: of where the second series then lies."""

    accepted: bool
    uncertain_mm: float
    sentences: tuple[str, ...]


def verdict(
    modalities: tuple[str, str], before: float, after: float, told: Evidence, *, always: bool
) -> Verdict:
    """Of a movement within a common frame of reference.

    always: it is wanted whatever is known of it.
    """
    bounds = BETWEEN.get(frozenset(modalities), ALIKE)
    uncertain = bounds.uncertain_mm(told)
    against = _against(bounds, before, after, told, uncertain)
    if against and not always:
        return _kept(before, after, told, uncertain, against)
    found = f"both series share a frame of reference; {_moved(before, after, told)}"
    sentences = [f"Registered rigidly by mutual information: {found}."]
    if against:
        sentences.insert(0, f"In doubt, moved because it was asked for: {against}.")
    elif uncertain >= DOUBTED_MM:
        sentences.insert(0, f"In doubt: the place is known to about {uncertain:.0f} mm only.")
    return Verdict(True, uncertain, (*sentences, _measures(told)))


def apart(before: float, after: float, told: Evidence, modalities: tuple[str, str]) -> Verdict:
    """Of two frames of reference: the headers do not say how they lie to each other."""
    bounds = BETWEEN.get(frozenset(modalities), ALIKE)
    uncertain = bounds.uncertain_mm(told)
    sentences = [
        "Registered rigidly by mutual information: both series have different frames of "
        f"reference; {_moved(before, after, told)}."
    ]
    if uncertain >= DOUBTED_MM:
        sentences.insert(0, f"In doubt: the place is known to about {uncertain:.0f} mm only.")
    return Verdict(True, uncertain, (*sentences, _measures(told)))


def _against(bounds: Bounds, before: float, after: float, told: Evidence, uncertain: float) -> str:
    """The first reason not to leave the headers; empty where there is none."""
    if after < before * (1 + MATERIAL_GAIN):
        return "mutual information does not rise by 5 %"
    if told.moved_mm > bounds.most_mm or told.turned_deg > bounds.most_deg:
        return (
            f"more than {bounds.most_mm:g} mm or {bounds.most_deg:g}° is no movement of a patient "
            "between two such series"
        )
    if not told.edges_agree:
        return "edges run less alike there than where the headers put them"
    if told.moved_mm < TIMES_UNCERTAIN * uncertain:
        return (
            f"such a movement is known to about {uncertain:.1f} mm, and only one of "
            f"{TIMES_UNCERTAIN * uncertain:.1f} mm or more would refute the headers"
        )
    return ""


def _kept(before: float, after: float, told: Evidence, uncertain: float, against: str) -> Verdict:
    change = f"mutual information {before:.3f} → {after:.3f} nats"
    sentences = [
        "Both series share a frame of reference and are laid as the headers say: registration, "
        f"measured, would move the second by {told.moved_mm:.1f} mm ({change}), not taken: "
        f"{against}.",
        _measures(told),
    ]
    if told.moved_mm >= DOUBTED_MM and after >= before * (1 + MATERIAL_GAIN):
        sentences.insert(
            0,
            "In doubt: the images and the headers disagree by "
            f"{told.moved_mm:.0f} mm; compare bones and outline by eye.",
        )
    elif told.unseen_mm >= BLIND_MM:
        sentences.insert(
            0,
            f"In doubt: a movement of {max(told.unseen_mm, told.moved_mm):.0f} mm could not have "
            "been told from these images, mutual information changes by less than 5 %; compare "
            "bones and outline by eye.",
        )
        uncertain = max(uncertain, told.unseen_mm)
    return Verdict(False, max(uncertain, told.moved_mm), tuple(sentences))


def _moved(before: float, after: float, told: Evidence) -> str:
    return (
        f"the second was moved by {told.moved_mm:.1f} mm on average, turned by "
        f"{told.turned_deg:.1f}° (mutual information {before:.3f} → {after:.3f} nats)"
    )


def _measures(told: Evidence) -> str:
    halves = " and ".join(f"{distance:.1f}" for distance in told.halves_mm)
    by_halves = f", either half alone by {halves} mm" if halves else ""
    return (
        f"Other measures end elsewhere than mutual information: edges by {told.edges_mm:.1f} mm"
        f"{by_halves}."
    )
