"""What a destination gets, as the page shows it: told by whoever delivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from storage.abilities import KnownAbilities


class Prospect(Protocol):
    """Of one kind of objects."""

    @property
    def name(self) -> str: ...

    @property
    def why_not(self) -> str:
        """Why it does not go; empty where it does."""


Expected = Callable[[KnownAbilities], Sequence[Prospect]]
"""What a destination gets, by what it takes."""


def nothing_expected(able: KnownAbilities) -> Sequence[Prospect]:
    """Nobody delivers."""
    return ()
