"""Results made again from their manifest: the same bytes, or what differs and why.

Nothing of what is kept is touched: what is made again goes into a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from analyzers import registry
from analyzers.contract import AnalyzerError, Limits
from node.errors import NodeError
from node.results.kept import Kept
from node.work import above, manifest
from node.work.executor import Input, Outcome, Ticket
from node.work.manifest import Manifest
from storage.files.blobs import Blob
from storage.files.port import Blobs, JobPlace
from storage.records import ResultObject, StoredInstance

UNKNOWN = "nothing that is known differs: the analyzer does not answer twice the same"


class CannotReproduce(NodeError):
    """The results cannot be made again; the message says which condition is not met."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is here now: the images by UID and their bytes, and the results of jobs."""

    images: Mapping[str, StoredInstance]
    instances: Blobs
    results: Blobs


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that is not the same.

    elements: paths of those that differ, without values; uids: so many more hold UIDs, which
        follow from the run. ``is_made``: false where no such object is made any more.
    """

    name: str
    elements: tuple[str, ...] = ()
    uids: int = 0
    is_made: bool = True


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of it; the same bytes where there are no differences."""

    objects: int
    differences: tuple[Difference, ...]
    reasons: tuple[str, ...]


# --- the ticket -----------------------------------------------------------------------------------


def ticket_of(made: Manifest, stored: Stored, place: JobPlace) -> Ticket:
    """The ticket that makes the results again.

    Raises
    ------
    CannotReproduce
        The analyzer, its version, its model, or an image is not here.
    """
    _require_analyzer(made)
    _require_images(made, stored)
    own, beside = _blobs(made, stored)
    wanted = above.read(made.above, stored.results)
    ticket = Ticket(
        job_id=0,
        key=made.key,
        analyzer=made.analyzer,
        analyzer_version=made.analyzer_version,
        parameters=made.parameters,
        instances=own,
        place=place,
        started_at=made.started_at,
        limits=Limits() if made.notice or wanted else registry.info(made.analyzer).limits,
        predecessor=made.predecessor,
        earlier=_earlier(made, stored),
        companions=beside,
        reported=tuple((one.analyzer, Blob(stored.results, one.key)) for one in made.heard),
        notices=made.notices,
        title=made.title,
        family=made.family,
        maker=made.maker,
        inputs=_inputs_now(made, stored),
        weights=made.weights,
        forms=made.forms,
        missing=made.missing,
        part=made.part,
        volume_of=made.volume_of,
        above=wanted,
        is_kept=False,
    )
    return ticket.as_notice(made.notice.verdict, made.notice.reasons) if made.notice else ticket


def _earlier(made: Manifest, stored: Stored) -> tuple[str, Blob] | None:
    before = made.earlier
    return (before.analyzer, Blob(stored.results, before.key)) if before and before.key else None


def _require_analyzer(made: Manifest) -> None:
    """Nothing is asked of it where only a report is written that there is no result, or the node
    itself writes."""
    if made.notice is not None or made.above:
        return
    try:
        info = registry.info(made.analyzer)
    except AnalyzerError as error:
        raise CannotReproduce(f"the analyzer is not here: {error}") from error
    if info.version != made.analyzer_version:
        raise CannotReproduce(
            f"{made.analyzer} {made.analyzer_version} made them, {info.version} is installed"
        )
    if info.weights != made.weights:
        raise CannotReproduce(f"the model of {made.analyzer} was trained anew since")


def _require_images(made: Manifest, stored: Stored) -> None:
    missing = sum(one.sop_instance_uid not in stored.images for one in made.inputs)
    if missing:
        raise CannotReproduce(f"{missing} of {len(made.inputs)} images are no longer stored")


def _blobs(made: Manifest, stored: Stored) -> tuple[tuple[Blob, ...], dict[str, tuple[Blob, ...]]]:
    """The images of the analyzed series, and those of the others by role."""
    roles: dict[str, list[Blob]] = {"": []}
    for one in made.inputs:
        key = stored.images[one.sop_instance_uid].key
        roles.setdefault(one.role, []).append(Blob(stored.instances, key))
    found = {role: tuple(blobs) for role, blobs in roles.items()}
    return found.pop(""), found


def _inputs_now(made: Manifest, stored: Stored) -> tuple[Input, ...]:
    return tuple(
        Input(one.role, one.sop_instance_uid, stored.images[one.sop_instance_uid].sha256)
        for one in made.inputs
    )


