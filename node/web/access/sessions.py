"""Sessions: begun by a login, ended by a logout, by doing nothing, or by age."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from starlette.requests import Request

from node.audit.events import Actor, Logout
from node.audit.trail import Trail
from node.clock import Clock
from node.web.access import cookies
from node.web.access.roles import NOBODY, Role, Who
from storage.database import Database
from storage.errors import DatabaseUnavailable
from storage.people import familiar_hosts, sessions
from storage.people.familiar_hosts import Familiar
from storage.people.sessions import NewSession, Session
from storage.people.users import User

log: structlog.stdlib.BoundLogger = structlog.get_logger()

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
FRESH_S = 2.0
"""How long a session is believed to go on as it was: another process may have ended it."""
NOTED = timedelta(minutes=1)
"""How exactly it is kept when somebody did something last."""
_KEPT = 1000
BACKGROUND = "x-wetread-background"
"""The header of what a page asks for by itself: nobody did anything."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody sits.

    known: what his browser was given when somebody logged in by it.
    """

    host: str
    browser: str = ""
    known: str = ""

    @classmethod
    def of(cls, request: Request) -> Place:
        browser = request.headers.get("user-agent", "")[:200]
        return cls(host_of(request), browser, cookies.read(request, cookies.KNOWN))


@dataclass(frozen=True, slots=True)
class Opened:
    """What a browser is given: its session's token, and what it is known by from now on.

    id: the session's row.
    """

    session: str
    known: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    session: Session | None
    looked_up: float


class Sessions:
    """All sessions of a node. Methods that are no coroutines may wait for the database."""

    def __init__(self, database: Database, clock: Clock, trail: Trail) -> None:
        self._database = database
        self._clock = clock
        self._trail = trail
        self._pool = ThreadPoolExecutor(2, "sessions")
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, _Known] = OrderedDict()
        self._seen: dict[int, datetime] = {}

    # --- begin and end ----------------------------------------------------------------------------

    def open(self, user: User, place: Place, provider_session: str = "") -> Opened:
        """A new session of somebody who has shown who he is, under a token that is new too."""
        now, opened = self._clock(), Opened(cookies.new_token(), cookies.new_token())
        new = NewSession(
            user.id, cookies.digest(opened.session), place.host, place.browser, provider_session
        )
        familiar = Familiar(place.host, cookies.digest(opened.known), now)
        with self._database.write() as tx:
            over = sessions.clear(tx, now, now - IDLE)
            row = sessions.begin(tx, new, now, now + LONGEST)
            instead = cookies.digest(place.known) if place.known else ""
            familiar_hosts.note(tx, user.id, familiar, instead)
        for one in over:
            self._trail.record(Logout(Actor(one.user, one.host, True), "it was over"))
        return replace(opened, id=row)

    def end(self, session_id: int, reason: str = "") -> None:
        """Its token is worth nothing from now on."""
        with self._database.write() as tx:
            ended = [one for one in sessions.all_sessions(tx) if one.id == session_id]
            sessions.end(tx, session_id)
        self.forget()
        for one in ended:
            self._trail.record(Logout(Actor(one.user, one.host, True), reason))

    def end_all(self, user_id: int, but: int | None = None) -> None:
        """A user's, ``but`` one."""
        with self._database.write() as tx:
            sessions.end_all(tx, user_id, but)
        self.forget()

    def forget(self) -> None:
        """What is known of sessions is looked up again."""
        with self._lock:
            self._cache.clear()

    # --- who asks ---------------------------------------------------------------------------------

    async def identify(self, request: Request) -> Who:
        """Whoever the request's cookie names; NOBODY without.

        Raises
        ------
        DatabaseUnavailable, Overloaded
        """
        token = cookies.read(request, cookies.SESSION)
        found = await self.current(token) if token else None
        if found is None:
            return NOBODY
        if not _is_by_itself(request):
            self._see(found)
        return who_of(found, token)

    async def current(self, token: str) -> Session | None:
        """The session of a token, if it goes on."""
        key = cookies.digest(token)
        with self._lock:
            known = self._cache.get(key)
        if known is None or time.monotonic() - known.looked_up > FRESH_S:
            loop = asyncio.get_running_loop()
            known = await loop.run_in_executor(self._pool, self._look_up, key)
        found = known.session
        return found if found is not None and self._goes_on(found) else None

    def _look_up(self, key: str) -> _Known:
        with self._database.look() as tx:
            known = _Known(sessions.find(tx, key), time.monotonic())
        with self._lock:
            if known.session is not None:  # what nobody has is not worth keeping
                self._cache[key] = known
            while len(self._cache) > _KEPT:
                self._cache.popitem(last=False)
        return known

    def _goes_on(self, one: Session) -> bool:
        now = self._clock()
        seen = max(one.seen_at, self._seen.get(one.id, one.seen_at))
        return not one.is_locked and now < one.ends_at and now - seen < IDLE

    def _see(self, one: Session) -> None:
        """He did something: kept at once here, and once a minute in the database."""
        now = self._clock()
        before = self._seen.get(one.id, one.seen_at)
        if now - before >= NOTED:
            self._seen[one.id] = now
            for over in [key for key, at in self._seen.items() if now - at >= IDLE]:
                del self._seen[over]
            self._pool.submit(self._note, one.id, now)

    def _note(self, session_id: int, at: datetime) -> None:
        try:
            with self._database.write() as tx:
                sessions.see(tx, {session_id: at})
        except DatabaseUnavailable as error:
            log.warning("session_not_noted", reason=str(error))


def who_of(session: Session, token: str) -> Who:
    """Somebody by his session."""
    return Who(
        session.user,
        session.role,
        sees_names=session.role is not Role.ADMINISTRATOR,
        token=cookies.digest(token, "form"),
        is_known_by_cookie=True,
    )


def _is_by_itself(request: Request) -> bool:
    """Whether a page asks, and nobody has done anything: by its script, or, without scripts, as it
    is loaded again (Fetch Metadata: Sec-Fetch-User tells that a person wants to go there)."""
    headers = request.headers
    is_loaded_again = headers.get("sec-fetch-mode") == "navigate" and (
        request.method == "GET" and headers.get("sec-fetch-user") != "?1"
    )
    is_script = BACKGROUND in headers or headers.get("accept") == "text/event-stream"
    return is_script or is_loaded_again


def host_of(request: Request) -> str:
    """The address that a request comes from."""
    return request.client.host if request.client else ""
