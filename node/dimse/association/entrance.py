"""Connections that have not asked for an association yet: one thread for all of them.

A connection costs a socket here, no thread and no association's place, until its A-ASSOCIATE-RQ is
whole (and the handshake of TLS before it done). What ends earlier is forgotten at once; what takes
too long, or is one too many of its host, is closed. Requests that cannot be negotiated are answered
here; a host's further requests wait while enough of its are being negotiated.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import structlog

from node.dimse.association.limits import (
    MOST_WAITING,
    MOST_WAITING_PER_HOST,
    SPARE_CONNECTIONS,
    SPARE_PER_HOST,
    TOO_MANY,
    TOO_MANY_FROM_HOST,
)
from node.dimse.wire import rejections
from node.dimse.wire.negotiation import (
    AssociationRequest,
    abort_pdu,
    read_request,
    rejection_pdu,
)
from node.dimse.wire.pdus import A_ASSOCIATE_RQ, HEADER_BYTES, MAX_REQUEST_BYTES, PduFault
from node.dimse.wire.rejections import Rejection
from node.observe.throttle import ThrottledLog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

READ_BYTES = 64 * 1024
LINGER_S = 1.0
"""How long a peer has to read why it was turned away, and to close."""


class Stage(Enum):
    """How far a connection has come."""

    SHAKING = auto()
    ASKING = auto()
    WAITING = auto()
    """It has asked; so many of its host are being negotiated that it has to wait."""
    LEAVING = auto()
    """It was answered; what it still sends is dropped."""


@dataclass(eq=False, slots=True)
class Arrival:
    """A connection on its way in."""

    socket: socket.socket
    address: Any
    deadline: float
    stage: Stage = Stage.ASKING
    is_probe: bool = False
    request: AssociationRequest | None = None
    raw: bytearray = field(default_factory=bytearray)

    @property
    def host(self) -> str:
        return str(self.address[0])

    def missing(self) -> int:
        """Bytes until the header, or the whole request, is there.

        Raises
        ------
        PduFault
        """
        if len(self.raw) < HEADER_BYTES:
            return HEADER_BYTES - len(self.raw)
        kind, length = struct.unpack_from(">BxL", self.raw)
        if kind != A_ASSOCIATE_RQ:
            raise PduFault(f"PDU type 0x{kind:02X} before an association request")
        if length > MAX_REQUEST_BYTES:
            raise PduFault(f"PDU of {length} bytes; {MAX_REQUEST_BYTES} are allowed")
        return HEADER_BYTES + int(length) - len(self.raw)


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms connections are let in."""

    timeout_s: float
    """From the TCP connection to the whole request: the ARTIM timer of PS3.8 9.1.5."""
    begin: Callable[[Arrival], None]
    """Makes it an association; ``Entrance.settled`` is called when that is negotiated."""
    tls: Callable[[], ssl.SSLContext] | None = None
    probe_ae_title: str = ""
    """The node's own calls, which never wait."""


