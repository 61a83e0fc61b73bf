"""Login by name and password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from starlette.concurrency import run_in_threadpool

from node.audit.events import Actor, Login, Outcome
from node.audit.trail import Trail
from node.clock import Clock
from node.errors import NodeError
from node.web.access import cookies, passwords
from node.web.access.attempts import Attempts, Counted, Kind, network_of
from node.web.access.passwords import Checking
from node.web.access.sessions import Opened, Place, Sessions
from storage.database import Database
from storage.people import familiar_hosts, users
from storage.people.users import User, folded


class WrongPassword(NodeError):
    """Name or password is wrong, or he is locked: it is not told which."""


class TooSoon(NodeError):
    """Too many mistakes were made; ``wait_s`` seconds have to pass."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many wrong passwords: try again in {_in_words(wait_s)}")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class _Asked:
    """Somebody who wants to log in: the name he gave, and what is known of it."""

    name: str
    user: User | None
    counted: tuple[Counted, ...]
    is_familiar: bool


class SigningIn:
    """Checks passwords and opens sessions."""

    def __init__(self, database: Database, sessions: Sessions, clock: Clock, trail: Trail) -> None:
        self._database = database
        self._sessions = sessions
        self._trail = trail
        self._clock = clock
        self._attempts = Attempts(clock)
        self._checking = Checking()

    def remember(self) -> None:
        """The mistakes made before this node was started. Raises DatabaseUnavailable."""
        self._attempts.remember(self._database)

    def keep(self) -> None:
        """The mistakes made since this was asked last. Raises DatabaseUnavailable."""
        self._attempts.keep(self._database)

    async def log_in(self, name: str, password: str, place: Place) -> Opened:
        """A new session.

        Raises
        ------
        WrongPassword, TooSoon, TooMany, DatabaseUnavailable, Overloaded
        """
        user = await self.prove(name, password, place)
        opened = await run_in_threadpool(self._sessions.open, user, place)
        self._tell(user.name, place, Outcome.SUCCESS, "")
        return opened

    async def prove(self, name: str, password: str, place: Place) -> User:
        """Whoever has this name and this password.

        Raises
        ------
        WrongPassword, TooSoon, TooMany, DatabaseUnavailable, Overloaded
        """
        asked = await run_in_threadpool(self._asked, name, place)
        wait_s = self._attempts.begin(asked.counted)
        if wait_s:
            raise TooSoon(wait_s)
        kept = asked.user.password_hash if asked.user else ""
        try:
            is_right = await self._checking.is_right(kept, password, asked.is_familiar)
        except passwords.TooMany:
            self._attempts.forgive(asked.counted)
            raise
        if asked.user is None or not is_right or asked.user.is_locked:
            await run_in_threadpool(self._refuse, asked, place)
        assert asked.user is not None
        self._attempts.forgive(asked.counted)
        if passwords.is_dated(kept):
            await self._renew(asked.user, password)
        return asked.user

    async def set_password(self, user: User, password: str) -> None:
        """Raises BadPassword."""
        made = await self._checking.hash_of(password)
        await run_in_threadpool(self._keep, user, made)

    # --- steps ------------------------------------------------------------------------------------

    def _asked(self, name: str, place: Place) -> _Asked:
        with self._database.look() as tx:
            user = users.find(tx, name[: users.MOST_NAME * 2])
            known = familiar_hosts.of_user(tx, user.id) if user else []
        kept = folded(name)[: users.MOST_NAME * 2]
        browser = cookies.digest(place.known) if place.known else ""
        if any(one.token_hash == browser for one in known):
            return _Asked(kept, user, (Counted(Kind.BROWSER, f"{kept} {browser}"),), True)
        here = f"{kept} {network_of(place.host)}"
        if any(one.host == place.host for one in known):
            return _Asked(kept, user, (Counted(Kind.FAMILIAR_HOST, here),), True)
        counted = (
            Counted(Kind.ACCOUNT_AT_HOST, here),
            Counted(Kind.ACCOUNT, kept),
            Counted(Kind.HOST, network_of(place.host)),
        )
        return _Asked(kept, user, counted, False)

    def _refuse(self, asked: _Asked, place: Place) -> NoReturn:
        reason = "locked" if asked.user and asked.user.is_locked else "wrong name or password"
        self._tell(
            asked.user.name if asked.user else asked.name, place, Outcome.MINOR_FAILURE, reason
        )
        raise WrongPassword("name or password is wrong")

    async def _renew(self, user: User, password: str) -> None:
        made = await self._checking.hash_of(password)
        await run_in_threadpool(self._keep_renewed, user, made)

    def _keep_renewed(self, user: User, password_hash: str) -> None:
        with self._database.write() as tx:
            users.renew_hash(tx, user.id, password_hash)

    def _keep(self, user: User, password_hash: str) -> None:
        with self._database.write() as tx:
            users.set_password(tx, user.id, password_hash, self._clock())

    def _tell(self, name: str, place: Place, outcome: Outcome, reason: str) -> None:
        self._trail.record(Login(Actor(name, place.host, True), outcome, reason))


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
