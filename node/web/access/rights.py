"""What the settings add to a role: which studies it sees, and whether patients are named."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from node.config.restrictions import RestrictionSettings
from node.web.access.roles import Role, Who
from storage.people.users import folded
from storage.restriction import EVERYTHING, Origins, Restriction


@dataclass(frozen=True, slots=True)
class Rights:
    """Of all who log in, however they do."""

    names_for: Collection[str] = (Role.VIEWER, Role.OPERATOR)
    restrictions: Sequence[RestrictionSettings] = ()

    def __call__(self, asking: Who) -> Who:
        """The same with what the settings give; nobody stays nobody.

        An app password is given what its own role and its owner's both have: a person does not get
        beyond what he may see by making one of a lower role.
        """
        if asking.role is None:
            return asking
        own, lender = asking.role, asking.lent_by or asking.role
        sees = self.restriction_of(asking.name, own)
        return replace(
            asking,
            sees_names=own in self.names_for and lender in self.names_for,
            has_images=self._has_images(own) and self._has_images(lender),
            restriction=sees.within(self.restriction_of(asking.name, lender)),
        )

    def _has_images(self, role: Role) -> bool:
        return role in self.names_for or role is Role.ADMINISTRATOR

    def restriction_of(self, user: str, role: Role) -> Restriction:
        """The studies of every table that speaks of a user; all, where none does."""
        own = [
            Origins(one.ae_titles, one.institutions)
            for one in self.restrictions
            if one.role == role
            and (not one.users or folded(user) in {folded(name) for name in one.users})
        ]
        return Restriction(tuple(own)) if own else EVERYTHING
