"""From the settings to the parts of the node that need more than one line to be made."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydicom.uid import MediaStorageDirectoryStorage

from node.audit.trail import Trail
from node.clock import Clock
from node.config.destinations import DimseDestinationSettings
from node.config.dimse import MIB
from node.config.settings import Settings
from node.delivery import known
from node.delivery.audited import DeliveryTeller
from node.delivery.commitment_reports import CommitmentReporter
from node.delivery.delivery import Courier
from node.delivery.pace import Pace
from node.delivery.prospects import Prospect, prospects
from node.delivery.result_commitment import CommitmentAsker
from node.delivery.targets.made import target_of
from node.dimse import contexts, tls_in_use
from node.dimse.association.server import AssociationServer
from node.dimse.entity import Entity
from node.dimse.receivers.pool import Callbacks, ReceiverPool
from node.dimse.receivers.process import ProcessSettings
from node.dimse.scu import peers
from node.dimse.scu.sender import Timeouts
from node.dimse.services import offered
from node.dimse.services.commitment import CommitmentService
from node.dimse.services.offered import Means
from node.fetch.analyses import OwedAnalyses
from node.fetch.arrivals import Arrivals
from node.fetch.audited import FetchTeller
from node.fetch.dimse_source import DimseSource
from node.fetch.fetching import Fetching
from node.fetch.source import Source
from node.fetch.told import Told
from node.intake.corrections import Corrections
from node.intake.counted import Counted
from node.intake.earlier_results import EarlierResults
from node.intake.noted import Noted
from node.loop import Loop
from node.news import LOOK_S, NewsWatch
from node.observe import logs
from node.observe.certificates import CertificateWatch
from node.observe.gaps import GapWatch
from node.observe.health import Health
from node.observe.passages import Passed
from node.query.search import Limits
from node.receive.failure_reasons import TRANSFER_SYNTAX_NOT_SUPPORTED
from node.receive.file_reception import Outcome
from node.receive.offer import Offer
from node.receive.reception import Receiver
from node.receive.uploads import Uploads
from node.results.modules.source import Maker
from node.retention import Folders, Retention
from node.retrieve.series_metadata import SeriesMetadata
from node.retrieve.shelving import Shelving
from node.statuses import SOP_CLASS_NOT_SUPPORTED
from node.work.ahead import Ahead
from node.work.executor import Executor
from node.work.stages import Stage
from storage.abilities import KnownAbilities
from storage.database import Database, Transaction
from storage.files.archive import Archive
from storage.files.decoded_shelf import DecodedShelf
from storage.files.instances import InstanceStore
from storage.files.metadata_shelf import MetadataShelf
from storage.files.port import Instances, Metadata, Results
from storage.files.serial import serial_of
from storage.index import OpenStudy
from storage.kinds import ObjectKind
from storage.people.kept_notes import NotesFolder
from storage.records import Job

if TYPE_CHECKING:
    from node.web.access.logins import Logins

IDLE_S = 2.0
"""How long what delivers rests when it is not woken."""
REPORTS_S = 0.5
AHEAD_S = 0.5
GAPS_S = 15.0
TOLD_S = 0.5
PROMPT = Timeouts(connect_s=5, negotiation_s=5, response_s=10, network_s=10)
"""For questions whose answer only saves waiting."""
RETENTION_S = 5.0
CERTIFICATES_S = 3600.0
EARLIER_S = 3600.0

RECHECKED_S = 30.0
MISTAKES_S = 2.0
TRANSFER_S = 900.0
"""How long sending one job's objects, or hashing what is to be committed to, may take."""
PLANNING_S = 300.0


def server(
    settings: Settings,
    own_ae_title: str,
    database: Database,
    store: Instances,
    archive: Archive,
    callbacks: Callbacks,
    clock: Clock,
    trail: Trail,
) -> AssociationServer | ReceiverPool:
    """Who receives and answers: in this process, or in several of its own."""
    entity = _entity(settings, own_ae_title)
    if settings.dimse.processes > 1:
        made = _process_settings(settings, entity, archive)
        return ReceiverPool(settings.dimse.processes, made, entity, callbacks)
    means = Means(database, clock, archive, entity, callbacks.wake_reporter)
    return AssociationServer(
        entity,
        store,
        sink=callbacks.store,
        on_quarantined=callbacks.quarantined,
        services=offered.services(means),
        composites=offered.composites(means),
        trail=trail,
    )


