"""The login of a node: who asks, by session, or by what else can tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from starlette.requests import Request

from node.audit.trail import Trail
from node.clock import Clock
from node.config.oidc import OidcSettings
from node.config.settings import Settings
from node.web.access.app_passwords import AppPasswords
from node.web.access.first import FirstCode
from node.web.access.oidc.elsewhere import Elsewhere
from node.web.access.rights import Rights
from node.web.access.roles import NOBODY, Access, Who
from node.web.access.sessions import Sessions
from node.web.access.signing_in import SigningIn
from storage.database import Database
from storage.people import users
from storage.people.app_passwords import UNSEEN


def logins(database: Database, settings: Settings, clock: Clock, trail: Trail) -> Logins:
    """Of a node; with a code for the first administrator where there is none.

    Raises
    ------
    DatabaseUnavailable
    """
    sessions = Sessions(database, clock, trail)
    with database.read() as tx:
        first = None if users.has_administrator(tx) else FirstCode(clock)
    oidc = settings.http.oidc
    signing_in = SigningIn(database, sessions, clock, trail)
    signing_in.remember()
    return Logins(
        sessions,
        signing_in,
        first,
        others=(lent(oidc, database, clock, trail),),
        elsewhere=Elsewhere(oidc, database, sessions, clock, trail) if oidc else None,
        rights=Rights(settings.http.names_for, settings.restrictions),
    )


def lent(oidc: OidcSettings | None, database: Database, clock: Clock, trail: Trail) -> AppPasswords:
    """What machines and desktop viewers are let in by."""
    unseen = timedelta(days=oidc.app_passwords_rest_days) if oidc else UNSEEN
    return AppPasswords(database, clock, trail, unseen)


@dataclass(frozen=True, slots=True)
class Logins:
    """What pages of login need, and who asks."""

    sessions: Sessions
    signing_in: SigningIn
    first: FirstCode | None = None
    """None: there is an administrator."""
    others: tuple[Access, ...] = ()
    """Those who can tell by something else than a session."""
    elsewhere: Elsewhere | None = None
    """The provider of accounts; None: there are the node's own users alone."""
    rights: Rights = field(default_factory=Rights)
    """What the settings give to whoever was told."""

    async def identify(self, request: Request) -> Who:
        for one in (self.sessions, *self.others):
            found = await one.identify(request)
            if found.role is not None:
                return self.rights(found)
        return NOBODY