class Entrance:
    """Takes connections in from any thread; ``close`` ends its own."""

    def __init__(self, terms: Terms, refusals: ThrottledLog) -> None:
        self._terms = terms
        self._refusals = refusals
        self._selector = selectors.DefaultSelector()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._bell, selectors.EVENT_READ, None)
        self._lock = threading.Lock()
        self._new: deque[Arrival] = deque()
        self._negotiating: Counter[str] = Counter()
        self._arrivals: dict[Arrival, None] = {}  # oldest first
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="dimse-entrance", daemon=True)
        self._thread.start()

    def take(self, sock: socket.socket, address: Any) -> None:
        """A connection was accepted."""
        arrival = Arrival(sock, address, time.monotonic() + self._terms.timeout_s)
        with self._lock:
            self._new.append(arrival)
        self._wake()

    def settled(self, host: str) -> None:
        """A negotiation is over, whatever came of it."""
        with self._lock:
            self._negotiating[host] -= 1
            if self._negotiating[host] <= 0:
                del self._negotiating[host]
        self._wake()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Close what is still on its way in, and end."""
        self._closing = True
        self._wake()
        self._thread.join()

    def __len__(self) -> int:
        """Connections that are no associations yet."""
        with self._lock:
            return len(self._new) + len(self._arrivals) + self._negotiating.total()

    def _wake(self) -> None:
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, _ in self._selector.select(self._patience_s()):
                    if key.data is None:
                        with suppress(BlockingIOError):
                            os.eventfd_read(self._bell)
                    else:
                        self._guarded(self._advance, key.data)
                self._take_in()
                self._turn_out_the_late()
                self._turn_out_the_many()
                self._begin_those_whose_turn_it_is()
        finally:
            self._end()

    def _end(self) -> None:
        for arrival in [*self._arrivals, *self._new]:
            self._forget(arrival)
            arrival.socket.close()
        self._selector.close()
        with self._lock:
            os.close(self._bell)
            self._bell = -1

    def _patience_s(self) -> float | None:
        if not self._arrivals:
            return None
        first = min(arrival.deadline for arrival in self._arrivals)
        return max(first - time.monotonic(), 0.0)

    def _guarded(self, step: Callable[[Arrival], None], arrival: Arrival) -> None:
        """A border: whatever one connection brings, the others go on."""
        try:
            step(arrival)
        except PduFault as fault:
            self._refusals.warn("association_aborted_by_node", str(fault), arrival.host)
            self._answer(arrival, abort_pdu())
        except ssl.SSLError as error:
            reason = (error.reason or type(error).__name__).replace("_", " ").lower()
            self._drop(arrival, f"tls: {reason}")
        except OSError as error:
            self._drop(arrival, type(error).__name__)
        except Exception as error:
            log.exception("connection_fault", error=type(error).__name__, host=arrival.host)
            self._drop(arrival, type(error).__name__)

    def _take_in(self) -> None:
        while True:
            with self._lock:
                if not self._new:
                    return
                arrival = self._new.popleft()
                self._arrivals[arrival] = None
            self._guarded(self._welcome, arrival)

    def _welcome(self, arrival: Arrival) -> None:
        arrival.socket.setblocking(False)
        if self._terms.tls is not None:
            arrival.stage = Stage.SHAKING
            arrival.socket = self._terms.tls().wrap_socket(
                arrival.socket, server_side=True, do_handshake_on_connect=False
            )
        self._selector.register(arrival.socket, selectors.EVENT_READ, arrival)
        self._advance(arrival)

    def _advance(self, arrival: Arrival) -> None:
        """As far as a connection comes without waiting."""
        try:
            if arrival.stage is Stage.SHAKING:
                self._shake(arrival)
            if arrival.stage is Stage.ASKING:
                self._read(arrival)
            elif arrival.stage is Stage.LEAVING and not arrival.socket.recv(READ_BYTES):
                self._drop(arrival)
        except (BlockingIOError, ssl.SSLWantReadError):
            return

    def _shake(self, arrival: Arrival) -> None:
        assert isinstance(arrival.socket, ssl.SSLSocket)
        try:
            arrival.socket.do_handshake()
        except ssl.SSLWantWriteError:
            self._selector.modify(arrival.socket, selectors.EVENT_WRITE, arrival)
            return
        except ssl.SSLWantReadError:
            self._selector.modify(arrival.socket, selectors.EVENT_READ, arrival)
            raise
        self._selector.modify(arrival.socket, selectors.EVENT_READ, arrival)
        arrival.stage = Stage.ASKING

    def _read(self, arrival: Arrival) -> None:
        while missing := arrival.missing():
            chunk = arrival.socket.recv(min(missing, READ_BYTES))
            if not chunk:
                self._left_early(arrival)
                return
            arrival.raw += chunk
        self._asked(arrival)

    def _left_early(self, arrival: Arrival) -> None:
        if arrival.raw:
            self._drop(arrival, "closed before the association request was whole")
            return
        self._refusals.mention("connection_without_request", arrival.host)
        self._drop(arrival)

    def _asked(self, arrival: Arrival) -> None:
        request = arrival.request = read_request(bytes(arrival.raw[HEADER_BYTES:]))
        arrival.raw.clear()
        if request.rejection is not None:
            self._reject(arrival, request.rejection)
            return
        probe = self._terms.probe_ae_title
        arrival.is_probe = bool(probe) and request.calling_ae == probe
        arrival.stage = Stage.WAITING
        self._selector.unregister(arrival.socket)

    # --- whose turn it is -------------------------------------------------------------------------

    def _begin_those_whose_turn_it_is(self) -> None:
        for arrival in [one for one in self._arrivals if one.stage is Stage.WAITING]:
            if self._has_room(arrival):
                self._guarded(self._begin, arrival)

    def _has_room(self, arrival: Arrival) -> bool:
        with self._lock:
            return arrival.is_probe or (
                self._negotiating.total() < SPARE_CONNECTIONS
                and self._negotiating[arrival.host] < SPARE_PER_HOST
            )

    def _begin(self, arrival: Arrival) -> None:
        with self._lock:
            self._negotiating[arrival.host] += 1
            del self._arrivals[arrival]
        try:
            self._terms.begin(arrival)
        except BaseException:  # no thread could be started, say
            self.settled(arrival.host)
            arrival.socket.close()
            raise

    def _turn_out_the_late(self) -> None:
        now = time.monotonic()
        for arrival in [one for one in self._arrivals if one.deadline <= now]:
            if arrival.stage is Stage.WAITING:
                self._reject(arrival, rejections.CONGESTED)
            elif arrival.stage is Stage.LEAVING:
                self._drop(arrival)
            else:
                is_shaking = arrival.stage is Stage.SHAKING
                late = "tls: the handshake" if is_shaking else "the association request"
                self._drop(arrival, f"{late} did not end in time")

    def _turn_out_the_many(self) -> None:
        hosts = Counter(arrival.host for arrival in self._arrivals)
        while hosts:
            host, count = hosts.most_common(1)[0]
            if count <= MOST_WAITING_PER_HOST and hosts.total() <= MOST_WAITING:
                return
            reason = TOO_MANY_FROM_HOST if count > MOST_WAITING_PER_HOST else TOO_MANY
            arrival = self._least_wanted(host)
            self._refusals.warn("connection_refused", reason, host)
            if arrival.stage is Stage.WAITING:
                self._reject(arrival, rejections.CONGESTED)
            self._drop(arrival)
            hosts[host] -= 1

    def _least_wanted(self, host: str) -> Arrival:
        """Who leaves anyhow, or is silent longest; else who has come last to ask."""
        there = [one for one in self._arrivals if one.host == host]
        silent = [one for one in there if one.stage is not Stage.WAITING]
        leaving = [one for one in silent if one.stage is Stage.LEAVING]
        return (leaving or silent or there[::-1])[0]

    # --- turning away -----------------------------------------------------------------------------

    def _reject(self, arrival: Arrival, rejection: Rejection) -> None:
        title = arrival.request.calling_ae if arrival.request else ""
        self._refusals.warn(
            "association_rejected", rejection.reason, arrival.host, calling_ae=title
        )
        self._answer(arrival, rejection_pdu(rejection))

    def _answer(self, arrival: Arrival, pdu: bytes) -> None:
        """A last word; the peer then has a moment to read it and to close."""
        try:
            arrival.socket.send(pdu)
        except OSError:
            self._drop(arrival)
            return
        if arrival.stage is Stage.WAITING:
            self._selector.register(arrival.socket, selectors.EVENT_READ, arrival)
        arrival.stage = Stage.LEAVING
        arrival.deadline = time.monotonic() + LINGER_S

    def _drop(self, arrival: Arrival, reason: str = "") -> None:
        if reason:
            self._refusals.warn("connection_failed", reason, arrival.host)
        self._forget(arrival)
        arrival.socket.close()

    def _forget(self, arrival: Arrival) -> None:
        with self._lock:
            self._arrivals.pop(arrival, None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(arrival.socket)
