"""What the settings add to a role: which studies it sees, and whether patients are named."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request

from node.config.restrictions import RestrictionSettings
from node.web.access.roles import Access, Role, Who
from storage.restriction import EVERYTHING, Origins, Restriction
from storage.users import folded


@dataclass(frozen=True, slots=True)
class Rights:
    """Of all who log in, however they do."""

    names_for: Collection[str] = (Role.VIEWER, Role.OPERATOR)
    restrictions: Sequence[RestrictionSettings] = ()

    def __call__(self, asking: Who) -> Who:
        """The same with what the settings give; nobody stays nobody."""
        if asking.role is None:
            return asking
        sees_names = asking.role in self.names_for
        return replace(
            asking,
            sees_names=sees_names,
            has_images=sees_names or asking.role is Role.ADMINISTRATOR,
            restriction=self.restriction_of(asking.name, asking.role),
        )

    def restriction_of(self, user: str, role: Role) -> Restriction:
        """The studies of every table that speaks of a user; all, where none does."""
        own = [
            Origins(one.ae_titles, one.institutions)
            for one in self.restrictions
            if one.role == role
            and (not one.users or folded(user) in {folded(name) for name in one.users})
        ]
        return Restriction(tuple(own)) if own else EVERYTHING


class Righted:
    """Tells who asks as another does, with what the settings give."""

    def __init__(self, access: Access, rights: Rights) -> None:
        self._access = access
        self._rights = rights

    async def identify(self, request: Request) -> Who:
        return self._rights(await self._access.identify(request))
