"""A node's web application with login, and browsers before it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx

from node.audit.events import AuditEvent
from node.config.oidc import OidcSettings
from node.web.access import passwords
from node.web.access.first import FirstCode
from node.web.access.logins import Logins, lent
from node.web.access.oidc.elsewhere import Elsewhere
from node.web.access.sessions import Sessions
from node.web.access.signing_in import SigningIn
from node.web.app import create_app
from node.web.server import WebServer
from storage.people import users
from storage.people.users import Role
from tests.node.web.sites import Site

PASSWORD = "right horse battery"
HASH = passwords.hash_of(PASSWORD)
PAGE = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Origin": "null"}
"""As a browser sends the forms of pages that tell nobody where they are."""


@dataclass
class Told:
    """What was told to the audit trail."""

    events: list[AuditEvent] = field(default_factory=list)

    def record(self, event: AuditEvent) -> None:
        self.events.append(event)


@dataclass
class House:
    """The application; ``port`` serves it."""

    site: Site
    logins: Logins
    first: FirstCode
    told: Told
    port: int = 0
    browsers: list[httpx.Client] = field(default_factory=list)
    now: datetime = datetime(2030, 5, 4, 12, tzinfo=UTC)

    def add(self, name: str, role: Role = Role.VIEWER) -> None:
        with self.site.database.write() as tx:
            users.add(tx, name, role, HASH, self.now)

    def pass_time(self, **of: float) -> None:
        self.now += timedelta(**of)
        self.logins.sessions.forget()

    def browser(self, **headers: str) -> httpx.Client:
        base = f"http://127.0.0.1:{self.port}"
        made = httpx.Client(base_url=base, headers={**PAGE, **headers}, timeout=60)
        self.browsers.append(made)
        return made

    def logged_in(self, name: str) -> httpx.Client:
        client = self.browser()
        answer = log_in(client, name)
        assert answer.status_code == 303, answer.text
        return client


def log_in(
    client: httpx.Client, name: str, password: str = PASSWORD, **more: str
) -> httpx.Response:
    return client.post("/login", data={"name": name, "password": password, **more})


def token_of(client: httpx.Client, path: str = "/sessions") -> str:
    """The token of the forms of whoever is logged in."""
    (found,) = re.findall('<meta name="token" content="([^"]+)">', client.get(path).text)
    return str(found)


@contextmanager
def open_house(site: Site, oidc: OidcSettings | None = None) -> Iterator[House]:
    """With ``oidc`` people log in by a provider too."""
    made: list[House] = []

    def clock() -> datetime:
        return made[0].now if made else House.now

    told = Told()
    sessions = Sessions(site.database, clock, told)
    first = FirstCode(clock)
    logins = Logins(
        sessions,
        SigningIn(site.database, sessions, clock, told),
        first,
        others=(lent(oidc, site.database, clock, told),),
        elsewhere=Elsewhere(oidc, site.database, sessions, clock, told) if oidc else None,
    )
    assert site.context is not None
    made.append(House(site, logins, first, told))
    context = replace(site.context, access=logins, logins=logins, audit=told)
    server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
    server.start()
    made[0].port = server.port
    yield made[0]
    for browser in made[0].browsers:
        browser.close()
    server.stop()
