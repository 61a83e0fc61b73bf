"""Whether a destination is there, and what it would take, asked at this moment: nothing is sent."""

from __future__ import annotations

from node.clock import Clock
from node.config.destinations import AnyDestination
from node.delivery import known
from node.delivery.prospects import prospects
from node.delivery.targets.made import target_of
from node.delivery.targets.port import Telling
from node.dimse.errors import PeerUnavailable
from node.errors import NodeError
from node.wishes import DestinationTried, Taken
from storage.errors import StorageError

IN_WORDS = {
    Telling.ALL: "it takes whatever it is given",
    Telling.THESE: "it has said what it takes",
    Telling.UNTOLD: "it does not say what it takes: its answer to each object counts",
}
_PROVED = {"dimse": "answers C-ECHO", "stow": "answers STOW-RS", "folder": "takes files"}


def try_destination(
    destination: AnyDestination, own_ae_title: str, clock: Clock
) -> DestinationTried:
    """C-ECHO and a negotiation, a STOW-RS request without an instance, or a file that goes again;
    what went wrong is said in its own words.
    """
    name = destination.name
    try:
        target = target_of(destination, own_ae_title)
        seconds = target.probe()
        able = known.ask(target, clock())
    except (PeerUnavailable, NodeError, StorageError) as error:
        return DestinationTried(name, False, str(error))
    takes = tuple(
        Taken(one.name, one.sop_classes, one.syntaxes, one.why_not)
        for one in prospects(able, known.wish_of(destination))
    )
    words = f"{_PROVED[destination.kind]} in {seconds * 1000:.0f} ms; {_told(able.telling)}"
    return DestinationTried(name, True, words, seconds, takes)


def _told(telling: str) -> str:
    return IN_WORDS[Telling(telling)]
