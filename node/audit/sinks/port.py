"""What every place that has the trail can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.errors import NodeError
from storage.audit import KeptMessage


class RepositoryAway(NodeError):
    """Not all that was handed over is known to have arrived: it will be handed over again."""


class Sink(Protocol):
    """A place that has the trail too."""

    @property
    def name(self) -> str:
        """As the settings say; how far it has the trail is kept under it."""

    def send(self, messages: Sequence[KeptMessage]) -> None:
        """All of them have arrived, in their order.

        Raises
        ------
        RepositoryAway
        """

    def probe(self) -> float:
        """It could be handed something to; the seconds that took. Nothing is.

        Raises
        ------
        RepositoryAway
        """
