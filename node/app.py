"""Puts the node together from its settings, starts it in the order of the data's way, stops it."""

from __future__ import annotations

import contextlib
import functools
import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Protocol

import structlog

from analyzers import devices
from analyzers.contract import AnalyzerError
from node import network
from node.clock import Clock, system_clock
from node.config import DestinationSettings, Settings
from node.delivery.commitment_reports import CommitmentReporter
from node.delivery.delivery import Courier, Destination, start_couriers
from node.delivery.result_commitment import CommitmentAsker
from node.dimse import sender
from node.dimse.availability import AvailabilityService
from node.dimse.commitment import CommitmentService
from node.dimse.mpps import StepService
from node.dimse.receiver_pool import Callbacks, ReceiverPool
from node.dimse.receiver_process import ProcessSettings
from node.dimse.server import AssociationServer, DimseSettings
from node.errors import AlreadyRunning, NodeError, SettingsError
from node.intake.completion import Completion, Planner
from node.intake.indexer import Indexer, recover
from node.observe import logs
from node.observe.certificates import CertificateWatch
from node.observe.gaps import GapWatch
from node.observe.health import Health, HealthProbe
from node.observe.metrics import IndexQueue, Metrics, Reception
from node.web.app import WebContext, create_app
from node.web.server import WebServer
from node.work.dispatcher import Dispatcher
from node.work.local import LocalExecutor
from storage import events, ledger, outbox, quarantine
from storage.database import Transaction, open_database
from storage.errors import DatabaseUnavailable
from storage.instances import InstanceStore
from storage.quarantine import Refused
from storage.records import Level, Subject
from storage.results import ResultStore

log = structlog.get_logger(__name__)

COMPLETION_STEP_S = 0.25


class _Worker(Protocol):
    """A thread of the one node that works on the database."""

    def stop(self, timeout_s: float) -> object: ...


