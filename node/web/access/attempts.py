"""Wrong passwords make whoever gives them wait, and never the one whose name he used.

Counted is by account and host. Whoever is known – by what his browser was given when he logged in,
or by a host he has logged in from – is counted for himself: whatever strangers try, he waits for
nothing but his own mistakes. Strangers are counted besides by account and by host alone.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from node.clock import Clock

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


@dataclass(slots=True)
class _Mistakes:
    number: int
    last: datetime
    next_at: datetime


@dataclass(slots=True)
class Attempts:
    """The mistakes of the last hour."""

    clock: Clock
    _kept: dict[Kind, OrderedDict[str, _Mistakes]] = field(
        default_factory=lambda: {kind: OrderedDict() for kind in Kind}
    )

    def begin(self, by: Sequence[Counted]) -> float:
        """How many seconds to wait first; 0: a try is counted as a mistake until it is forgiven."""
        now = self.clock()
        wait_s = max((self._wait_s(one, now) for one in by), default=0.0)
        if wait_s <= 0:
            for one in by:
                self._count(one, now)
        return max(wait_s, 0.0)

    def forgive(self, by: Iterable[Counted]) -> None:
        """It was none. A host and an account keep what others did wrong."""
        for one in by:
            found = self._kept[one.kind].get(one.name)
            if found is None:
                continue
            if one.kind in (Kind.ACCOUNT, Kind.HOST) and found.number > 1:
                found.number -= 1
            else:
                del self._kept[one.kind][one.name]

    def _wait_s(self, one: Counted, now: datetime) -> float:
        found = self._kept[one.kind].get(one.name)
        return 0.0 if found is None else (found.next_at - now).total_seconds()

    def _count(self, one: Counted, now: datetime) -> None:
        kept = self._kept[one.kind]
        found = kept.pop(one.name, None)
        if found is None or now - found.last > FORGOTTEN:
            found = _Mistakes(0, now, now)
        found.number, found.last = found.number + 1, now
        beyond = found.number - one.kind.free
        if beyond >= 0:
            found.next_at = now + timedelta(seconds=min(one.kind.longest_s, 2.0 ** min(beyond, 20)))
        kept[one.name] = found
        if len(kept) > KEPT:
            kept.popitem(last=False)


def network_of(host: str) -> str:
    """What one person can change of an IPv6 address is left out (RFC 6177: at least a /64)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
