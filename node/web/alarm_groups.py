"""Open alarms by what they come to: what differs only in numbers, names and the job is one group.

A person reads and acknowledges a group; its members are listed below it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from node.web import alarms
from node.web.alarms import Alarm
from storage import open_alarms
from storage.database import Transaction
from storage.open_alarms import AlarmKind
from storage.records import Topic

MEMBERS = 20
"""Members of a group that are listed; the newest."""
_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8,}\b|\d[\d.,:]*|\b\w+[-_]\w*\d\w*(\.\w+)?\b")


@dataclass(frozen=True, slots=True)
class AlarmGroup:
    """Alarms that come to the same. ``id``, ``at`` and ``reason`` are the newest one's."""

    key: str
    id: int
    at: datetime
    title: str
    reason: str
    count: int
    members: tuple[Alarm, ...]

    @property
    def more(self) -> int:
        """Alarms that are not listed."""
        return self.count - sum(one.count for one in self.members)


def read(tx: Transaction) -> tuple[AlarmGroup, ...]:
    """What nobody has acknowledged, the group of the newest first."""
    groups = _grouped(tx)
    listed = [one for members in groups.values() for one in members[:MEMBERS]]
    shown = {one.id: one for one in alarms.of_kinds(tx, listed)}
    return tuple(
        AlarmGroup(
            key=key,
            id=members[0].id,
            at=members[0].at,
            title=_title(members, shown[members[0].id]),
            reason=members[0].reason,
            count=sum(one.number for one in members),
            members=tuple(shown[one.id] for one in members[:MEMBERS]),
        )
        for key, members in groups.items()
    )


def acknowledge(tx: Transaction, key: str, newest: int) -> int:
    """Acknowledge a group as it was drawn, up to its newest alarm; gives how many those were."""
    return open_alarms.acknowledge_kinds(tx, _grouped(tx).get(key, []), newest)


def _grouped(tx: Transaction) -> dict[str, list[AlarmKind]]:
    kinds = open_alarms.kinds(tx)
    analyzers = open_alarms.analyzers_of(tx, {one.job_id for one in kinds if one.job_id})
    groups: dict[str, list[AlarmKind]] = {}
    for one in kinds:
        groups.setdefault(_key(one, analyzers.get(one.job_id, "")), []).append(one)
    return groups


def _key(one: AlarmKind, analyzer: str) -> str:
    about = one.destination or analyzer
    text = "\n".join((one.subject, one.to_state, about, _VARIES.sub("#", one.reason)))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _title(members: list[AlarmKind], newest: Alarm) -> str:
    """As the newest is called, or what several have in common."""
    first = members[0]
    if len(members) == 1:
        return newest.text
    if first.subject is Topic.DELIVERY and first.destination:
        return f"Deliveries to {first.destination} failed"
    if first.subject is Topic.JOB:
        return f"Jobs {first.to_state}"
    if first.subject is Topic.INSTANCE:
        return f"Images {first.to_state}"
    return "Studies" if first.subject is Topic.STUDY else newest.text
