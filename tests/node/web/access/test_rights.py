"""What the settings give to a person, and to an app password that he lends."""

from __future__ import annotations

from node.config.restrictions import RestrictionSettings
from node.web.access.rights import Rights
from node.web.access.roles import NOBODY, Role, Who
from storage.restriction import EVERYTHING

OPERATORS = RestrictionSettings(role="operator", ae_titles=("CT1",))
VIEWERS = RestrictionSettings(role="viewer", institutions=("North Clinic",))


def lent(owner: Role, role: Role) -> Who:
    return Who("ann", role, lent_by=owner)


def test_an_app_password_of_a_lower_role_sees_no_more_studies_than_its_owner() -> None:
    rights = Rights(restrictions=(OPERATORS,))
    own = rights(Who("ann", Role.OPERATOR)).restriction
    assert own != EVERYTHING
    assert rights(lent(Role.OPERATOR, Role.VIEWER)).restriction == own
    assert rights(Who("vic", Role.VIEWER)).restriction == EVERYTHING


def test_an_app_password_sees_no_more_studies_than_its_own_role() -> None:
    rights = Rights(restrictions=(OPERATORS, VIEWERS))
    viewer = rights(Who("vic", Role.VIEWER)).restriction
    assert rights(lent(Role.ADMINISTRATOR, Role.VIEWER)).restriction == viewer
    both = rights(lent(Role.OPERATOR, Role.VIEWER)).restriction
    assert both == viewer.within(rights(Who("ann", Role.OPERATOR)).restriction)


def test_an_app_password_is_shown_names_and_images_where_its_owner_is_too() -> None:
    rights = Rights(names_for=("viewer",))
    assert not rights(lent(Role.OPERATOR, Role.VIEWER)).has_images
    assert not rights(lent(Role.OPERATOR, Role.VIEWER)).sees_names
    assert rights(lent(Role.VIEWER, Role.VIEWER)).has_images
    assert rights(lent(Role.ADMINISTRATOR, Role.VIEWER)).has_images
    assert not rights(lent(Role.ADMINISTRATOR, Role.VIEWER)).sees_names


def test_nobody_stays_nobody() -> None:
    assert Rights()(NOBODY) == NOBODY
