"""Puts the node together from its settings, starts it in the order of the data's way, stops it."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from analyzers import devices
from analyzers.contract import AnalyzerError
from node import exposure, parts, proofs
from node.auditing import Auditing
from node.cautions import cautions
from node.clock import Clock, system_clock
from node.config.settings import Settings
from node.dimse import tls_in_use
from node.dimse.receivers.pool import Callbacks
from node.dimse.tls import ServerTls
from node.errors import AlreadyRunning, NodeError, SettingsError
from node.fetch.arrivals import Arrivals
from node.fetch.asked import source_names
from node.intake.completion import Completion
from node.intake.planning import Planner, tells_not_applicable
from node.loop import Loop
from node.news import NewsWatch
from node.observe.durations import Timings
from node.observe.health import Health
from node.observe.metrics import IndexQueue, Metrics, ReceptionCounts
from node.observe.rush import Rush
from node.observe.shared import Shared
from node.observe.tracing import both, tracing
from node.ohif.installed import Viewer
from node.receive.indexer import Indexer, recover
from node.retention import Folders
from node.retrieve.series_metadata import SeriesMetadata
from node.web.server import WebServer, provide_files
from node.work.dispatcher import Dispatcher
from node.work.local import LocalExecutor
from storage import events, ledger, outbox, quarantine
from storage.database import Transaction, open_database
from storage.errors import DatabaseUnavailable, FolderTaken
from storage.files.archive import Archive
from storage.files.instances import InstanceStore
from storage.files.results import ResultStore
from storage.people.kept_notes import NotesFolder
from storage.quarantine import Refused
from storage.records import InstanceRecord, Level, Topic

if TYPE_CHECKING:
    from fastapi import FastAPI

    from node.web.access.logins import Logins
    from node.web.context import Away

log = structlog.get_logger(__name__)

STOP_S = 10.0
SHOWN_FOR_S = 1.0
"""How old what the status page and lists show may be: open tabs share it."""


class Node:
    """A running node. ``start`` gives once it listens and answers; ``stop`` drains and ends it."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock = system_clock,
        prove_every_s: float = proofs.EVERY_S,
    ) -> None:
        exposure.check(settings)
        _check_device(settings.workers.device)  # named error now, not in the first job
        self.settings = settings
        self._clock = clock
        self._cautions = cautions(settings)
        self.health = Health(clock)
        self._own_ae_title = f"P{secrets.token_hex(7)}".upper()  # nobody else can guess it
        self.database = open_database(settings.database_url())
        self.store = InstanceStore(
            settings.storage.instances, settings.quarantine_dir, settings.storage.sync
        )
        self.results = ResultStore(settings.results_dir, settings.quarantine_dir)
        self._shelf = parts.metadata_shelf(settings, self.store)
        self._metadata = SeriesMetadata(
            self.database, Archive(self.store.blobs, self.results.blobs), self._shelf
        )
        self._notes = NotesFolder(settings.notes_dir)
        self._lock()
        self._watch = NewsWatch(self.database)
        self._watching = parts.watching(self._watch, self.health)
        self._timings = Timings()
        self._tracing = tracing(settings.tracing.endpoint, self.title, parts.node_version())
        self._passed = both(self._timings.passed, self._tracing)
        self._auditing = Auditing(settings, self.database, self.health, clock, self._timings)
        self._make_intake()
        self._make_work()
        self._make_delivery()
        self._make_fetching()
        self._make_watches()
        self.logins: Logins | None = None
        self._of_logins: list[Loop] = []
        self.web = self._make_web()
        self._proofs = proofs.loops(self._what_proves(), self.health, prove_every_s)

    @property
    def title(self) -> str:
        return self.settings.node.ae_title

    def start(self) -> None:
        """Listen, and answer over the web."""
        self.listen()
        self.answer()

    def listen(self) -> None:
        """Recover what an abrupt end left, then start every stage, the listener last."""
        self._recover()
        self._auditing.start()
        self._indexer.start()
        for loop in self._loops():
            loop.start()
        self._dispatching.start()
        try:
            self.web.listen()
            self.server.start()
            provide_files(self.settings.http.max_connections)  # beside those for associations
        except NodeError:
            self.stop()  # what was begun ends in order: no delivery is cut off
            raise
        for proof in self._proofs:
            proof.start()
        for caution in self._cautions:
            log.warning("caution", what=caution)
        log.info("node_listens", ae_title=self.title, port=self.server.port, http=self.web.port)

    def answer(self) -> None:
        """Answer over the web. What is read for it – half a second of imports – is wanted by no
        modality: whoever connects meanwhile waits."""
        try:
            self.web.start()
        except BaseException:  # whatever it is: nothing is received without a page that tells of it
            self.stop()
            raise
        for loop in self._of_logins:
            loop.start()

    def stop(self) -> None:
        """Refuse new associations, let running ones end, then end every stage."""
        log.info("node_stops")
        drained_at = time.monotonic() + self.settings.dimse.drain_timeout_s
        self.uploads.close(timeout_s=0)
        self.server.drain(self.settings.dimse.drain_timeout_s)
        self.uploads.close(drained_at - time.monotonic())
        for proof in self._proofs:
            proof.stop(timeout_s=0)
        self.dispatcher.stop()
        self._executor.stop()
        self._dismiss()
        self._ahead.stop()
        for loop in self._loops():
            loop.stop(STOP_S)
        self._ahead.close()
        if self._dispatching.is_alive():
            self._dispatching.join(STOP_S)
        self._indexer.stop()
        self.web.stop()
        if self.logins is not None:
            with contextlib.suppress(DatabaseUnavailable):  # then a few mistakes are forgiven
                self.logins.signing_in.keep()
        self._auditing.stop()
        if self._tracing is not None:
            self._tracing.stop()
        self._release()
        self._unlock()

    # --- the parts, in the order of the data's way ------------------------------------------------

    def _make_intake(self) -> None:
        """Receive, index, complete: from the wire to jobs in the ledger."""
        heartbeat = self.health.part("indexer")
        self._arrivals = Arrivals()
        self._indexer = Indexer(
            self.database, self.store, heartbeat, self.results.blobs, self._passed
        )
        self.server = parts.server(
            self.settings,
            self._own_ae_title,
            self.database,
            self.store,
            Archive(self.store.blobs, self.results.blobs),
            self._callbacks(),
            self._clock,
            self._auditing.trail,
        )
        self.uploads = parts.uploads(self.settings, self.store, self._callbacks(), self._clock)
        self._told = parts.told(
            self.settings,
            self.database,
            self.uploads.receiver,
            self._open_studies,
            self._clock,
            lambda: self._completing.wake(),
        )
        self._completion = Completion(
            self.database,
            self.settings.completion,
            Planner(self.settings.rules, self.settings.analyzers),
            self._open_studies,
            self._clock,
            self._indexer.open_studies,
            self._passed,
            self._told.vouched,
            parts.counted(self.settings, self.database, self.store, self._open_studies),
        )
        heartbeat = self.health.part("completion", works_s=parts.PLANNING_S)
        self._completing = Loop(
            self._complete,
            heartbeat,
            self._completion.rest_s,
            news=self._watch.news(self._completion.is_settled),
        )
        self._telling = parts.telling(self._told, self.health)

    def _make_work(self) -> None:
        """From due jobs to results."""
        workers = self.settings.workers
        used = tuple(sorted({name for rule in self.settings.rules for name in rule.analyzers}))
        self._executor = LocalExecutor(workers.slots, workers.device, used)
        self._ahead = parts.ahead(self.settings, self.database, self.store, self._executor)
        self.dispatcher = Dispatcher(
            self.database,
            self.store,
            self.results,
            self._executor,
            workers,
            self._clock,
            self.health.part("dispatcher"),
            self._wake_couriers,
            functools.partial(tells_not_applicable, self.settings.rules),
            parts.maker(self.settings),
            parts.forms(self.settings),
            rules=self.settings.rules,
            passed=self._passed,
            decoded=self._ahead.shelf,
            taken=self._ahead.counts.taken,
            watch=self._watch,
        )
        self._dispatching = threading.Thread(
            target=self.dispatcher.run, name="dispatcher", daemon=True
        )

    def _make_delivery(self) -> None:
        """From results to destinations, and commitment both ways."""
        settings, database, clock = self.settings, self.database, self._clock
        couriers = parts.couriers(
            settings, database, self.results, clock, self._auditing.trail, self._passed
        )
        self._circuits = {name: one.circuit for name, one in couriers.items()}
        self._couriers = parts.delivery_loops(couriers, self.health, self._watch)
        self._askers = parts.askers(settings, database, self.health, clock)
        self._reporter = parts.reporter(
            settings,
            database,
            self.store,
            self.results,
            self.server,
            self.health,
            clock,
            self._watch,
        )

    def _make_fetching(self) -> None:
        """From other archives, at somebody's wish, into the reception."""
        self._fetchers = parts.fetchers(
            self.settings,
            self.database,
            self.uploads.receiver,
            self._arrivals,
            self.health,
            self._clock,
            self._auditing.trail,
            self._watch,
        )
        self._analyses = parts.owed_analyses(
            self.settings,
            self.database,
            self.health,
            self._clock,
            self.dispatcher.wake,
            self._watch,
        )

    def _make_watches(self) -> None:
        settings, database, clock = self.settings, self.database, self._clock
        self._gaps = parts.gap_watch(settings, database, self.health, clock)
        certificates, self._certificates = parts.certificate_watch(
            settings, database, self.health, clock
        )
        folders = Folders(self.store, self.results, self._shelf, settings.logs_dir, self._notes)
        self._retention, self._deleting = parts.retention(
            settings,
            database,
            folders,
            self._open_studies,
            self.health,
            clock,
            self._auditing.trail,
        )
        self._entering = parts.earlier_results(database, self.results, self.health, clock)
        self._noting = parts.noted(database, self._notes, self.health)
        self._correcting = parts.corrections(
            database, self.store, self._shelf, self.health, clock, self._watch
        )
        self._shelving = parts.shelving(
            database, self._metadata, self._shelf, self._is_receiving, self.health, self._watch
        )
        self._decoding = parts.decoding(self._ahead, self.health, self._watch)
        self._metrics = Metrics(
            database,
            self.health,
            self._reception,
            self._index_queue,
            certificates.ends,
            lambda: self._retention.forecast.numbers() if self._retention.forecast else {},
            Shared(fresh_s=SHOWN_FOR_S),
            self._timings,
            self._ahead.counts.numbers,
        )

    def _make_web(self) -> WebServer:
        http = self.settings.http
        tls = ServerTls(tls_in_use.files_of_web(http.tls)) if http.tls else None
        return WebServer(
            self._make_application,
            http.host,
            http.port,
            tls,
            http.trusted_proxy,
            http.max_connections,
        )

    def _make_application(self) -> FastAPI:
        """Who reaches the node by browser, and what he gets."""
        from node.actions import NodeActions
        from node.web.access.no_login import NoLogin
        from node.web.app import WebContext, create_app

        self.logins = self._make_logins()
        self._of_logins = parts.of_logins(self.logins, self.health)
        context = WebContext(
            database=self.database,
            results=self.results,
            archive=Archive(self.store.blobs, self.results.blobs),
            health=self.health,
            title=self.title,
            version=parts.node_version(),
            dimse_host=self.settings.dimse.host,
            dimse_port=lambda: self.server.port,
            uploads=self.uploads,
            metadata=self._metadata,
            max_answers=self.settings.query.max_answers,
            search_limits=parts.search_limits(self.settings),
            destinations=tuple(one.name for one in self.settings.destinations),
            kinds={one.name: one.kind for one in self.settings.destinations},
            sources=source_names(self.settings),
            wake=self._wake_all,
            expected=parts.expected(self.settings),
            metrics=self._metrics.text,
            is_rushed=Rush(lambda: self._reception().stored).is_on,
            indexing=self._indexer.waiting_of,
            catch_up=self._indexer.catch_up,
            is_synced=self.settings.storage.sync,
            cautions=self._cautions,
            actions=NodeActions(self.settings, self.database, self.results, self._clock),
            progress=self._executor.progress,
            settings=self.settings,
            notes=self._notes,
            away=self._away,
            shared=Shared(fresh_s=SHOWN_FOR_S),
            allowed_hosts=self.settings.http.names,
            access=self.logins or NoLogin(),
            logins=self.logins,
            viewer=Viewer(self.settings.viewer_dir, self.settings.viewer.segmentations_as),
            audit=self._auditing.trail,
            timings=self._timings,
            disk=lambda: self._retention.forecast.in_words() if self._retention.forecast else "",
        )
        return create_app(context)

    def _make_logins(self) -> Logins | None:
        from node.web.access.logins import logins

        if not self.settings.http.asks_login:
            return None
        return logins(self.database, self.settings, self._clock, self._auditing.trail)

    def _loops(self) -> list[Loop]:
        return [
            self._watching,
            self._completing,
            *self._telling,
            *self._couriers,
            *self._fetchers,
            self._analyses,
            self._reporter,
            *self._askers,
            self._gaps,
            self._certificates,
            self._entering,
            self._noting,
            self._correcting,
            self._shelving,
            *self._decoding,
            self._deleting,
            *self._of_logins,
            *self._auditing.loops,
        ]

    # --- what they do for each other --------------------------------------------------------------

    def _callbacks(self) -> Callbacks:
        return Callbacks(
            store=self._take,
            quarantined=self._note_quarantine,
            wake_reporter=lambda: self._reporter.wake(),
            recover=lambda name: recover(self.database, self.store, name, self.results.blobs),
            fault=self._note_receiver_fault,
        )

    def _take(self, record: InstanceRecord) -> None:
        """An instance is durable, whichever way it came."""
        self._indexer.submit(record)
        self._arrivals.note(record)

    def _complete(self) -> None:
        if self._completion.step():
            self.dispatcher.wake()

    def _away(self) -> dict[str, Away]:
        """The destinations that do not answer."""
        from node.web.context import Away

        down = {name: (one.down_since, one.probe_at) for name, one in self._circuits.items()}
        return {name: Away(since, again) for name, (since, again) in down.items() if since}

    def _wake_couriers(self) -> None:
        for courier in self._couriers:
            courier.wake()

    def _wake_all(self) -> None:
        self.dispatcher.wake()
        self._wake_couriers()
        for fetcher in self._fetchers:
            fetcher.wake()

    def _open_studies(self) -> frozenset[str]:
        brought = frozenset(self.server.open_studies()) | self.uploads.open_studies()
        return self._indexer.open_studies() | brought | self._arrivals.studies()

    def _is_receiving(self) -> bool:
        return bool(self.server.open_studies()) or self._indexer.backlog()[0] > 0

    def _note_quarantine(self, refused: Refused) -> None:
        with self.database.write() as tx:
            quarantine.enter(tx, self._clock(), refused)

    def _note_receiver_fault(self, reason: str) -> None:
        """A receiver process died, or told what could not be taken: seen until acknowledged."""
        with contextlib.suppress(DatabaseUnavailable), self.database.write() as tx:
            events.record(tx, self._clock(), Level.ALARM, Topic.NODE, 0, "", "receiver", reason)

    def _reception(self) -> ReceptionCounts:
        stored, refused = self.server.counts()
        from_web, refused_from_web = self.uploads.counts()
        return ReceptionCounts(
            len(self.server.associations()),
            stored + from_web,
            refused + refused_from_web,
            self.uploads.live(),
        )

    def _index_queue(self) -> IndexQueue:
        return IndexQueue(*self._indexer.backlog(), self._indexer.indexed)

    # --- start and end ----------------------------------------------------------------------------

    def _lock(self) -> None:
        """Be the one node of this database and these folders, or touch nothing."""
        try:
            if not self.database.try_lock_dispatcher():
                raise AlreadyRunning(
                    "another node works on this database: stop it, or give this one a data_dir of"
                    " its own (node.data_dir)"
                )
            self.store.lock()
            self.results.lock()
        except FolderTaken as error:
            self._unlock()
            raise AlreadyRunning(
                f"{error}: stop it, or give this one folders of its own (node.data_dir,"
                " storage.instances)"
            ) from error
        except Exception:
            self._unlock()
            raise

    def _unlock(self) -> None:
        self.results.unlock()
        self.store.unlock()
        self.database.unlock_dispatcher()
        self.database.close()

    def _recover(self) -> None:
        recover(self.database, self.store, results=self.results.blobs)
        now = self._clock()
        with self.database.write() as tx:
            jobs = ledger.release_running(tx, now)
            outbox.release_sending(tx, now)  # of all destinations: before the first courier claims
            what = f"version {parts.node_version()}"
            events.record(tx, now, Level.INFO, Topic.NODE, 0, "", "started", what)
            for caution in self._cautions:
                events.record(tx, now, Level.WARNING, Topic.NODE, 0, "", "started", caution)
            self._name_lost_destinations(tx, now)
        if jobs:
            log.info("jobs_recovered", jobs=jobs)

    def _name_lost_destinations(self, tx: Transaction, now: datetime) -> None:
        """Results that wait for a destination nobody serves any more: someone must know."""
        known = {one.name for one in self.settings.destinations}
        for name in sorted(outbox.owed(tx) - known):
            reason = f"results wait for destination {name!r}, which is no longer in the settings"
            events.record(tx, now, Level.ALARM, Topic.NODE, 0, "", "started", reason)

    def _release(self) -> None:
        with contextlib.suppress(DatabaseUnavailable), self.database.write() as tx:
            now = self._clock()
            ledger.release_running(tx, now)
            outbox.release_sending(tx, now)
            events.record(tx, now, Level.INFO, Topic.NODE, 0, "started", "stopped", "")

    # --- health -----------------------------------------------------------------------------------

    def _what_proves(self) -> dict[str, Callable[[], None]]:
        return {
            "database": functools.partial(proofs.prove_database, self.database, self._clock),
            "store": self.store.probe,
            "listener": self._prove_listener,
            "dispatcher lock": functools.partial(proofs.prove_lock, self.database, self._step_down),
            "workers": self._executor.prove,
        }

    def _prove_listener(self) -> None:
        self.server.prove()
        proofs.prove_listener(self.settings, lambda: self.server.port, self._own_ae_title)

    def _step_down(self) -> None:
        """Leave jobs, completion and deliveries to the node that has the lock."""
        self.dispatcher.stop()
        self._dismiss()

    def _dismiss(self) -> None:
        """All at once, so that slow destinations are waited for together."""
        for loop in self._loops():
            loop.stop(timeout_s=0)


def _check_device(name: str) -> None:
    if not name.startswith("cuda"):
        return
    try:  # in a process of its own: this one never computes, and holds neither torch nor CUDA
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as asked:
            asked.submit(devices.resolve, name).result()
    except AnalyzerError as error:
        raise SettingsError(f"workers.device: {error}") from error
    except BrokenExecutor as error:  # a driver that does not fit
        reason = "the process that asked whether it is there has died; cpu works without"
        raise SettingsError(f"workers.device: {name}: {reason}") from error