class Node:
    """A running node. ``start`` gives once it listens; ``stop`` drains and ends it."""

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self._clock = clock
        self._stopping = threading.Event()
        self._probe_ae_title = f"P{secrets.token_hex(7)}".upper()  # nobody else can guess it
        self.health = Health(clock)
        _check_device(settings.workers.device)  # named error now, not in the first job
        self.database = open_database(settings.database_url())
        self.store = InstanceStore(
            settings.storage.instances, settings.quarantine_dir, settings.storage.sync
        )
        self.results = ResultStore(settings.results_dir)
        self._lock_dispatcher()
        self._indexer = Indexer(
            self.database, self.store, lambda reason: self.health.fault("database", reason)
        )
        self._commitment = CommitmentService(self.database, clock, self._wake_reporter)
        self.server = self._make_server()
        self._reporter = CommitmentReporter(
            self.database,
            self.store,
            self.server.open_associations,
            network.report_peers(settings),
            clock,
            settings.commitment.missing_wait_s,
        )
        used = tuple(sorted({name for rule in settings.rules for name in rule.analyzers}))
        self._executor = LocalExecutor(settings.workers.slots, settings.workers.device, used)
        self.dispatcher = Dispatcher(
            self.database, self.store, self.results, self._executor, settings.workers, clock
        )
        planner = Planner(settings.rules, settings.analyzers)
        self._completion = Completion(
            self.database,
            settings.completion,
            planner,
            self._open_studies,
            clock,
            self._indexer.open_studies,
        )
        self._new_results = [threading.Event() for _ in settings.destinations]
        self._couriers = [
            self._make_courier(one, wake)
            for one, wake in zip(settings.destinations, self._new_results, strict=True)
        ]
        self._askers = [
            CommitmentAsker(
                network.peer_of(one, self.title), self.database, self._commitment, clock
            )
            for one in settings.destinations
            if one.commitment
        ]
        self._gaps = GapWatch(self.database, settings.completion.gap_alarm_s, clock)
        self._certificates = CertificateWatch(
            network.tls_paths(settings),
            self.database,
            clock,
            faults=lambda: network.tls_faults(settings),
        )
        self._metrics = Metrics(
            self.database,
            self.health,
            self._reception,
            self._index_queue,
            self._certificates.ends,
        )
        self.web = self._make_web()
        self._probe = HealthProbe(self.health, self._probes())
        self._threads: list[threading.Thread] = []

    @property
    def title(self) -> str:
        return self.settings.node.ae_title

    def start(self) -> None:
        """Recover what an abrupt end left, then start every stage, the listener last."""
        self._recover()
        self._indexer.start()
        start_couriers(self._couriers, self.database, self._clock)
        self._reporter.start()
        for asker in self._askers:
            asker.start()
        self._gaps.start()
        self._certificates.start()
        self._spawn("dispatcher", self.dispatcher.run)
        self._spawn("completion", self._complete_until_stopped)
        self._spawn("wake", self._pass_on_results)
        try:
            self.web.start()
            self.server.start()
        except NodeError:
            self.stop()  # what was begun ends in order: no delivery is cut off
            raise
        self._probe.start()
        if not self.settings.storage.sync:
            log.warning("storage.sync is off: a power cut may take what was acknowledged")
        log.info("node listens", ae_title=self.title, port=self.server.port, http=self.web.port)

    def stop(self) -> None:
        """Refuse new associations, let running ones end, then end every stage."""
        log.info("node stops")
        self.server.drain(self.settings.dimse.drain_timeout_s)
        self._stopping.set()
        self._probe.stop()
        self.dispatcher.stop()
        self._executor.stop()
        self._dismiss_couriers()
        for one in self._workers():
            one.stop(timeout_s=10)
        for thread in self._threads:
            thread.join(timeout=10)
        self._indexer.stop()
        self.web.stop()
        self._release()
        self.database.unlock_dispatcher()
        self.database.close()

    # --- the parts --------------------------------------------------------------------------------

    def _lock_dispatcher(self) -> None:
        if not self.database.try_lock_dispatcher():
            self.database.close()
            raise AlreadyRunning(
                "another node works on this database: stop it, or give this one a data_dir of its"
                " own (node.data_dir)"
            )

    def _make_server(self) -> AssociationServer | ReceiverPool:
        dimse = network.dimse_settings(self.settings, self._probe_ae_title)
        if self.settings.dimse.processes > 1:
            return self._make_receivers(dimse)
        return AssociationServer(
            dimse,
            self.store,
            sink=self._indexer.submit,
            on_quarantined=self._note_quarantine,
            services=(
                self._commitment,
                StepService(self.database, self._clock),
                AvailabilityService(self.database, self._clock),
            ),
        )

    def _make_receivers(self, dimse: DimseSettings) -> ReceiverPool:
        settings = self.settings
        prepare = functools.partial(logs.configure, settings.logs_dir, settings.node.log_level)
        return ReceiverPool(
            settings.dimse.processes,
            lambda name: ProcessSettings(
                name,
                dimse,
                settings.storage.instances,
                settings.quarantine_dir,
                settings.storage.sync,
                settings.database_url(),
                prepare,
            ),
            dimse,
            Callbacks(
                store=self._indexer.submit,
                quarantined=self._note_quarantine,
                wake_reporter=self._wake_reporter,
                recover=lambda name: recover(self.database, self.store, name),
                fault=lambda reason: self.health.fault("listener", reason),
            ),
        )

    def _make_courier(self, settings: DestinationSettings, wake: threading.Event) -> Courier:
        return Courier(
            Destination(
                settings.name,
                settings.ae_title,
                settings.host,
                settings.port,
                settings.commitment,
                network.tls_files(settings),
                settings.tls_name,
            ),
            settings.calling_ae_title or self.title,
            self.database,
            self.results,
            self._clock,
            wake,
        )

    def _wake_reporter(self) -> None:
        self._reporter.wake()

    def _make_web(self) -> WebServer:
        context = WebContext(
            database=self.database,
            results=self.results,
            health=self.health,
            title=self.title,
            version=version("wetread"),
            dimse_host=self.settings.dimse.host,
            dimse_port=lambda: self.server.port,
            destinations=tuple(one.name for one in self.settings.destinations),
            wake=self._wake_all,
            metrics=self._metrics.text,
            indexing=self._indexer.waiting_of,
            is_synced=self.settings.storage.sync,
            allowed_hosts=self.settings.http.names,
        )
        return WebServer(create_app(context), self.settings.http.host, self.settings.http.port)

    # --- loops ------------------------------------------------------------------------------------

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _complete_until_stopped(self) -> None:
        while not self._stopping.wait(COMPLETION_STEP_S):
            try:
                if self._completion.step():
                    self.dispatcher.wake()
            except DatabaseUnavailable as error:
                self.health.fault("database", str(error))
            except Exception as error:  # border: without this loop no study is ever analyzed
                log.exception("completion fault")
                self.health.fault("dispatcher", f"completion fails: {type(error).__name__}")

    def _pass_on_results(self) -> None:
        settled = self.dispatcher.on_settled
        while not self._stopping.is_set():
            if settled.wait(timeout=0.5):
                settled.clear()
                for new_results in self._new_results:
                    new_results.set()

    def _wake_all(self) -> None:
        self.dispatcher.wake()
        self.dispatcher.on_settled.set()

    def _open_studies(self) -> frozenset[str]:
        return self._indexer.open_studies() | frozenset(self.server.open_studies())

    # --- start and end ----------------------------------------------------------------------------

    def _recover(self) -> None:
        recover(self.database, self.store)
        now = self._clock()
        with self.database.write() as tx:
            jobs = ledger.release_running(tx, now)
            events.record(
                tx, now, Level.INFO, Subject.NODE, 0, "", "started", f"version {version('wetread')}"
            )
            self._name_lost_destinations(tx, now)
        if jobs:
            log.info("jobs are due again after an abrupt end", jobs=jobs)

    def _name_lost_destinations(self, tx: Transaction, now: datetime) -> None:
        """Results that wait for a destination nobody serves any more: someone must know."""
        known = {one.name for one in self.settings.destinations}
        for name in sorted(outbox.owed(tx) - known):
            reason = f"results wait for destination {name!r}, which is no longer in the settings"
            events.record(tx, now, Level.ALARM, Subject.NODE, 0, "", "started", reason)

    def _release(self) -> None:
        with contextlib.suppress(DatabaseUnavailable), self.database.write() as tx:
            now = self._clock()
            ledger.release_running(tx, now)
            outbox.release_sending(tx, now)
            events.record(tx, now, Level.INFO, Subject.NODE, 0, "started", "stopped", "")

    def _note_quarantine(self, refused: Refused) -> None:
        with self.database.write() as tx:
            quarantine.enter(tx, self._clock(), refused)

    def _reception(self) -> Reception:
        stored, refused = self.server.counts()
        return Reception(len(self.server.associations()), stored, refused)

    def _index_queue(self) -> IndexQueue:
        return IndexQueue(*self._indexer.backlog(), self._indexer.indexed)

    # --- health -----------------------------------------------------------------------------------

    def _probes(self) -> dict[str, Callable[[], None]]:
        return {
            "database": self._prove_database,
            "store": self.store.probe,
            "listener": self._prove_listener,
            "dispatcher": self._prove_dispatcher,
            "workers": self._executor.prove,
        }

    def _prove_database(self) -> None:
        self.database.prove(self._clock())

    def _prove_listener(self) -> None:
        self.server.prove()
        only_tls = self.settings.dimse.tls is not None and self.settings.dimse.tls.only
        host = self.settings.dimse.host
        here = "127.0.0.1" if only_tls or host in {"0.0.0.0", ""} else host
        sender.echo(
            sender.Peer("self", self.title, here, self.server.port, calling_ae=self._probe_ae_title)
        )

    def _prove_dispatcher(self) -> None:
        if not self.database.keep_dispatcher_lock():
            self._step_down()
            raise AlreadyRunning("another node dispatches on this database now; restart this one")
        silent = self._clock() - self.dispatcher.beat_at
        if silent > timedelta(seconds=30):
            raise TimeoutError(f"no round for {silent.total_seconds():.0f} s")

    def _step_down(self) -> None:
        """Leave jobs, completion and deliveries to the node that has the lock."""
        self._stopping.set()
        self.dispatcher.stop()
        self._dismiss_couriers()

    def _dismiss_couriers(self) -> None:
        """All at once, so that slow destinations are waited for together."""
        for one in self._workers():
            one.stop(timeout_s=0)

    def _workers(self) -> list[_Worker]:
        return [*self._couriers, self._reporter, *self._askers, self._gaps, self._certificates]


def _check_device(name: str) -> None:
    if not name.startswith("cuda"):
        return
    try:
        devices.resolve(name)
    except AnalyzerError as error:
        raise SettingsError(f"workers.device: {error}") from error
