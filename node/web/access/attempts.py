"""Wrong passwords make whoever gives them wait, and never the one whose name he used.

They are counted in memory, and kept a moment later, many at once: a login waits for no disk.

Counted is by account and host. Whoever is known – by what his browser was given when he logged in,
or by a host he has logged in from – is counted for himself: whatever strangers try, he waits for
nothing but his own mistakes. Strangers are counted besides by account and by host alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from node.clock import Clock
from storage.database import Database
from storage.people import login_mistakes
from storage.people.login_mistakes import Mistakes, MistakesBy

KEPT = 10_000
"""Of each kind; the oldest are forgotten."""
FORGOTTEN = timedelta(hours=1)


class Kind(Enum):
    """What is counted: so many mistakes are free, and the wait grows up to so many seconds."""

    BROWSER = (10, 30)
    FAMILIAR_HOST = (10, 60)
    ACCOUNT_AT_HOST = (5, 900)
    ACCOUNT = (50, 900)
    HOST = (30, 900)

    @property
    def free(self) -> int:
        return self.value[0]

    @property
    def longest_s(self) -> int:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Counted:
    """One thing that mistakes are counted by."""

    kind: Kind
    name: str

    @property
    def key(self) -> str:
        return hashlib.sha256(self.name.encode("utf-8", "replace")).hexdigest()


@dataclass(slots=True)
class _Mistakes:
    number: int
    last: datetime
    next_at: datetime


class Attempts:
    """The mistakes of the last hour. All methods may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[Kind, OrderedDict[str, _Mistakes]] = {kind: OrderedDict() for kind in Kind}
        self._changed: set[tuple[Kind, str]] = set()

    def begin(self, by: Sequence[Counted]) -> float:
        """How many seconds to wait first; 0: a try is counted as a mistake until it is forgiven."""
        now = self._clock()
        with self._lock:
            wait_s = max((self._wait_s(one, now) for one in by), default=0.0)
            if wait_s <= 0:
                for one in by:
                    self._count(one, now)
        return max(wait_s, 0.0)

    def forgive(self, by: Iterable[Counted]) -> None:
        """It was none. A host and an account keep what others did wrong."""
        with self._lock:
            for one in by:
                self._forgive(one)

    def _forgive(self, one: Counted) -> None:
        found = self._kept[one.kind].get(one.key)
        if found is None:
            return
        if one.kind in (Kind.ACCOUNT, Kind.HOST) and found.number > 1:
            found.number -= 1
        else:
            del self._kept[one.kind][one.key]
        self._changed.add((one.kind, one.key))

    def _wait_s(self, one: Counted, now: datetime) -> float:
        found = self._kept[one.kind].get(one.key)
        return 0.0 if found is None else (found.next_at - now).total_seconds()

    def _count(self, one: Counted, now: datetime) -> None:
        kept, key = self._kept[one.kind], one.key
        found = kept.pop(key, None)
        if found is None or now - found.last > FORGOTTEN:
            found = _Mistakes(0, now, now)
        found.number, found.last = found.number + 1, now
        beyond = found.number - one.kind.free
        if beyond >= 0:
            found.next_at = now + timedelta(seconds=min(one.kind.longest_s, 2.0 ** min(beyond, 20)))
        kept[key] = found
        self._changed.add((one.kind, key))
        if len(kept) > KEPT:
            oldest, _ = kept.popitem(last=False)
            self._changed.add((one.kind, oldest))

    # --- beyond a restart -------------------------------------------------------------------------

    def remember(self, database: Database) -> None:
        """What was kept. Raises DatabaseUnavailable."""
        with database.read() as tx:
            found = login_mistakes.recent(tx, self._clock() - FORGOTTEN)
        with self._lock:
            for one in found:
                kind = Kind.__members__.get(one.by.kind)
                if kind is not None:
                    mistakes = _Mistakes(one.number, one.last_at, one.next_at)
                    self._kept[kind].setdefault(one.by.digest, mistakes)

    def keep(self, database: Database) -> None:
        """What has changed since it was kept last. Raises DatabaseUnavailable."""
        with self._lock:
            changed, self._changed = self._changed, set()
            now = {key: self._kept[key[0]].get(key[1]) for key in changed}
            made = [_row(*key, one) for key, one in now.items() if one is not None]
        if not changed:
            return
        forgiven = [MistakesBy(kind.name, key) for (kind, key), one in now.items() if one is None]
        try:
            with database.write() as tx:
                login_mistakes.keep(tx, made, forgiven, self._clock() - FORGOTTEN)
        except BaseException:
            with self._lock:
                self._changed |= changed
            raise


def _row(kind: Kind, key: str, one: _Mistakes) -> Mistakes:
    return Mistakes(MistakesBy(kind.name, key), one.number, one.last, one.next_at)


def network_of(host: str) -> str:
    """What one person can change of an IPv6 address is left out (RFC 6177: at least a /64)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
