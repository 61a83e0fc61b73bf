"""What a destination would get of a job that made an object of every kind."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.uid import UID, ExplicitVRLittleEndian

from node.delivery import known, profile
from node.delivery.kinds import ROWS, Row
from node.delivery.profile import Offer, Situation, Wish
from node.delivery.targets.port import SYNTAXES
from storage.abilities import KnownAbilities
from storage.kinds import ObjectKind


@dataclass(frozen=True, slots=True)
class Prospect:
    """Of one kind. ``syntaxes``: those in which it takes it; ``why_not``: empty where it goes."""

    kind: ObjectKind
    name: str
    sop_classes: tuple[str, ...]
    syntaxes: tuple[str, ...]
    why_not: str


def prospects(able: KnownAbilities, wish: Wish) -> tuple[Prospect, ...]:
    """In the order of delivery."""
    takes = known.takes_of(able)
    situation = Situation(tuple(map(_offer, ROWS)))
    plan = profile.plan(situation, takes, wish)
    why = {**plan.left_out, **plan.unserved, **plan.waits}
    return tuple(
        Prospect(
            row.kind,
            row.name,
            tuple(uid.name for uid in row.sop_classes),
            tuple(
                UID(syntax).name
                for syntax in SYNTAXES
                if all(takes(uid, syntax) for uid in row.sop_classes)
            ),
            why.get(row.kind.value, ""),
        )
        for row in ROWS
    )


def _offer(row: Row) -> Offer:
    """Its UID is the kind's name; the report refers to the segmentation, as it usually does, and
    what takes back results to the report."""
    refers_to = _REFERENCES.get(row.kind)
    return Offer(
        row.kind.value,
        row.kind,
        row.sop_classes[0],
        ExplicitVRLittleEndian,
        refers_to=frozenset([refers_to.value] if refers_to else []),
    )


_REFERENCES = {
    ObjectKind.REPORT: ObjectKind.SEGMENTATION,
    ObjectKind.RETRACTION: ObjectKind.SEGMENTATION,
}
