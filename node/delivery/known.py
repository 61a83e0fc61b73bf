"""What a destination takes, as far as is known: asked for, kept with its age, asked for anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from node.config.destinations import DestinationSettings
from node.config.sent import AUTO
from node.delivery import profile
from node.delivery.kinds import ROWS
from node.delivery.profile import Takes, Wish
from node.delivery.targets.port import Abilities, Target, Telling
from storage import abilities
from storage.abilities import KnownAbilities
from storage.database import Database, Transaction
from storage.kinds import ObjectKind

ASKED_EVERY = timedelta(minutes=10)
"""How old what is known of a destination may be when something is sent."""
SOP_CLASSES = tuple(
    dict.fromkeys(str(uid) for row in ROWS for uid in (*row.sop_classes, *row.others))
)
"""Those that a destination is asked for, whatever is to be sent."""


def wish_of(destination: DestinationSettings) -> Wish:
    """What the settings want to be sent."""
    send = (AUTO,) if destination.send == AUTO else destination.send
    return Wish(
        frozenset(ObjectKind(one) for one in send if one != AUTO),
        is_auto=AUTO in send,
        regions=destination.sr == "regions",
    )


def ask(target: Target, at: datetime) -> KnownAbilities:
    """Negotiate what a destination takes; nothing is sent.

    Raises
    ------
    PeerUnavailable
    """
    told = target.abilities(SOP_CLASSES)
    return KnownAbilities(target.name, at, told.telling.value, told.accepted)


def up_to_date(database: Database, target: Target, at: datetime) -> KnownAbilities:
    """What it takes: as it is known, or as it says now where that is old.

    Raises
    ------
    PeerUnavailable, DatabaseUnavailable
    """
    with database.read() as tx:
        known = abilities.get(tx, target.name)
    if known is not None and at - known.asked_at < ASKED_EVERY:
        return known
    fresh = ask(target, at)
    with database.write() as tx:
        abilities.put(tx, fresh)
    return fresh


def takes_of(known: KnownAbilities) -> Takes:
    """Whether a destination takes an object, by all that is known.

    What it was not asked for is offered: its answer tells.
    """
    told = Abilities(Telling(known.telling), known.accepted)

    def takes(sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        if sop_class_uid in known.refused:
            return False
        return sop_class_uid not in SOP_CLASSES or told.takes(sop_class_uid, transfer_syntax_uid)

    return takes


def forms_wanted(
    tx: Transaction, destinations: Iterable[str], wishes: Mapping[str, Wish]
) -> tuple[ObjectKind, ...]:
    """The further forms that some destinations may need of a job that is to be run."""
    needed: set[ObjectKind] = set()
    for name in destinations:
        known = abilities.get(tx, name)
        takes = None if known is None else takes_of(known)
        needed |= profile.forms_needed(takes, wishes.get(name, profile.AUTO))
    return tuple(sorted(needed, key=lambda kind: kind.rank))