def uploads(
    settings: Settings, store: InstanceStore, callbacks: Callbacks, clock: Clock
) -> Uploads:
    """Who receives over the web: this process, beside the receiver processes if there are such."""
    if settings.dimse.processes > 1:  # they place instances too: it has to agree with them
        storage = settings.storage
        store = InstanceStore(storage.instances, settings.quarantine_dir, storage.sync, "web")
    receiver = Receiver(
        store,
        callbacks.store,
        callbacks.quarantined,
        clock,
        settings.storage.min_free_mb * MIB,
        settings.dimse.max_instance_bytes,
    )
    return Uploads(receiver, refusal, settings.dimse.network_timeout_s)


_DIRECTORY = "a DICOMDIR lists the files of a medium and holds no image: bring those files"


def refusal(offer: Offer) -> Outcome | None:
    """Taken over the web is what a presentation context could be accepted for."""
    uids = offer.sop_class_uid, offer.sop_instance_uid
    if offer.sop_class_uid == MediaStorageDirectoryStorage:
        return Outcome(SOP_CLASS_NOT_SUPPORTED, _DIRECTORY, *uids)
    if not contexts.is_storage(offer.sop_class_uid):
        return Outcome(SOP_CLASS_NOT_SUPPORTED, "a SOP class of no study", *uids)
    if offer.transfer_syntax_uid not in contexts.TRANSFER_SYNTAXES:
        return Outcome(TRANSFER_SYNTAX_NOT_SUPPORTED, "an unknown transfer syntax", *uids)
    return None


def _entity(settings: Settings, own_ae_title: str) -> Entity:
    return Entity(
        settings.node.ae_title,
        settings.dimse,
        settings.peers,
        settings.dimse_destinations,
        settings.storage.min_free_mb,
        settings.query,
        own_ae_title,
    )


def _process_settings(
    settings: Settings, entity: Entity, archive: Archive
) -> Callable[[str], ProcessSettings]:
    prepare = functools.partial(logs.configure, settings.logs_dir, settings.node.log_level)
    return lambda name: ProcessSettings(
        name,
        entity,
        settings.storage.instances,
        settings.quarantine_dir,
        settings.storage.sync,
        settings.database_url(),
        archive,
        prepare,
        audit=settings.audit_dir,
    )


def couriers(
    settings: Settings,
    database: Database,
    results: Results,
    clock: Clock,
    trail: Trail,
    passed: Passed,
) -> dict[str, Courier]:
    """One for each destination, by its name."""
    return {
        one.name: Courier(
            target_of(one, settings.node.ae_title),
            database,
            results,
            clock,
            asks_commitment=isinstance(one, DimseDestinationSettings) and one.commitment,
            pace=Pace(one.max_per_minute, one.max_bytes_per_minute),
            wish=known.wish_of(one),
            retraction=one.retract or "",
            told=DeliveryTeller(trail, passed, database, one, settings.node.ae_title),
        )
        for one in settings.destinations
    }


def forms(settings: Settings) -> Callable[[Transaction, Job], tuple[ObjectKind, ...]]:
    """The further forms of a job's findings that its destinations may need."""
    wishes = {one.name: known.wish_of(one) for one in settings.destinations}
    return lambda tx, job: known.forms_wanted(tx, job.destinations, wishes)


def expected(settings: Settings) -> Callable[[KnownAbilities], tuple[Prospect, ...]]:
    """What a destination gets, by what it takes and what the settings want."""
    wishes = {one.name: known.wish_of(one) for one in settings.destinations}
    return lambda able: prospects(able, wishes[able.destination])


def fetchers(
    settings: Settings,
    database: Database,
    receiver: Receiver,
    arrivals: Arrivals,
    health: Health,
    clock: Clock,
    trail: Trail,
    watch: NewsWatch,
) -> list[Loop]:
    """What fetches, one for each source: the archives, the web archives and the destinations."""
    title = settings.node.ae_title
    found: list[Source] = [
        DimseSource(peers.destination_peer(one, title), title, receiver)
        for one in settings.entities
    ]
    if settings.web_services:
        from node.fetch.web_source import WebSource

        found += [WebSource(one, receiver, refusal) for one in settings.web_services]
    loops = []
    for source in found:
        heartbeat = health.part(f"fetching from {source.name}", works_s=TRANSFER_S)
        told = FetchTeller(trail, source.name, title)
        made = Fetching(source, database, arrivals, clock, heartbeat.beat, told)
        loops.append(Loop(made.step, heartbeat, IDLE_S, made.stopping, watch.news()))
    return loops


