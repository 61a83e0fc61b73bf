"""Asks the provider again what they may who have logged in there: groups are taken from people.

While the provider does not answer nothing changes. Refresh tokens are kept in memory alone: who
reads the database gets none, and after a restart a session is one without.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from node.audit.events import Actor, Right, RightsChanged
from node.audit.trail import Trail
from node.clock import Clock
from node.web.access.oidc.errors import LoginEnded, NotAllowed, NotBelieved, ProviderAway
from node.web.access.oidc.exchange import host_of
from node.web.access.oidc.flow import Flow, Identified
from node.web.access.oidc.withdrawing import Withdrawing
from node.web.access.sessions import Sessions
from storage.database import Database
from storage.people import sessions, users
from storage.people.sessions import Session
from storage.people.users import LastAdministrator, Role

log = structlog.get_logger(__name__)

UNCHECKED = timedelta(hours=1)
"""So long a session goes on that cannot be asked about."""
A_STEP = 10
"""Sessions that are asked about at one go."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a session here. refresh_token: empty: it cannot be asked about."""

    subject: str
    refresh_token: str
    checked_at: datetime


class Rechecking:
    """Of the sessions of one provider. ``remember`` may be called from any thread."""

    def __init__(
        self,
        flow: Flow,
        database: Database,
        open_sessions: Sessions,
        clock: Clock,
        trail: Trail,
    ) -> None:
        self._flow = flow
        self._issuer = flow.settings.issuer
        self._every = timedelta(minutes=flow.settings.recheck_minutes)
        self._database = database
        self._sessions = open_sessions
        self._clock = clock
        self._trail = trail
        self._provider = Actor(host_of(flow.settings))
        self._began_at = clock()
        self._withdrawing = Withdrawing(flow.settings, database, trail)
        self._lock = threading.Lock()
        self._known: dict[int, _Known] = {}
        self._is_away = False

    @property
    def is_wanted(self) -> bool:
        return self._every > timedelta(0)

    def remember(self, session_id: int, found: Identified) -> None:
        """A session that has begun."""
        with self._lock:
            self._known[session_id] = _Known(found.subject, found.refresh_token, self._clock())

    def step(self) -> bool:
        """Ask about those whose time has come; true where there are more."""
        due = self._due()
        try:
            for one in due[:A_STEP]:
                self._check(one)
        except ProviderAway as error:
            if not self._is_away:
                log.warning("provider_not_asked_again", reason=error.detail)
            self._is_away = True
            return False
        if due:
            self._is_away = False
        return len(due) > A_STEP

    def _due(self) -> list[Session]:
        """Those that were looked at longest ago first."""
        with self._lock:
            known_before = set(self._known)
        with self._database.look() as tx:
            going_on = sessions.of_provider(tx, self._issuer)
        with self._lock:
            for over in known_before - {one.id for one in going_on}:
                del self._known[over]
            due_at = [(self._due_at(one), one.id, one) for one in going_on]
        return [one for at, _, one in sorted(due_at) if at <= self._clock()]

    def _due_at(self, one: Session) -> datetime:
        known = self._known.get(one.id)
        if known is None:
            return max(one.created_at, self._began_at) + UNCHECKED
        return known.checked_at + (self._every if known.refresh_token else UNCHECKED)

    def _check(self, one: Session) -> None:
        """Raises ProviderAway."""
        known = self._known.get(one.id)
        if known is None or not known.refresh_token:
            self._flow.reach()
            self._end(one, "it could not be asked about at the provider")
            return
        try:
            renewed = self._flow.renewed(known.refresh_token, known.subject)
        except (NotAllowed, LoginEnded) as error:
            self._end(one, error.detail)
            if isinstance(error, NotAllowed):
                self._withdrawing.lend_no_more(error, self._clock())
        except NotBelieved as error:
            log.warning("provider_answer_not_believed", reason=error.detail)
            self._keep(one.id, replace(known, refresh_token=""))
        else:
            token = renewed.refresh_token
            self._keep(one.id, replace(known, refresh_token=token, checked_at=self._clock()))
            self._set_role(one, renewed.role)

    def _keep(self, session_id: int, known: _Known) -> None:
        with self._lock:
            self._known[session_id] = known

    def _end(self, one: Session, reason: str) -> None:
        self._sessions.end(one.id, reason)
        log.info("provider_session_ended", reason=reason)

    def _set_role(self, one: Session, role: Role) -> None:
        if role is one.role:
            return
        try:
            with self._database.write() as tx:
                users.set_role(tx, one.user_id, role)
        except LastAdministrator as error:
            log.warning("provider_role_not_taken", reason=str(error))
            return
        self._sessions.forget()
        change = f"{one.role.value} to {role.value}, by the groups of the provider"
        self._trail.record(RightsChanged(self._provider, Right.ROLE, one.user, change))
        log.info("provider_role_changed", role=role.value)
