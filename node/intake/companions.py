"""Which other series of a study an analyzer is given beside its own, and which jobs go before.

Pure, as routing is: reads no file and no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzers.contract import AnalyzerInfo, InputContract
from node.intake.descriptions import Descriptions
from node.intake.routing import is_foreign
from node.series.parts import frames_in, is_volume
from storage.identity import disagreements
from storage.records import StoredSeries


def companions(
    series: Sequence[StoredSeries],
    chosen: StoredSeries,
    info: AnalyzerInfo,
    described: Descriptions | None = None,
) -> dict[str, StoredSeries]:
    """The best series of the study for each role that has one; ``chosen`` plays none."""
    others = [one for one in series if is_foreign(one) and _is_beside(one, chosen)]
    known = described or Descriptions()
    found = {role: _best(others, contract, known) for role, contract in info.companions.items()}
    return {role: one for role, one in found.items() if one is not None}


def _is_beside(other: StoredSeries, chosen: StoredSeries) -> bool:
    """Whether another series, or another radiograph of the same one, shows the same patient.

    Another volume of the same series shows what the chosen one does, and of an image that holds
    several none can be given beside.
    """
    if other.instances == chosen.instances or frames_in(other.part):
        return False
    if other.id == chosen.id and is_volume(other):
        return False
    return same_patient(other, chosen)


def same_patient(one: StoredSeries, other: StoredSeries) -> bool:
    """Whether all images of two series show one patient."""
    if one.disagreements or other.disagreements:
        return False
    return not disagreements((one.header, other.header))


def in_order(names: Sequence[str], installed: Mapping[str, AnalyzerInfo]) -> list[str]:
    """The analyzers, each behind those it wants to hear; where they wait in a ring, the first of
    ``names`` does not wait."""
    ordered: list[str] = []
    visiting: set[str] = set()

    def visit(name: str) -> None:
        if name in ordered or name in visiting:
            return
        visiting.add(name)
        for earlier in installed[name].after:
            if earlier in names:
                visit(earlier)
        ordered.append(name)

    for name in names:
        visit(name)
    return ordered


def _best(
    series: Sequence[StoredSeries], contract: InputContract, known: Descriptions
) -> StoredSeries | None:
    described = [(one, known.of(one)) for one in series]
    accepted = [(one, known) for one, known in described if not contract.refusals(known)]
    ranked = sorted(
        accepted, key=lambda pair: (contract.preference(pair[1]), pair[0].series_instance_uid)
    )
    return ranked[0][0] if ranked else None
