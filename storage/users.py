"""Who may use the node: roles."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What somebody may do; each may what those before it may."""

    VIEWER = "viewer"
    """Reads studies, images and results."""
    OPERATOR = "operator"
    """Also acts: retries, cancels, releases, fetches, uploads."""
    ADMINISTRATOR = "administrator"
    """Also users, audit, settings, restrictions, deletion."""

    def includes(self, other: Role) -> bool:
        """Whether it may all that the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)