# --- what came of it ------------------------------------------------------------------------------


def compared(
    known: Kept, made: Manifest, ticket: Ticket, again: Outcome, device: str, kept_in: Path
) -> Reproduction:
    """What was made again beside what was made.

    kept_in: the folder of the job's results. device: that of now, resolved.
    """
    then = {_name(one): one for one in known.results.objects}
    now = {_name(one): one for one in again.results.objects}
    folder = _folder(ticket)
    differences = tuple(
        _difference(name, kept_in / name, folder / name if name in now else None)
        for name in dict.fromkeys((*then, *now))
        if name not in now or name not in then or then[name].sha256 != now[name].sha256
    )
    reasons = tuple(_reasons(known, made, ticket, again, device))
    if differences and not reasons:
        reasons = (UNKNOWN,)
    return Reproduction(len(then), differences, reasons if differences else ())


def _name(one: ResultObject) -> str:
    return one.key.rpartition("/")[2]


def _folder(ticket: Ticket) -> Path:
    with ticket.place.making() as folder:
        return folder


def _reasons(
    known: Kept, made: Manifest, ticket: Ticket, again: Outcome, device: str
) -> Iterator[str]:
    if again.verdict != known.verdict:
        yield f"the job ended as {known.verdict!r}, and ends now as {again.verdict.value!r}"
    changed = len(set(made.inputs) - set(ticket.inputs))
    if changed:
        yield f"{changed} of {len(made.inputs)} images have other bytes now"
    here = manifest.of(ticket, device, again.decoders)
    for was, now in zip(made.all_heard(), here.all_heard(), strict=True):
        if was.sha256 != now.sha256:
            yield f"{was.analyzer}, whose findings went in, found something else since"
    for what, was_, now_ in (
        ("Wetread", made.node_version, here.node_version),
        ("the device", made.device, here.device),
        ("the machine's time zone", made.utc_offset, here.utc_offset),
        ("what decodes pixels", "; ".join(made.decoders), "; ".join(here.decoders)),
    ):
        if was_ != now_:
            yield f"{what} was {was_ or 'unknown'}, and is {now_ or 'unknown'}"
    for lost in sorted(set(made.writers) - set(here.writers)):
        yield f"{lost} had a hand in it, and is not here"


def _difference(name: str, was: Path, is_now: Path | None) -> Difference:
    if is_now is None:
        return Difference(name, is_made=False)
    if not was.is_file():
        return Difference(name)
    paths: list[str] = []
    uids = 0
    for path, holds_uid in _differing(pydicom.dcmread(was), pydicom.dcmread(is_now)):
        uids += holds_uid
        if not holds_uid:
            paths.append(path)
    return Difference(name, tuple(paths), uids)


def _differing(one: Dataset, other: Dataset, above: str = "") -> Iterator[tuple[str, bool]]:
    """The paths of elements that differ, and whether they hold UIDs."""
    for tag in sorted({*one.keys(), *other.keys()}):
        mine, theirs = one.get(tag), other.get(tag)
        present = mine or theirs
        path = f"{above}{present.keyword or present.tag}" if present else f"{above}{tag}"
        if mine is None or theirs is None or mine.VR != theirs.VR:
            yield path, False
        elif mine.VR == "SQ" and len(mine.value) == len(theirs.value):
            for number, pair in enumerate(zip(mine.value, theirs.value, strict=True), start=1):
                yield from _differing(*pair, f"{path}[{number}]/")
        elif mine.value != theirs.value:
            yield path, mine.VR == "UI"


def in_words(found: Reproduction, most: int = 20) -> Sequence[str]:
    """For a person; no more than ``most`` elements of each object are named."""
    if not found.differences:
        return [f"same bytes: {found.objects} objects"]
    lines = [f"not the same: {len(found.differences)} objects of {found.objects}"]
    lines += [f"because {reason}" for reason in found.reasons]
    return [*lines, *(_line(one, most) for one in found.differences)]


def _line(one: Difference, most: int) -> str:
    if not one.is_made:
        return f"{one.name}: is not made any more"
    parts = list(one.elements[:most])
    if len(one.elements) > most:
        parts.append(f"{len(one.elements) - most} more")
    if one.uids:
        parts.append(f"{one.uids} UIDs, which follow from the run")
    return f"{one.name}: {', '.join(parts) or 'cannot be compared, its file is gone'}"
