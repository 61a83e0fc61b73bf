"""Further forms of findings whose objects were made before, and may be at a destination.

These objects stay what they are: no second ones are made of the same findings under other UIDs, as
another version of the node, a decoder or a library would make them. What would be said otherwise
now is not said beside them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzers.contract import Findings
from node.errors import NodeError
from node.results import kept
from node.results.kept import Kept
from node.results.modules.source import Provenance
from node.results.report import sr
from node.results.write import identified, write_results
from node.series.source import Source
from node.work.executor import Ticket
from storage.kinds import ObjectKind
from storage.records import JobResults, ResultObject


class SaidOtherwise(NodeError):
    """A further form would not say what the objects say that were made before."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is found now, and what it would be written with. said: digest of the findings."""

    source: Source
    findings: Findings
    provenance: Provenance
    said: str


def made_before(ticket: Ticket, run: Run) -> Kept | None:
    """What stays as it is, where the run would give its objects other UIDs; None: the same.

    Raises
    ------
    SaidOtherwise
    """
    before = kept.last(ticket.place)
    if before is None:
        raise SaidOtherwise("nothing is known of the objects that were made before: run it again")
    now = identified(run.source, run.findings, run.provenance)
    if sr.report_uid(now) in {one.sop_instance_uid for one in before.results.objects}:
        return None
    if before.said != run.said:
        raise SaidOtherwise(
            "the images or what reads them changed, and something else is found now than what was"
            " sent: run the job again to send that"
        )
    return before


def beside(before: Kept, run: Run, forms: Collection[ObjectKind], folder: Path) -> JobResults:
    """The objects as they are, and the forms that they lack, in the folder of the job."""
    there = {one.kind for one in before.results.objects}
    lacking = [one for one in forms if one not in there]

    def write(again: Path) -> JobResults:
        made = write_results(run.source, run.findings, run.provenance, again, lacking)
        return replace(made, objects=tuple(one for one in made.objects if one.kind in lacking))

    return _added(before, write, folder)


def summed_up_beside(before: Kept, write: Callable[[Path], JobResults], folder: Path) -> Kept:
    """The objects of a summary as they are, and what ``write`` makes besides, with what that was
    made from where the same run makes both. It speaks of the same ends of the same jobs: no other
    one has its key."""
    there = {_name(one): one.sop_instance_uid for one in before.results.objects}
    made_now: dict[str, str] = {}

    def lacking(again: Path) -> JobResults:
        made = write(again)
        made_now.update((_name(one), one.sop_instance_uid) for one in made.objects)
        fresh = tuple(one for one in made.objects if _name(one) not in there)
        return replace(made, objects=fresh)

    results = _added(before, lacking, folder)
    is_same_run = there.items() <= made_now.items()
    return replace(before, results=results, made_from={} if is_same_run else before.made_from)


def _added(before: Kept, write: Callable[[Path], JobResults], folder: Path) -> JobResults:
    """What was made before, with what ``write`` makes in a folder of its own."""
    with TemporaryDirectory() as scratch:
        again = Path(scratch) / folder.name
        made = write(again)
        for one in made.objects:
            shutil.move(again / _name(one), folder / _name(one))
    objects = (*before.results.objects, *made.objects)
    return replace(before.results, objects=objects, unmade=made.unmade)


def _name(one: ResultObject) -> str:
    """Of its file."""
    return one.key.rpartition("/")[2]