def told(
    settings: Settings,
    database: Database,
    receiver: Receiver,
    open_studies: Callable[[], Set[str]],
    clock: Clock,
    on_complete: Callable[[], None],
) -> Told:
    """What the archives say that send studies and are asked what they have."""
    title = settings.node.ae_title
    tellers = {
        one.ae_title: DimseSource(peers.destination_peer(one, title), title, receiver, PROMPT)
        for one in settings.archives
        if one.tells_what_it_has
    }
    return Told(tellers, database, open_studies, clock, on_complete)


def counted(
    settings: Settings,
    database: Database,
    store: InstanceStore,
    open_studies: Callable[[], Set[str]],
) -> Callable[[Sequence[OpenStudy]], Sequence[OpenStudy]]:
    """Which open studies have as many images as they say; none where they are not believed."""
    if not settings.completion.own_numbers:
        return lambda studies: ()
    return Counted(database, store.blobs, open_studies).vouched


def telling(told: Told, health: Health) -> list[Loop]:
    """Asks them; nothing runs where there are none."""
    if not told.has_tellers:
        return []
    heartbeat = health.part("what senders tell", works_s=TRANSFER_S)
    return [Loop(told.step, heartbeat, TOLD_S)]


def watching(watch: NewsWatch, health: Health) -> Loop:
    """Looks for all of them whether something was written."""
    return Loop(watch.step, health.part("news"), LOOK_S)


def owed_analyses(
    settings: Settings,
    database: Database,
    health: Health,
    clock: Clock,
    wake: Callable[[], None],
    watch: NewsWatch,
) -> Loop:
    """Enters the jobs that were wanted with a fetch."""
    made = OwedAnalyses(database, settings.rules, settings.analyzers, clock, wake)
    heartbeat = health.part("analyses of what is fetched", works_s=PLANNING_S)
    return Loop(made.step, heartbeat, IDLE_S, news=watch.news())


def delivery_loops(found: Mapping[str, Courier], health: Health, watch: NewsWatch) -> list[Loop]:
    """What keeps the couriers going."""
    loops = []
    for name, courier in found.items():
        heartbeat = health.part(f"delivery to {name}", works_s=TRANSFER_S)
        news = watch.news(courier.is_settled)
        loops.append(Loop(courier.deliver_once, heartbeat, IDLE_S, news=news))
    return loops


def askers(
    settings: Settings,
    database: Database,
    health: Health,
    clock: Clock,
) -> list[Loop]:
    """One for each destination that is asked to commit to results."""
    loops = []
    for one in settings.dimse_destinations:
        if one.commitment:
            peer = peers.destination_peer(one, settings.node.ae_title)
            asker = CommitmentAsker(peer, database, CommitmentService(database, clock), clock)
            heartbeat = health.part(f"commitment of {one.name}", works_s=TRANSFER_S)
            loops.append(Loop(asker.ask_once, heartbeat, IDLE_S))
    return loops


def reporter(
    settings: Settings,
    database: Database,
    store: Instances,
    results: Results,
    receiving: AssociationServer | ReceiverPool,
    health: Health,
    clock: Clock,
    watch: NewsWatch,
) -> Loop:
    """Commits to instances, and reports to who asked."""
    made = CommitmentReporter(
        database,
        store,
        results.blobs,
        receiving.open_associations,
        peers.report_peers(
            settings.node.ae_title,
            settings.dimse.tls,
            settings.peers,
            settings.dimse_destinations,
        ),
        clock,
        settings.commitment.missing_wait_s,
    )
    heartbeat = health.part("commitment reports", works_s=TRANSFER_S)
    news = watch.news(made.is_settled)
    return Loop(made.step, heartbeat, REPORTS_S, made.stopping, news)


def retention(
    settings: Settings,
    database: Database,
    folders: Folders,
    open_studies: Callable[[], Set[str]],
    health: Health,
    clock: Clock,
    trail: Trail,
) -> tuple[Retention, Loop]:
    """Deletes by the rules and by hand, and its loop."""
    stopping = threading.Event()
    keeper = Retention(
        database, folders, settings.retention, open_studies, clock, stopping.wait, trail
    )
    heartbeat = health.part("retention", works_s=TRANSFER_S)
    return keeper, Loop(keeper.step, heartbeat, RETENTION_S, stopping)


def corrections(
    database: Database,
    store: Instances,
    shelf: Metadata,
    health: Health,
    clock: Clock,
    watch: NewsWatch,
) -> Loop:
    """Puts accepted corrections in place."""
    made = Corrections(database, store, shelf, clock)
    heartbeat = health.part("corrections", works_s=TRANSFER_S)
    return Loop(lambda: made.step() > 0, heartbeat, RETENTION_S, news=watch.news())


