"""The client side: Verification and Storage SCU (PS3.4 A and B).

Files leave as they are. Only where a peer takes an uncompressed object in no other way, its
header is encoded anew; and pixel data is decompressed, which loses nothing, where the caller wants
that rather than a refusal.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context

from node import statuses
from node.dimse import library
from node.dimse.contexts import VERIFICATION
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu.answers import SendOutcome, SendResult, classify, describe
from node.dimse.scu.caller import MAX_PDU_BYTES, Caller, fault_of, rejection_of
from node.dimse.scu.line import Line, Unfinished, line_over
from node.dimse.scu.parcels import NotSendable, Parcel, batches, proposals, read_parcel
from node.dimse.tls import ClientContext, TlsFiles, client_context
from node.errors import SettingsError
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.retrieve import transcode
from node.retrieve.transcode import NotEncodable
from storage.files.port import Readable

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Peer:
    """Where to send, and as whom."""

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae: str
    tls: TlsFiles | None = None
    """With these files the association is encrypted and the peer has to prove its name."""
    tls_name: str = ""
    """The name in the peer's certificate; empty for ``host``."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds, before a peer counts as unavailable."""

    connect_s: float = 10
    negotiation_s: float = 30
    response_s: float = 60
    network_s: float = 60


DEFAULT_TIMEOUTS = Timeouts()


ResultSink = Callable[[int, SendResult], None]
"""Takes an object's index in the sequence and its result, as soon as there is one."""


def _every(index: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class How:
    """wanted: asked of an object just before it is begun; those that are not are passed over.
    decompress: whether what is compressed may leave uncompressed, where it is taken so alone.
    """

    wanted: Callable[[int], bool] = _every
    decompress: bool = False


AS_IT_IS = How()


def echo(peer: Peer, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> float:
    """Verify that a peer answers (C-ECHO); the seconds from connecting to the answer.

    Raises
    ------
    PeerUnavailable
    """
    started = time.monotonic()
    with associated(peer, [build_context(VERIFICATION)], timeouts) as association:
        status = association.send_c_echo().get("Status")
        if status is None:
            raise _lost(peer, association)
        if status != statuses.SUCCESS:
            raise PeerUnavailable(peer.name, PeerFault.ABORTED, f"C-ECHO gave 0x{status:04X}")
    return time.monotonic() - started


def send(
    objects: Sequence[Readable],
    peer: Peer,
    on_result: ResultSink,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    how: How = AS_IT_IS,
) -> None:
    """Send files over one association, or more where they need over 128 contexts.

    ``on_result`` is called once for every object that was settled; after an error those without
    a result are unsent, or their answer was lost.

    Raises
    ------
    PeerUnavailable
        No association, or it ended early.
    """
    parcels: list[Parcel] = []
    for index, one in enumerate(objects):
        try:
            parcels.append(read_parcel(index, one, how.decompress))
        except NotSendable as error:
            on_result(index, SendResult(None, SendOutcome.REFUSED, f"the file {error}"))
    for batch in batches(parcels):
        _send_batch(batch, peer, on_result, timeouts, how)


def _send_batch(
    batch: Sequence[Parcel], peer: Peer, on_result: ResultSink, timeouts: Timeouts, how: How
) -> None:
    left = list(batch)
    while left:
        try:
            with associated(peer, proposals(left), timeouts) as association:
                _send_over(association, left, peer, on_result, timeouts, how)
            return
        except _Unsendable as error:
            on_result(error.index, error.result)
            left = [parcel for parcel in left if parcel.index > error.index]
        except PeerUnavailable as error:
            if error.fault is not PeerFault.NO_CONTEXT:
                raise
            # The peer is there and answers: it wants none of these objects.
            for parcel in left:
                on_result(parcel.index, _not_accepted(parcel))
            return


def _send_over(
    association: Association,
    batch: Sequence[Parcel],
    peer: Peer,
    on_result: ResultSink,
    timeouts: Timeouts,
    how: How,
) -> None:
    accepted = accepted_pairs(association)
    with line_over(association, peer.name, timeouts.response_s) as line:
        for parcel in batch:
            if not how.wanted(parcel.index):
                continue
            pair = next((pair for pair in parcel.contexts() if pair in accepted), None)
            if pair is None:
                on_result(parcel.index, _not_accepted(parcel))
            else:
                on_result(parcel.index, _store(line, accepted[pair], parcel, pair[1]))


def accepted_pairs(association: Association) -> dict[tuple[str, str], int]:
    """The contexts that a peer has accepted, by SOP class and transfer syntax."""
    return {
        (str(context.abstract_syntax), str(context.transfer_syntax[0])): context.context_id or 0
        for context in association.accepted_contexts
    }


def _store(line: Line, context_id: int, parcel: Parcel, syntax: str) -> SendResult:
    try:
        with transcode.encoded(parcel.source, parcel.transfer_syntax_uid, syntax) as data_set:
            answer = line.store(context_id, parcel.sop_class_uid, parcel.sop_instance_uid, data_set)
    except Unfinished as error:
        raise _Unsendable(parcel.index, _unsent(error)) from error
    except (OSError, NotEncodable) as error:
        return _unsent(error)
    return SendResult(
        answer.status, classify(answer.status), describe(answer.status, answer.comment)
    )


def _unsent(error: Exception) -> SendResult:
    reason = f"the file cannot be sent ({type(error).__name__})"
    return SendResult(None, SendOutcome.REFUSED, reason)


class _Unsendable(Exception):
    """A file that could not be sent, found out in the middle of its message."""

    def __init__(self, index: int, result: SendResult) -> None:
        super().__init__(result.reason)
        self.index = index
        self.result = result


def _not_accepted(parcel: Parcel) -> SendResult:
    sop_class, syntax = UID(parcel.sop_class_uid), UID(parcel.transfer_syntax_uid)
    reason = f"the peer accepts no presentation context for {sop_class.name} in {syntax.name}"
    return SendResult(None, SendOutcome.NOT_ACCEPTED, reason)


# --- associations ---------------------------------------------------------------------------------


@contextmanager
def associated(
    peer: Peer,
    contexts: list[PresentationContext],
    timeouts: Timeouts,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[evt.EventHandlerType] = (),
) -> Iterator[Association]:
    """An established association, released at the end and aborted after an error.

    Raises
    ------
    PeerUnavailable
    """
    library.prepare()
    association = _associate(peer, contexts, timeouts, roles, handlers)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()


def _associate(
    peer: Peer,
    contexts: list[PresentationContext],
    timeouts: Timeouts,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    handlers: Sequence[evt.EventHandlerType],
) -> Association:
    ae = Caller(ae_title=peer.calling_ae)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = timeouts.connect_s
    ae.acse_timeout = timeouts.negotiation_s
    ae.dimse_timeout = timeouts.response_s
    ae.network_timeout = None  # idle while a slow peer stores is no fault; responses are timed

    def tune(event: evt.Event) -> None:
        connection = event.assoc.dul.socket
        if connection is None or connection.socket is None:
            return
        sock = connection.socket
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeouts.network_s)  # without it a stalled peer blocks a send for ever

    context = _tls_context(peer)
    started = time.monotonic()
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            contexts,
            ae_title=peer.ae_title,
            max_pdu=MAX_PDU_BYTES,
            ext_neg=list(roles),
            evt_handlers=[(evt.EVT_CONN_OPEN, tune), *handlers],
            tls_args=(context, peer.tls_name or peer.host) if context else None,
        )
    except OSError as error:
        reason = f"{peer.host} cannot be resolved ({error.strerror or error})"
        raise PeerUnavailable(peer.name, PeerFault.UNREACHABLE, reason) from error
    if context is not None and context.failure:
        reason = f"TLS with {peer.host}:{peer.port} failed: {context.failure}"
        raise PeerUnavailable(peer.name, PeerFault.UNREACHABLE, reason)
    if not association.is_established:
        raise _refused(peer, association, time.monotonic() - started >= timeouts.negotiation_s)
    return association


