"""The associations of all receiver processes: who has a place, and which studies they bring."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from node.dimse.association import admission
from node.dimse.receivers.process import PlaceWanted
from node.dimse.wire.rejections import Rejection


@dataclass(slots=True)
class _Place:
    wanted: PlaceWanted
    receiver: str
    is_over: bool = False
    """Its receiver is gone; what it brought is not all in the index yet."""
    studies: set[str] = field(default_factory=set)


class Places:
    """Gives places within the limits that hold for all processes together. Any thread may call."""

    def __init__(self, most: int, most_per_host: int) -> None:
        self._most = most
        self._most_per_host = most_per_host
        self._lock = threading.Lock()
        self._taken: dict[str, _Place] = {}

    def take(self, receiver: str, wanted: PlaceWanted) -> Rejection | None:
        """Give an association of a receiver its place, or say which limit it breaks."""
        with self._lock:
            if not wanted.is_probe:
                hosts = [
                    one.wanted.host
                    for one in self._taken.values()
                    if not (one.wanted.is_probe or one.is_over)
                ]
                rejection = admission.within_limits(
                    hosts, wanted.host, self._most, self._most_per_host
                )
                if rejection is not None:
                    return rejection
            self._taken[wanted.session_id] = _Place(wanted, receiver)
            return None

    def touch(self, session_id: str, study_instance_uid: str) -> None:
        """An association brings a study."""
        with self._lock:
            place = self._taken.get(session_id)
            if place is not None:
                place.studies.add(study_instance_uid)

    def leave(self, session_id: str) -> None:
        """An association is over."""
        with self._lock:
            self._taken.pop(session_id, None)

    def end_all(self, receiver: str) -> None:
        """A receiver is gone, with all its associations; their studies stay open until it is known
        what of them had been acknowledged (``leave_all``).
        """
        with self._lock:
            for place in self._taken.values():
                if place.receiver == receiver:
                    place.is_over = True

    def leave_all(self, receiver: str) -> None:
        """All that a receiver had acknowledged before it went is in the index."""
        with self._lock:
            self._taken = {
                name: one for name, one in self._taken.items() if one.receiver != receiver
            }

    def receiver_of(self, session_id: str) -> str:
        """The receiver that has an association; empty when it is over."""
        with self._lock:
            place = self._taken.get(session_id)
            return place.receiver if place and not place.is_over else ""

    def of_peer(self, calling_ae: str, host: str) -> list[str]:
        """The ids of a peer's associations, newest first."""
        with self._lock:
            found = [
                name
                for name, one in self._taken.items()
                if not one.is_over
                and one.wanted.calling_ae == calling_ae
                and one.wanted.host == host
            ]
        return found[::-1]

    def studies(self) -> set[str]:
        """The study instance UIDs that associations have brought."""
        with self._lock:
            return {uid for one in self._taken.values() for uid in one.studies}
