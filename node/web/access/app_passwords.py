"""Passwords of machines and desktop viewers, shown by HTTP Basic (RFC 7617) with each request.

They open DICOMweb, the API and what watches the node, and no page: a browser that remembers one can
do nothing in somebody's name there.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request

from node.audit.events import Actor, Login, Outcome
from node.audit.trail import Trail
from node.clock import Clock
from node.config.values import is_local
from node.web.access.roles import NOBODY, Role, Who
from node.web.access.sessions import host_of
from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable, StorageError
from storage.people import app_passwords
from storage.people.app_passwords import AppPassword, NewAppPassword
from storage.people.users import User, folded

log = structlog.get_logger(__name__)

PREFIX = "wt_"
"""By it whoever finds one knows what it is."""
OPENS = ("/dicom-web", "/api", "/health", "/metrics", "/openapi.json")
LONGEST_DAYS = 730
MOST_LABEL = 64
FRESH_S = 2.0
"""How long one is believed to be as it was: it may have been ended since."""
NOTED = timedelta(minutes=1)
"""How exactly it is kept when one was used last."""
TOLD = timedelta(minutes=30)
"""Used again so soon from the same place it is the same visit, for the audit trail."""
_KEPT = 1000


class NotMade(StorageError):
    """No app password is made; the message says which condition is not met."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An app password as somebody wants it. host: an address or a network; empty: anywhere."""

    label: str
    role: Role
    host: str
    days: int


@dataclass(frozen=True, slots=True)
class Made:
    """A new one: its secret is shown now, and never again."""

    id: int
    secret: str


def secret_hash(secret: str) -> str:
    """What is kept. Fast on purpose: see ``storage.people.app_passwords``."""
    return hashlib.sha256(secret.encode()).hexdigest()


def make(tx: Transaction, owner: User, wanted: Wanted, by: str, at: datetime) -> Made:
    """A new one of 256 random bits.

    Raises
    ------
    NotMade
    """
    if not 0 < len(wanted.label.strip()) <= MOST_LABEL:
        raise NotMade(f"say what it is for, in 1 to {MOST_LABEL} characters")
    if not owner.role.includes(wanted.role):
        raise NotMade(f"{owner.name} has the role {owner.role}: it may be no more than that")
    if owner.is_locked:
        raise NotMade(f"{owner.name} is locked")
    if not 1 <= wanted.days <= LONGEST_DAYS:
        raise NotMade(f"it ends in 1 to {LONGEST_DAYS} days")
    secret = PREFIX + secrets.token_urlsafe(32)
    new = NewAppPassword(
        owner.id,
        wanted.label.strip(),
        wanted.role,
        _checked_host(wanted.host),
        secret_hash(secret),
        by,
        at + timedelta(days=wanted.days),
    )
    return Made(app_passwords.add(tx, new, at), secret)


def _checked_host(text: str) -> str:
    """Raises NotMade."""
    if not text.strip():
        return ""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise NotMade(
            "from where it may be used is an address, or a network: 10.0.0.0/24"
        ) from error
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def is_from(host: str, where: str) -> bool:
    """Whether an address belongs to a network, or is the one that is meant."""
    if not where:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address) in ipaddress.ip_network(where)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a request shows."""

    name: str
    secret: str

    @classmethod
    def of(cls, request: Request) -> _Shown | None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return cls("", "")
        return cls(folded(name)[:128], secret)


@dataclass(frozen=True, slots=True)
class _Known:
    found: AppPassword | None
    looked_up: float


class AppPasswords:
    """Tells who asks by an app password.

    unseen: so long those of an account of a provider outlast its last login.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        trail: Trail,
        unseen: timedelta = app_passwords.UNSEEN,
    ) -> None:
        self.unseen = unseen
        self._database = database
        self._clock = clock
        self._trail = trail
        self._pool = ThreadPoolExecutor(2, "app-passwords")
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, _Known] = OrderedDict()
        self._noted: dict[int, datetime] = {}
        self._told: OrderedDict[tuple[int, str], datetime] = OrderedDict()

    async def identify(self, request: Request) -> Who:
        """Whoever an app password stands for; NOBODY without one, or with a wrong one.

        Raises
        ------
        HTTPException
            403: it would go over the network in the clear.
        DatabaseUnavailable, Overloaded
        """
        shown = _Shown.of(request)
        if shown is None or not request.url.path.startswith(OPENS):
            return NOBODY
        host = host_of(request)
        if request.url.scheme != "https" and not is_local(host):
            raise HTTPException(403, "passwords are taken over TLS alone: ask by https")
        found = await self._find(shown)
        if (
            found is None
            or not found.is_good(self._clock(), self.unseen)
            or found.owner != shown.name
        ):
            self._tell(0, shown.name, host, Outcome.MINOR_FAILURE, "no such app password")
            return NOBODY
        if not is_from(host, found.host):
            self._tell(-found.id, found.owner, host, Outcome.MINOR_FAILURE, "used elsewhere")
            return NOBODY
        self._tell(found.id, found.owner, host, Outcome.SUCCESS, f"app password {found.id}")
        self._note(found, host)
        sees_names = found.role is not Role.ADMINISTRATOR
        return Who(found.owner, found.role, sees_names, lent_by=found.owner_role)

    def forget(self) -> None:
        """What is known of them is looked up again."""
        with self._lock:
            self._cache.clear()

    async def _find(self, shown: _Shown) -> AppPassword | None:
        if not shown.secret.startswith(PREFIX) or len(shown.secret) > 200:
            return None
        key = secret_hash(shown.secret)
        with self._lock:
            known = self._cache.get(key)
        if known is None or time.monotonic() - known.looked_up > FRESH_S:
            loop = asyncio.get_running_loop()
            known = await loop.run_in_executor(self._pool, self._look_up, key)
        return known.found

    def _look_up(self, key: str) -> _Known:
        with self._database.look() as tx:
            known = _Known(app_passwords.find(tx, key), time.monotonic())
        with self._lock:
            if known.found is not None:  # what nobody has is not worth keeping
                self._cache[key] = known
            while len(self._cache) > _KEPT:
                self._cache.popitem(last=False)
        return known

    def _note(self, found: AppPassword, host: str) -> None:
        """When it was used last: at most once a minute."""
        now = self._clock()
        before = self._noted.get(found.id)
        if before is None or now - before >= NOTED:
            self._noted[found.id] = now
            self._pool.submit(self._write, found.id, now, host)

    def _write(self, app_password_id: int, at: datetime, host: str) -> None:
        try:
            with self._database.write() as tx:
                app_passwords.use(tx, app_password_id, at, host)
        except DatabaseUnavailable as error:
            log.warning("app_password_not_noted", reason=str(error))

    def _tell(self, number: int, name: str, host: str, outcome: Outcome, reason: str) -> None:
        """Once a visit: a viewer shows it with each of a thousand frames."""
        now, key = self._clock(), (number, host)
        last = self._told.get(key)
        if last is not None and now - last < TOLD:
            return
        self._told[key] = now
        self._told.move_to_end(key)
        while len(self._told) > _KEPT:
            self._told.popitem(last=False)
        self._trail.record(Login(Actor(name, host, False), outcome, reason))