def maker(settings: Settings) -> Maker:
    """As whom the node makes results. Raises StoreUnavailable, OutOfSpace."""
    said = settings.results
    return Maker(
        institution=said.institution,
        department=said.department,
        station=said.station or settings.node.ae_title,
        serial=said.serial or serial_of(settings.node.data_dir),
        language=said.language,
    )


def search_limits(settings: Settings) -> Limits:
    """Of one search over the web: those of C-FIND."""
    return Limits(settings.query.max_headers, settings.query.max_search_s)


def metadata_shelf(settings: Settings, store: InstanceStore) -> MetadataShelf:
    """Ends before receiving has to: it leaves twice the room that is kept free."""
    least = 2 * settings.storage.min_free_mb * MIB
    return MetadataShelf(settings.metadata_dir, lambda: store.has_room(least))


def ahead(
    settings: Settings, database: Database, store: InstanceStore, executor: Executor
) -> Ahead:
    """Decodes what comes compressed, where there is a job to want it and room for it."""
    room = settings.storage.decoded_mb * MIB if settings.rules else 0
    least = 2 * settings.storage.min_free_mb * MIB
    shelf = DecodedShelf(settings.metadata_dir, room, least) if room else None

    def is_reading() -> bool:
        return any(one.stage is Stage.READING for one in executor.progress().values())

    return Ahead(database, store.blobs, shelf, is_reading)


def decoding(made: Ahead, health: Health, watch: NewsWatch) -> list[Loop]:
    """Its loop; none where there is nothing for it to do."""
    if made.shelf is None:
        return []
    heartbeat = health.part("decoding ahead", works_s=TRANSFER_S)
    return [Loop(made.step, heartbeat, AHEAD_S, news=watch.news(made.is_settled))]


def shelving(
    database: Database,
    metadata: SeriesMetadata,
    shelf: Metadata,
    is_receiving: Callable[[], bool],
    health: Health,
    watch: NewsWatch,
) -> Loop:
    """Puts metadata on the shelf."""
    stopping = threading.Event()
    made = Shelving(database, metadata, shelf, is_receiving, stopping.wait)
    heartbeat = health.part("metadata", works_s=TRANSFER_S)
    return Loop(made.step, heartbeat, IDLE_S, stopping, watch.news(made.is_settled))


def earlier_results(database: Database, results: Results, health: Health, clock: Clock) -> Loop:
    """Enters what an older version left; then it has nothing to do."""
    made = EarlierResults(database, results, clock)
    heartbeat = health.part("earlier results", fresh_s=EARLIER_S + 60)
    return Loop(made.step, heartbeat, EARLIER_S)


def noted(database: Database, folder: NotesFolder, health: Health) -> Loop:
    """Renews the files of notes after the start; then it has nothing to do."""
    made = Noted(database, folder)
    return Loop(made.step, health.part("notes", fresh_s=EARLIER_S + 60), EARLIER_S)


def gap_watch(settings: Settings, database: Database, health: Health, clock: Clock) -> Loop:
    """Looks for what was left behind on its way."""
    watch = GapWatch(database, settings.completion.gap_alarm_s, clock)
    return Loop(watch.step, health.part("gap watch", works_s=PLANNING_S), GAPS_S)


def certificate_watch(
    settings: Settings, database: Database, health: Health, clock: Clock
) -> tuple[CertificateWatch, Loop]:
    """Looks at the ends of certificates, and its loop."""
    watch = CertificateWatch(
        tls_in_use.paths(settings),
        database,
        clock,
        faults=lambda: tls_in_use.faults(settings),
    )
    heartbeat = health.part("certificates", fresh_s=CERTIFICATES_S + 60)
    return watch, Loop(watch.step, heartbeat, CERTIFICATES_S)


def of_logins(made: Logins | None, health: Health) -> list[Loop]:
    """What keeps wrong passwords, and what asks the provider of accounts again, where there is
    one."""
    if made is None:
        return []
    loops = [Loop(made.signing_in.keep, health.part("wrong passwords"), MISTAKES_S)]
    if made.elsewhere is not None and made.elsewhere.rechecking.is_wanted:
        heartbeat = health.part(
            "accounts of the provider", fresh_s=RECHECKED_S + 60, works_s=TRANSFER_S
        )
        loops.append(Loop(made.elsewhere.rechecking.step, heartbeat, RECHECKED_S))
    return loops


def node_version() -> str:
    """Of the installed distribution."""
    return version("wetread")
