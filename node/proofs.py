"""What each part that waits for others does to prove that it works: a small real thing.

Parts that work of themselves prove it by doing so (``node.loop``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from node.clock import Clock
from node.config.settings import Settings
from node.dimse.scu import sender
from node.errors import AlreadyRunning
from node.loop import Loop
from node.observe.health import Health
from storage.database import Database

EVERY_S = 15.0
WORKERS_S = 120.0
"""How long it may take until every idle worker has answered."""


def loops(proofs: Mapping[str, Callable[[], None]], health: Health, every_s: float) -> list[Loop]:
    """One for each part, each in a thread of its own: one that hangs hides no other."""
    works_s = {"workers": WORKERS_S}
    return [
        Loop(prove, health.part(name, works_s=works_s.get(name, 60.0)), every_s)
        for name, prove in proofs.items()
    ]


def prove_listener(settings: Settings, port: Callable[[], int], own_ae_title: str) -> None:
    """C-ECHO to the node's own port.

    own_ae_title: the node calls itself by it; it is counted by no limit.

    Raises
    ------
    PeerUnavailable
    """
    host = settings.dimse.plain_host
    here = "127.0.0.1" if host in {"0.0.0.0", ""} else host
    title = settings.node.ae_title
    sender.echo(sender.Peer("self", title, here, port(), calling_ae=own_ae_title))


def prove_database(database: Database, clock: Clock) -> None:
    """A row is written and read back."""
    database.prove(clock())


def prove_lock(database: Database, step_down: Callable[[], None]) -> None:
    """This is still the one node of its database; if not, its work is left to the other.

    Raises
    ------
    AlreadyRunning
    """
    if not database.keep_dispatcher_lock():
        step_down()
        raise AlreadyRunning("another node dispatches on this database now; restart this one")
