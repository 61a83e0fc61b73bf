"""What the results of a job were made from: all of it, so that they can be made again.

Kept in the record beside the results (``node.results.kept``). Images are named by UID and digest,
never by what they show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any

from analyzers.contract import Code, ParameterValues
from node.results import identity
from node.results.modules.source import HierarchicalReference, Maker
from node.work import above
from node.work.executor import Input, Notice, Ticket, Verdict
from storage.files.blobs import Blob
from storage.files.port import Readable
from storage.kinds import ObjectKind


@dataclass(frozen=True, slots=True)
class Heard:
    """Another job's findings that went in."""

    analyzer: str
    key: str
    """Below the folder of results; empty where it lay elsewhere."""
    sha256: str
    """Empty where they were no longer kept."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """See ``Ticket`` for what is not explained here."""

    analyzer: str
    analyzer_version: str
    title: str
    family: Code | None
    weights: str
    parameters: ParameterValues
    key: str
    inputs: tuple[Input, ...]
    heard: tuple[Heard, ...]
    started_at: datetime
    predecessor: HierarchicalReference | None
    earlier: Heard | None
    """What the predecessor had reported."""
    maker: Maker
    notice: Notice | None
    """The report that there is no result was all that was asked for."""
    notices: bool
    forms: tuple[ObjectKind, ...]
    device: str
    """The kind of device, without its number."""
    node_version: str
    utc_offset: str
    """The machine's, which dates objects of images that name none: "+0100"."""
    decoders: tuple[str, ...]
    writers: tuple[str, ...]
    missing: str = ""
    part: str = ""
    volume_of: tuple[int, int] | None = None
    above: Mapping[str, Any] = field(default_factory=dict)
    """What the node itself was to write of a study (``node.work.above``)."""

    def all_heard(self) -> tuple[Heard, ...]:
        """Every other job's findings that went in."""
        return (*self.heard, *((self.earlier,) if self.earlier else ()))

    def content(self) -> dict[str, Any]:
        """As it is kept: plain values for JSON."""
        plain = asdict(self) | {"started_at": self.started_at.isoformat()}
        return {**plain, "inputs": [[one.role, one.sop_instance_uid, one.sha256]
                                    for one in self.inputs]}  # fmt: skip


def of(ticket: Ticket, device: str, decoders: tuple[str, ...]) -> Manifest:
    """What a ticket was run with, here and now."""
    return Manifest(
        analyzer=ticket.analyzer,
        analyzer_version=ticket.analyzer_version,
        title=ticket.title,
        family=ticket.family,
        weights=ticket.weights,
        parameters=ticket.parameters,
        key=ticket.key,
        inputs=ticket.inputs,
        heard=tuple(_heard(*one) for one in ticket.reported),
        started_at=ticket.started_at,
        predecessor=ticket.predecessor,
        earlier=_heard(*ticket.earlier) if ticket.earlier else None,
        maker=ticket.maker,
        notice=ticket.notice,
        notices=ticket.notices,
        forms=ticket.forms,
        device=device.partition(":")[0],
        node_version=version("wetread"),
        utc_offset=f"{ticket.started_at.astimezone():%z}",
        decoders=decoders,
        writers=identity.writers(),
        missing=ticket.missing,
        part=ticket.part,
        volume_of=ticket.volume_of,
        above=above.content(ticket.above),
    )


def _heard(analyzer: str, file: Readable) -> Heard:
    return Heard(analyzer, file.key if isinstance(file, Blob) else "", digest_of(file))


_SINCE: Mapping[str, Any] = {"missing": "", "part": "", "volume_of": None, "above": {}}
"""What an older node did not keep."""


def read(content: Mapping[str, Any]) -> Manifest | None:
    """From the record; None where it was written by a node that kept none, or is damaged."""
    try:
        names = Manifest.__dataclass_fields__.keys() - _SINCE.keys()
        given = {name: content[name] for name in names}
        given |= {name: content.get(name, usual) for name, usual in _SINCE.items()}
        return Manifest(**{**given, **_typed(given)})
    except (KeyError, TypeError, ValueError):
        return None


def _typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON has no type for."""
    notice, before = given["notice"], given["predecessor"]
    return {
        "family": Code(**given["family"]) if given["family"] else None,
        "inputs": tuple(Input(*one) for one in given["inputs"]),
        "heard": tuple(Heard(**one) for one in given["heard"]),
        "started_at": datetime.fromisoformat(given["started_at"]),
        "predecessor": HierarchicalReference(**before) if before else None,
        "volume_of": tuple(given["volume_of"]) if given["volume_of"] else None,
        "earlier": Heard(**given["earlier"]) if given["earlier"] else None,
        "maker": Maker(**given["maker"]),
        "notice": Notice(Verdict(notice["verdict"]), tuple(notice["reasons"])) if notice else None,
        "forms": tuple(ObjectKind(one) for one in given["forms"]),
        "decoders": tuple(given["decoders"]),
        "writers": tuple(given["writers"]),
    }


def digest_of(file: Readable) -> str:
    """SHA-256; empty where there is nothing any more."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
