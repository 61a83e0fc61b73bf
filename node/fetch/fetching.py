"""Fetches, one after the other, what somebody wants of one source: looks for it, leaves out what is
here, has the rest sent, and says how many came of how many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from node.clock import Clock
from node.fetch.arrivals import Arrivals, Arriving
from node.fetch.audited import FetchTeller
from node.fetch.source import FoundStudy, Source, SourceFault
from storage import fetches, holdings
from storage.database import Database
from storage.errors import DatabaseUnavailable, StoreUnavailable
from storage.fetches import OWED, Counts, Fetch, FetchedStudy, FetchState
from storage.holdings import Selection

log: structlog.stdlib.BoundLogger = structlog.get_logger()

NOTED_EVERY_S = 0.5
"""So often it is written down how far a fetch is, and looked whether it is to end."""
UIDS_AT_ONCE = 500


class Stopping(Exception):
    """The node is to end: the fetch goes on at its next start."""


class Fetching:
    """``step`` is for one thread, of one source."""

    def __init__(
        self,
        source: Source,
        database: Database,
        arrivals: Arrivals,
        clock: Clock,
        beat: Callable[[], None] = lambda: None,
        told: FetchTeller = FetchTeller(),  # noqa: B008  frozen
    ) -> None:
        """``beat`` is called while a fetch goes on, however long it takes."""
        self.stopping = threading.Event()
        self._source = source
        self._database = database
        self._arrivals = arrivals
        self._clock = clock
        self._beat = beat
        self._told = told

    def step(self) -> bool:
        """Carry out the next fetch; true where there was one.

        Raises
        ------
        DatabaseUnavailable
            It is taken up again when the database is back.
        """
        with self._database.read() as tx:
            if not fetches.is_due(tx, self._source.name):
                return False
        with self._database.write() as tx:
            fetch = fetches.claim(tx, self._source.name, self._clock())
        if fetch is None:
            return False
        carried = _Carried(
            fetch,
            self._source,
            self._database,
            self._arrivals,
            self._goes_on,
            self._clock,
            self._told,
        )
        try:
            carried.run()
        except Stopping:
            log.info("fetch_interrupted", fetch=fetch.id, source=self._source.name)
        except (DatabaseUnavailable, StoreUnavailable):
            raise
        except Exception as error:  # border: one fetch must not hold up the others
            log.exception("fetch_fault", fetch=fetch.id, source=self._source.name)
            carried.give_up(f"a fault of this node ({type(error).__name__}), see its log")
        return True

    def _goes_on(self) -> None:
        if self.stopping.is_set():
            raise Stopping
        self._beat()


class _Carried:
    """One fetch on its way."""

    def __init__(
        self,
        fetch: Fetch,
        source: Source,
        database: Database,
        arrivals: Arrivals,
        may_go_on: Callable[[], None],
        clock: Clock,
        told: FetchTeller,
    ) -> None:
        self._told = told
        self._clock = clock
        self._fetch = fetch
        self._source = source
        self._database = database
        self._arrivals = arrivals
        self._may_go_on = may_go_on
        self._counts = Counts()
        self._arriving: Arriving | None = None
        self._is_cancelled = False
        self._noted_at = 0.0
        self._said: dict[str, None] = {}

    def run(self) -> None:
        log.info("fetch_began", fetch=self._fetch.id, source=self._source.name)
        try:
            found = self._source.find(self._fetch.wanted, self._ends)
            self._bring_all(found)
        except SourceFault as fault:
            self.give_up(str(fault))
        else:
            self._end(self._state(found))

    def give_up(self, why: str) -> None:
        """It does not go on; what came until then stays."""
        self._say(why)
        self._end(FetchState.PARTIAL if self._counts.received else FetchState.FAILED)

    def _bring_all(self, found: Sequence[FoundStudy]) -> None:
        held = [self._held(one) for one in found]
        self._counts = Counts(
            studies=len(found),
            expected=sum(len(one.instances) for one in found),
            held=sum(map(len, held)),
        )
        self._note()
        for study, here in zip(found, held, strict=True):
            if not self._ends():
                self._bring(study, here)

    def _bring(self, study: FoundStudy, held: frozenset[str]) -> None:
        wanted = frozenset(study.instances) - held
        missing = study.without(held)
        whole = frozenset(
            one.series_instance_uid for one in study.series if held.isdisjoint(one.instances)
        )
        before = self._counts
        with self._arrivals.of(study.study_instance_uid, wanted) as arriving:
            self._arriving = arriving
            try:
                if missing.series:
                    self._say(self._source.bring(missing, whole, arriving, self._ends))
            finally:
                self._arriving = None
                came = len(arriving.all_came())
                if came:
                    self._told.came(study.study_instance_uid, self._fetch.asked_by)
                self._counts = _plus(before, came)
                self._enter(study, len(wanted) - came)

    def _enter(self, study: FoundStudy, missing: int) -> None:
        is_wanted = bool(self._fetch.analyzer) and not self._is_cancelled
        is_owed = is_wanted and missing < len(study.instances)
        uid, expected = study.study_instance_uid, len(study.instances)
        row = FetchedStudy(uid, None, expected, missing, OWED if is_owed else "")
        with self._database.write() as tx:
            fetches.enter_study(tx, self._fetch.id, row)
            fetches.note(tx, self._fetch.id, self._counts)

    def _held(self, study: FoundStudy) -> frozenset[str]:
        uids = list(study.instances)
        held: set[str] = set()
        for start in range(0, len(uids), UIDS_AT_ONCE):
            some = Selection(sop_uids=tuple(uids[start : start + UIDS_AT_ONCE]))
            with self._database.read() as tx:
                held |= {one.sop_instance_uid for one in holdings.select(tx, some)}
        return frozenset(held)

    # --- how far, and whether to go on ------------------------------------------------------------

    def _ends(self) -> bool:
        """Asked by the source, often."""
        self._may_go_on()
        if time.monotonic() - self._noted_at > NOTED_EVERY_S:
            self._note()
        return self._is_cancelled

    def _note(self) -> None:
        self._noted_at = time.monotonic()
        came = len(self._arriving.all_came()) if self._arriving else 0
        with self._database.write() as tx:
            wants_end = fetches.note(tx, self._fetch.id, _plus(self._counts, came))
        self._is_cancelled = self._is_cancelled or wants_end

    def _say(self, words: str) -> None:
        if words:
            self._said[words] = None

    # --- the end ----------------------------------------------------------------------------------

    def _state(self, found: Sequence[FoundStudy]) -> FetchState:
        counts = self._counts
        if self._is_cancelled:
            return FetchState.CANCELLED
        if not found:
            return FetchState.NOTHING
        if not counts.missing:
            return FetchState.DONE
        return FetchState.PARTIAL if counts.received or counts.held else FetchState.FAILED

    def _end(self, state: FetchState) -> None:
        reason = in_words(self._counts) if self._counts.studies else ""
        if state is FetchState.NOTHING:
            reason = "the source has nothing of the kind"
        if state is not FetchState.DONE:
            reason = "; ".join(filter(None, (reason, *self._said)))
        with self._database.write() as tx:
            fetches.end(tx, self._fetch, state, self._counts, reason, self._clock())
        line = log.info if state is FetchState.DONE else log.warning
        line(
            "fetch_ended",
            fetch=self._fetch.id,
            source=self._source.name,
            state=state.value,
            reason=reason,
        )


def in_words(counts: Counts) -> str:
    """How many came, of how many."""
    studies = "1 study" if counts.studies == 1 else f"{counts.studies} studies"
    instances = "1 instance" if counts.expected == 1 else f"{counts.expected} instances"
    held = f", {counts.held} {_be(counts.held, 'was', 'were')} here already" if counts.held else ""
    missing = counts.missing
    said = f", {missing} {_be(missing, 'is', 'are')} missing" if missing else ""
    return f"{instances} in {studies}: {counts.received} came{held}{said}"


def _be(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def _plus(counts: Counts, came: int) -> Counts:
    return replace(counts, received=counts.received + came)
