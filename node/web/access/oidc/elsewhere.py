"""Sessions of whoever has logged in at the provider: made here, and good while that is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from node.audit.events import Actor, Login, Outcome
from node.audit.trail import Trail
from node.clock import Clock
from node.config.oidc import OidcSettings
from node.web.access.oidc.attempt import Attempt
from node.web.access.oidc.errors import LoginFailed, NotAllowed
from node.web.access.oidc.exchange import host_of
from node.web.access.oidc.flow import Flow, Identified
from node.web.access.oidc.provider import Provider
from node.web.access.oidc.rechecking import Rechecking
from node.web.access.oidc.withdrawing import Withdrawing
from node.web.access.sessions import Opened, Place, Sessions
from storage.database import Database
from storage.people import users
from storage.people.users import LastAdministrator, User

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""So many wait for the provider at a time: while it does not answer, pages still do."""


class Busy(LoginFailed):
    """Too many wait for the provider."""


class Elsewhere:
    """Logins at the provider of the settings. Every method may wait for the provider."""

    def __init__(
        self,
        settings: OidcSettings,
        database: Database,
        sessions: Sessions,
        clock: Clock,
        trail: Trail,
    ) -> None:
        self._settings = settings
        self._flow = Flow(Provider(settings), clock)
        self.rechecking = Rechecking(self._flow, database, sessions, clock, trail)
        self._database = database
        self._sessions = sessions
        self._clock = clock
        self._trail = trail
        self._withdrawing = Withdrawing(settings, database, trail)
        self._waiting = threading.BoundedSemaphore(AT_ONCE)

    @property
    def label(self) -> str:
        """What the button says."""
        return self._settings.label

    @property
    def host(self) -> str:
        """The provider, in words."""
        return host_of(self._settings)

    def address(self, asked_as: str) -> str:
        """The node's own address, as browsers know it; ``asked_as`` where nothing says otherwise.

        It goes to the provider, which sends browsers to none that it does not know.
        """
        return self._settings.url or asked_as

    def begin(self, place: str, asked_as: str) -> tuple[Attempt, str]:
        """A new attempt, and where the browser goes.

        Raises
        ------
        LoginFailed
        """
        attempt = Attempt.begun(self._clock(), place)
        with self._turn():
            return attempt, self._flow.begin(attempt, self._back(asked_as))

    def end(
        self, attempt: Attempt | None, answer: Mapping[str, str], asked_as: str, place: Place
    ) -> Opened:
        """The session of whoever has come back.

        Raises
        ------
        LoginFailed, DatabaseUnavailable
        """
        try:
            with self._turn():
                found = self._flow.end(attempt, answer, self._back(asked_as))
            user = self._user(found)
        except LoginFailed as error:
            log.warning("provider_login_failed", reason=error.detail)
            actor = Actor("unknown", place.host, True)
            self._trail.record(Login(actor, Outcome.MINOR_FAILURE, error.detail))
            if isinstance(error, NotAllowed):
                self._withdrawing.lend_no_more(error, self._clock())
            raise
        opened = self._sessions.open(user, place, found.id_token)
        self.rechecking.remember(opened.id, found)
        actor = Actor(user.name, place.host, True)
        self._trail.record(Login(actor, Outcome.SUCCESS, f"by {self.host}"))
        return opened

    def goodbye(self, id_token: str, asked_as: str) -> str:
        """Where the browser is logged out there too; empty where nothing can be."""
        try:
            with self._turn():
                return self._flow.goodbye(id_token, f"{self.address(asked_as)}/login")
        except LoginFailed:
            return ""

    def _user(self, found: Identified) -> User:
        """Raises NotAllowed."""
        try:
            with self._database.write() as tx:
                user = users.of_provider(
                    tx, self._settings.issuer, found.subject, found.name, found.role, self._clock()
                )
        except LastAdministrator as error:
            raise NotAllowed(f"your role cannot change now: {error}", "the last one") from error
        if user.is_locked:
            raise NotAllowed("your account is locked here: ask who runs this node", "locked")
        self._sessions.forget()  # the role may be another one
        return user

    def _back(self, asked_as: str) -> str:
        return f"{self.address(asked_as)}/login/oidc/back"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._waiting.acquire(timeout=0.5):
            raise Busy(f"too many wait for {self.host}: try again in a moment")
        try:
            yield
        finally:
            self._waiting.release()