def _tls_context(peer: Peer) -> ClientContext | None:
    """Made anew for each association: certificates are renewed while the node runs."""
    if peer.tls is None:
        return None
    try:
        return client_context(peer.tls)
    except SettingsError as error:
        raise PeerUnavailable(peer.name, PeerFault.UNREACHABLE, str(error)) from error


def _refused(peer: Peer, association: Association, timed_out: bool) -> PeerUnavailable:
    answer = association.acceptor.primitive
    where = f"{peer.host}:{peer.port}"
    if rejection := rejection_of(association):
        return PeerUnavailable(peer.name, PeerFault.REJECTED, f"association {rejection}")
    if fault := fault_of(association):
        reason = f"{where} gave an answer that cannot be read: {fault}"
        return PeerUnavailable(peer.name, PeerFault.ABORTED, reason)
    if isinstance(answer, A_ASSOCIATE) and answer.result == 0:
        reason = "none of the presentation contexts is accepted"
        return PeerUnavailable(peer.name, PeerFault.NO_CONTEXT, reason)
    if timed_out:
        reason = f"{where} did not answer the association request in time"
        return PeerUnavailable(peer.name, PeerFault.TIMED_OUT, reason)
    if association.requestor.address_info is not None and association.requestor.address_info.port:
        reason = f"{where} aborted the association request"
        return PeerUnavailable(peer.name, PeerFault.ABORTED, reason)
    return PeerUnavailable(peer.name, PeerFault.UNREACHABLE, f"no connection to {where}")


def _lost(peer: Peer, association: Association) -> PeerUnavailable:
    if fault := fault_of(association):
        reason = f"the peer sent what cannot be read: {fault}; association aborted"
        return PeerUnavailable(peer.name, PeerFault.ABORTED, reason, was_established=True)
    if association._sent_abort:  # pynetdicom aborts by itself only when a response is overdue
        reason = "no response in time; association aborted"
        return PeerUnavailable(peer.name, PeerFault.TIMED_OUT, reason, was_established=True)
    reason = "the association was aborted or the connection lost"
    return PeerUnavailable(peer.name, PeerFault.ABORTED, reason, was_established=True)
