"""A destination that results are sent to by STOW-RS (PS3.18 10.5), and asked by QIDO-RS for what
it has.

Each object's fate is read from the answer. What the answer does not tell, and whatever was under
way when a connection ended, is in doubt: it is asked for before it is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import groupby

import httpx

from node.config.destinations import StowDestinationSettings
from node.delivery.targets import store_answer
from node.delivery.targets.letters import Body, Letter, Unreadable, read_letter, requests
from node.delivery.targets.port import Abilities, Sink, Telling, Wanted, every
from node.delivery.targets.store_answer import StoreAnswer
from node.dimse.errors import PeerFault, PeerUnavailable, Unaskable
from node.dimse.scu.answers import SendOutcome, SendResult
from node.errors import SettingsError
from node.web_client import client
from node.web_client.authorization import authorization_of
from node.web_client.matches import Asking, NoMatches
from storage.files.blobs import Blob

TIMEOUT = httpx.Timeout(180.0, connect=10.0)
"""How long nothing may be heard: a service answers when all of a request is stored."""
ACCEPT = "application/dicom+json, application/dicom+xml;q=0.5"
MOST_ANSWER_BYTES = 16 * 1024 * 1024
LONGEST_WAIT_S = 86_400.0
"""Who asks to be left alone for longer is asked again then."""

REDIRECTS = range(300, 400)
NOT_LET_IN = (401, 403, 407)
NOT_HERE = (404, 405, 410, 501)
NOT_NOW = (429, 503)
"""Nothing was stored."""
UNCERTAIN = (408, 425, 502, 504, 507)
"""The service, or what stands before it, gave up: some may be stored."""
_FAULT_THERE = 500
STORED = (200, 202)

_IN_DOUBT = SendResult(None, SendOutcome.TRANSIENT, "the answer does not tell", in_doubt=True)
_LOST = SendResult(None, SendOutcome.TRANSIENT, "the connection was lost", in_doubt=True)
_ALL_STORED = SendResult(0x0000, SendOutcome.STORED, "stored")
_FOUND = SendResult(None, SendOutcome.STORED, "the service has it")


class StowTarget:
    """``timeout``: how long it is waited for."""

    def __init__(self, settings: StowDestinationSettings, timeout: httpx.Timeout = TIMEOUT) -> None:
        self._settings = settings
        self._timeout = timeout
        self._authorization = authorization_of(settings)  # keeps its token from one to the next

    @property
    def name(self) -> str:
        return self._settings.name

    def abilities(self, sop_classes: Iterable[str]) -> Abilities:
        return Abilities(Telling.UNTOLD)

    def send(self, objects: Sequence[Blob], take: Sink, wanted: Wanted = every) -> None:
        letters = []
        for index, one in enumerate(objects):
            try:
                letters.append(read_letter(index, one))
            except Unreadable as error:
                take(index, SendResult(None, SendOutcome.REFUSED, error.reason))
        settings = self._settings
        with client.opened(settings, self._authorization, self._timeout) as http:
            exchange = _Exchange(self.name, http, take)
            for batch in requests(
                letters, settings.max_request_objects, settings.max_request_bytes
            ):
                still = [one for one in batch if wanted(one.index)]
                if still:
                    exchange.send(still)

    def held(self, objects: Sequence[Blob]) -> frozenset[int]:
        try:
            letters = [read_letter(index, one) for index, one in enumerate(objects)]
            with client.opened(self._settings, self._authorization) as http:
                return held(self.name, http, letters)
        except PeerUnavailable as error:
            raise Unaskable(error.reason) from error
        except Unreadable as error:
            raise Unaskable(error.reason) from error

    def probe(self) -> float:
        """Stores nothing, by a request without any instance: whoever stores would answer it."""
        started = time.monotonic()
        with client.opened(self._settings, self._authorization, client.TIMEOUT) as http:
            answer = _posted(http, [])
        _check(self.name, answer)
        return time.monotonic() - started


# --- one request ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after_s: float


def _posted(http: httpx.Client, letters: Sequence[Letter]) -> _Answer:
    """Raises httpx.HTTPError, PeerUnavailable, SettingsError, Unreadable."""
    body = Body(letters)
    headers = {"Accept": ACCEPT, **body.headers}
    with http.stream("POST", "/studies", content=body, headers=headers) as answer:
        told = b""
        for chunk in answer.iter_bytes():
            told += chunk
            if len(told) > MOST_ANSWER_BYTES:
                raise httpx.ReadError("an answer without end")
        wait_s = _seconds(answer.headers.get("Retry-After", ""), datetime.now(UTC))
        return _Answer(answer.status_code, told, wait_s)


def _seconds(retry_after: str, now: datetime) -> float:
    """RFC 9110 10.2.3: seconds, or a date; 0 for neither."""
    if retry_after.isascii() and retry_after.isdecimal():
        return min(float(retry_after), LONGEST_WAIT_S)
    try:
        then = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return min(max((then - now).total_seconds(), 0.0), LONGEST_WAIT_S)


def _check(name: str, answer: _Answer) -> None:
    """Whether it was answered by a service that stores.

    Raises
    ------
    PeerUnavailable
    """
    status = answer.status
    if status in REDIRECTS:
        fault = PeerFault.REJECTED
        reason = f"answers {status}, and sends elsewhere: give the address where the service is"
    elif status in NOT_LET_IN:
        fault, reason = PeerFault.REJECTED, f"does not let this node in ({status})"
    elif status in NOT_HERE:
        fault, reason = PeerFault.REJECTED, f"takes nothing at its url ({status})"
    elif status in (*NOT_NOW, *UNCERTAIN):
        fault, reason = PeerFault.UNREACHABLE, f"is not ready ({status})"
    else:
        return
    raise PeerUnavailable(
        name, fault, reason, status in UNCERTAIN, retry_after_s=answer.retry_after_s
    )


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Requests to one service, whose answers are taken object by object."""

    name: str
    http: httpx.Client
    take: Sink

    def send(self, batch: Sequence[Letter]) -> None:
        """
        Raises
        ------
        PeerUnavailable
        httpx.HTTPError
        """
        try:
            answer = _posted(self.http, batch)
        except Unreadable as error:
            self._leave_out(batch, error)
            return
        except client.NOTHING_ASKED:
            raise
        except BaseException:
            self._all(batch, _LOST)
            raise
        said = store_answer.read(answer.body)
        left = batch if said is None else self._take_named(batch, said)
        if left:
            self._take_rest(batch, left, answer, said)
        if answer.status in NOT_NOW:
            _check(self.name, answer)

    def _leave_out(self, batch: Sequence[Letter], error: Unreadable) -> None:
        """A file went away while it was sent: the request ended in its middle.

        What the service kept of it comes again, and is the same.
        """
        self.take(error.index, SendResult(None, SendOutcome.REFUSED, error.reason))
        rest = [one for one in batch if one.index != error.index]
        if rest:
            self.send(rest)

    def _take_named(self, batch: Sequence[Letter], said: StoreAnswer) -> list[Letter]:
        """Take what was said of objects; gives those of which nothing was."""
        for one in batch:
            result = said.by_instance.get(one.sop_instance_uid)
            if result is not None:
                self.take(one.index, result)
        return [one for one in batch if one.sop_instance_uid not in said.by_instance]

    def _take_rest(
        self,
        batch: Sequence[Letter],
        left: Sequence[Letter],
        answer: _Answer,
        said: StoreAnswer | None,
    ) -> None:
        """Of these the answer says nothing but by its status."""
        status = answer.status
        if status in UNCERTAIN:
            self._all(left, _IN_DOUBT)
        _check(self.name, answer)
        if status in STORED:
            if said is None:
                self._ask_instead(left, if_unaskable=_IN_DOUBT if answer.body else _ALL_STORED)
            else:
                self._all(left, _IN_DOUBT)
        elif len(batch) > 1:  # one of them may be what is wrong with the request
            self._one_by_one(left, may_be_stored=status >= _FAULT_THERE)
        elif said is not None and said.others:
            self._all(left, said.others[0])
        elif status >= _FAULT_THERE:
            reason = f"the service answers {status}"
            self._all(left, SendResult(None, SendOutcome.TRANSIENT, reason, in_doubt=True))
        else:
            reason = f"the service answers {status}, and gives no reason"
            self._all(left, SendResult(None, SendOutcome.REFUSED, reason))

    def _one_by_one(self, left: Sequence[Letter], may_be_stored: bool) -> None:
        """Send again what a request came to nothing with; what is not begun then is as it was."""
        for place, one in enumerate(left):
            try:
                self.send([one])
            except (httpx.HTTPError, PeerUnavailable, SettingsError):
                if may_be_stored:
                    self._all(left[place + 1 :], _IN_DOUBT)
                raise

    def _ask_instead(self, left: Sequence[Letter], if_unaskable: SendResult) -> None:
        """The status says that all are stored, the answer names none: it is looked for them."""
        try:
            there = held(self.name, self.http, left)
        except Unaskable:
            self._all(left, if_unaskable)
            return
        except (httpx.HTTPError, PeerUnavailable, SettingsError):  # or who gives out tokens is away
            self._all(left, _LOST)
            raise
        for place, one in enumerate(left):
            self.take(one.index, _FOUND if place in there else _IN_DOUBT)

    def _all(self, letters: Iterable[Letter], result: SendResult) -> None:
        for one in letters:
            self.take(one.index, result)


# --- what it has ----------------------------------------------------------------------------------


def held(name: str, http: httpx.Client, letters: Sequence[Letter]) -> frozenset[int]:
    """Which objects the service has, by their place in the sequence; asked series by series.

    Raises
    ------
    Unaskable
    httpx.HTTPError
    """
    asking = Asking(name, http, ends=lambda: False)
    found: set[tuple[str, str]] = set()
    for (study, series), group in groupby(sorted(letters, key=_series_of), key=_series_of):
        wanted = [one.sop_instance_uid for one in group]
        path = f"/studies/{study}/series/{series}/instances"
        keys = {"SOPInstanceUID": wanted[0]} if len(wanted) == 1 else {}
        try:
            matches = list(asking.matches(path, "SOPInstanceUID", keys))
        except NoMatches as error:
            raise Unaskable(str(error)) from error
        found |= {(series, one["SOPInstanceUID"]) for one in matches}
    return frozenset(
        place
        for place, one in enumerate(letters)
        if (one.series_instance_uid, one.sop_instance_uid) in found
    )


def _series_of(letter: Letter) -> tuple[str, str]:
    return letter.study_instance_uid, letter.series_instance_uid
