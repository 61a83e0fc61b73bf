"""One job inside a worker: series → volume → findings → checked result files.

Runs in a process of its own. Models stay loaded from one job to the next.
"""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import structlog

from analyzers import answer, borders, devices, freed, registry, repeatability
from analyzers.contract import Analyzer, AnalyzerError, Findings, NotApplicable, Reported, Volume
from analyzers.preload import preload
from node.errors import awaited, is_transient
from node.observe.redaction import redacted
from node.results import identity, kept, reported
from node.results.errors import DerivedUnsupported, GateRefused
from node.results.files import APART
from node.results.kept import Kept
from node.results.modules.source import Provenance
from node.results.study.write import write_retraction, write_summary
from node.results.write import load_tables, write_notice
from node.series import parts
from node.series.decoded import Shelf
from node.series.examined import require_one_patient
from node.series.geometry import UndecodablePixels, UnsupportedSeries
from node.series.read import read_headers, read_series
from node.series.source import Source
from node.work import failures, further, incomplete, stages, writing
from node.work.executor import Outcome, Retraction, Summary, Ticket, Verdict
from node.work.further import Run, SaidOtherwise
from node.work.stages import Stage
from storage.records import JobResults

log = structlog.get_logger(__name__)

_TRACEBACK_CHARS = 20_000


def perform(ticket: Ticket, device: str, began: Callable[[], None] = lambda: None) -> Outcome:
    """Run a ticket; whatever goes wrong comes back as an outcome, with the traceback.

    ``began`` is called once the analyzer is loaded: what it holds by then is not the job's.
    """
    started = time.monotonic()
    try:
        outcome = _outcome(ticket, device, began)
    except MemoryError:
        trace = traceback.format_exc()
        outcome = _failed("not enough memory for this series", trace, transient=True)
    except AnalyzerError as error:
        outcome = _failed(
            str(error), traceback.format_exc(), told=failures.FAULTY, waits_for=awaited(error)
        )
    except Exception as error:  # noqa: BLE001 - the border of a job: a plugin may raise anything
        outcome = _failed(
            failures.raised(error),
            traceback.format_exc(),
            is_transient(error),
            failures.STOPPED,
            awaited(error),
        )
    except BaseException as error:  # noqa: BLE001 - sys.exit in a plugin must not end the worker
        reason = failures.ended(error)
        outcome = _failed(reason, traceback.format_exc(), told=failures.STOPPED)
    return replace(outcome, seconds=time.monotonic() - started)


def prepare() -> None:
    """Load what every job needs, so that it is no job's memory."""
    freed.give_back()
    load_tables()


def warm_up(names: tuple[str, ...], device: str) -> None:
    """Load analyzers before the first job needs them."""
    for name in names:
        loaded(name, devices.resolve(device))


@cache
def loaded(name: str, device: str) -> Analyzer:
    """The worker's own instance of an analyzer: built once, kept."""
    kind = registry.load(name)
    registry.weights(name)  # known from here on: those that are read now
    preload(kind.__module__)
    return kind(device)


def _outcome(ticket: Ticket, device: str, began: Callable[[], None]) -> Outcome:
    """What the job comes to; it is kept beside the results, for the next that has their key."""
    found = _found_again(ticket) if ticket.is_kept else None
    if found is not None:
        return found
    outcome = _worked_out(ticket, device, began)
    if ticket.is_kept and outcome.results.objects:
        reasons = ticket.notice.reasons if ticket.notice else (outcome.reason,)
        made_from = outcome.made_from or writing.made_from(ticket, device, outcome.decoders)
        known = Kept(outcome.verdict, reasons, outcome.results, made_from, outcome.said)
        kept.write(known, ticket.started_at, ticket.place)
    if outcome.results.unmade:
        ticket.place.set_apart(f"forms-{ticket.job_id}-{secrets.token_hex(4)}", APART)
    return outcome


def _found_again(ticket: Ticket) -> Outcome | None:
    """What the job came to before the database was lost; None where it has to be worked out."""
    known = kept.read(ticket.started_at, ticket.place)
    if known is None:
        return None
    if ticket.notice is not None:
        is_it = (known.verdict, known.reasons) == (ticket.notice.verdict, ticket.notice.reasons)
    else:
        is_it = known.verdict != Verdict.FAILED
    if not is_it:
        return None
    kept.write(known, ticket.started_at, ticket.place)
    log.info("results_found_again", job=ticket.job_id, objects=len(known.results.objects))
    reason = "" if known.verdict == Verdict.DONE else "; ".join(known.reasons)
    made = {one.kind for one in known.results.objects}
    forms = tuple(one for one in ticket.forms if one in made)
    return Outcome(Verdict(known.verdict), known.results, reason, forms=forms)


def _worked_out(ticket: Ticket, device: str, began: Callable[[], None]) -> Outcome:
    if ticket.notice is not None:
        return _notice(ticket, device)
    if ticket.above is not None:
        return _above(ticket, ticket.above)
    stages.enter(Stage.LOADING)
    analyzer = loaded(ticket.analyzer, devices.resolve(device))
    began()
    return _analysis(analyzer, ticket, device)


def _above(ticket: Ticket, wanted: Summary | Retraction) -> Outcome:
    """What the node itself says of a study: no analyzer is asked, no pixel read."""
    source = Source(headers=read_headers(ticket.instances), frames=(), volume=None)
    provenance = _provenance(ticket, "cpu")
    try:
        if isinstance(wanted, Summary):
            return _summed_up(ticket, wanted, source, provenance)
        with ticket.place.making() as folder:
            results = write_retraction(source, wanted.objects, wanted.reason, provenance, folder)
    except GateRefused as error:
        return _refused(ticket, error)
    return Outcome(Verdict.DONE, results, forms=ticket.forms)


def _summed_up(ticket: Ticket, wanted: Summary, source: Source, provenance: Provenance) -> Outcome:
    """Raises GateRefused."""
    before = kept.last(ticket.place) if ticket.is_further else None

    def write(folder: Path) -> JobResults:
        return write_summary(source, wanted.members, provenance, folder, ticket.forms)

    with ticket.place.making() as folder:
        if before is None:
            return Outcome(Verdict.DONE, write(folder), forms=ticket.forms)
        made = further.summed_up_beside(before, write, folder)
    return Outcome(Verdict.DONE, made.results, forms=ticket.forms, made_from=made.made_from)


def _analysis(analyzer: Analyzer, ticket: Ticket, device: str) -> Outcome:
    found = devices.resolve(device)
    if analyzer.version != ticket.analyzer_version:
        return _failed(
            f"the job is for version {ticket.analyzer_version}, {analyzer.version} is installed:"
            " send the study again"
        )
    if ticket.weights and registry.weights(ticket.analyzer) != ticket.weights:
        return _failed(
            f"{ticket.analyzer} was trained anew since the job was entered: send the study again"
        )
    ticket = writing.complete(ticket)
    stages.enter(Stage.READING)
    try:
        shelf = Shelf(ticket.decoded)
        alone = read_series(ticket.instances, shelf, ticket.volume_of)
        source = replace(alone, companions=_companions(ticket, alone, shelf))
        findings = _analyze(analyzer, source, ticket)
        findings = replace(findings, remarks=(*_said_first(ticket), *findings.remarks))
    except UndecodablePixels as error:
        return _failed(str(error), traceback.format_exc(), waits_for=awaited(error))
    except (UnsupportedSeries, NotApplicable) as error:
        return _not_applicable(ticket, device, (*_said_first(ticket), str(error)))
    stages.enter(Stage.WRITING)
    provenance = replace(_provenance(ticket, found), earlier=_earlier(ticket))
    run = Run(source, findings, provenance, identity.digest_of(findings))
    try:
        decoded_before = (shelf.hits, shelf.misses)
        return replace(writing.written(ticket, run), decoded_before=decoded_before)
    except DerivedUnsupported as error:
        return _not_applicable(ticket, device, (str(error),))
    except GateRefused as error:
        return _refused(ticket, error)
    except SaidOtherwise as error:
        return _failed(str(error))


def _said_first(ticket: Ticket) -> tuple[str, ...]:
    """What was analyzed, where that is not all that one would think."""
    return (*incomplete.sentences(ticket.missing), *parts.sentences(ticket.part))


def _refused(ticket: Ticket, error: GateRefused) -> Outcome:
    """What the gate refuses is set aside, for a person to decide."""
    reason = f"{error}{_set_aside(ticket, error)}"
    trace, missing = traceback.format_exc(), awaited(error)
    return _failed(reason, trace, told=failures.REFUSED, waits_for=missing)


def _set_aside(ticket: Ticket, refusal: GateRefused) -> str:
    """Move what the gate refused out of the way of delivery; gives where, in words.

    What an earlier run made, and is delivered perhaps, stays.
    """
    aside = f"job-{ticket.job_id}-{secrets.token_hex(4)}"
    if refusal.results is not None:
        known = Kept(Verdict.DONE, refusal.conditions, refusal.results)
        kept.write(known, ticket.started_at, ticket.place, kept.REFUSED)
    earlier = kept.files(ticket.place)
    return f" (kept in quarantine as {aside})" if ticket.place.set_aside(aside, earlier) else ""


def _analyze(analyzer: Analyzer, source: Source, ticket: Ticket) -> Findings:
    if source.volume is None:
        raise UnsupportedSeries("the series has no pixels")
    parameters = registry.parameters(ticket.analyzer, ticket.parameters)
    analyzer.inputs.require_units(source.volume)
    analyzer.inputs.require_age(source.volume)
    analyzer.inputs.require_plain(source.volume)
    source.volume.stored.flags.writeable = False
    companions = {role: one.volume for role, one in source.companions.items() if one.volume}
    volume = replace(source.volume, companions=companions, reported=_reported(ticket))
    from analyzers.anatomy import standing  # a worker's alone: it brings OpenCV

    with stages.analyzing():
        found = answer.checked(analyzer.analyze(volume, parameters), volume)
        found = _with_input(found, analyzer, volume)
        found = standing.told(borders.told(found, volume), volume)
        return repeatability.told(found, analyzer.name, analyzer.version)


def _with_input(found: Findings, analyzer: Analyzer, volume: Volume) -> Findings:
    """The findings, with what the input contract says of input that it accepted."""
    return replace(
        found,
        remarks=(*analyzer.inputs.remarks(volume), *found.remarks),
        cautions=(*analyzer.inputs.cautions(volume), *found.cautions),
    )


def _companions(ticket: Ticket, beside: Source, shelf: Shelf) -> dict[str, Source]:
    """The other series of the patient that make volumes; one that does not is as good as absent."""
    found: dict[str, Source] = {}
    contracts = registry.info(ticket.analyzer).companions if ticket.companions else {}
    for role, images in ticket.companions.items():
        try:
            source = read_series(images, shelf)
            require_one_patient((*beside.headers[:1], *source.headers[:1]))
            if source.volume is not None and role in contracts:
                contracts[role].require_units(source.volume)
        except (UnsupportedSeries, NotApplicable) as error:
            log.info("companion_left_out", job=ticket.job_id, role=role, why=type(error).__name__)
            continue
        if source.volume is not None:
            source.volume.stored.flags.writeable = False
            found[role] = source
    return found


def _earlier(ticket: Ticket) -> tuple[Reported, ...]:
    """What the predecessor reported, as far as it is still kept; nothing where it is damaged."""
    if ticket.earlier is None:
        return ()
    try:
        return reported.read(*ticket.earlier)
    except (KeyError, TypeError, ValueError):
        log.warning("earlier_report_damaged", job=ticket.job_id)
        return ()


def _reported(ticket: Ticket) -> tuple[Reported, ...]:
    return tuple(
        finding for analyzer, file in ticket.reported for finding in reported.read(analyzer, file)
    )


def _not_applicable(ticket: Ticket, device: str, reasons: tuple[str, ...]) -> Outcome:
    return _notice(ticket.as_notice(Verdict.NOT_APPLICABLE, reasons), device)


def _notice(ticket: Ticket, device: str) -> Outcome:
    notice = ticket.notice
    if notice is None:
        raise ValueError("the ticket carries no notice")
    results = JobResults()
    if ticket.notices:
        source = Source(headers=read_headers(ticket.instances), frames=(), volume=None)
        verdict = "failed" if notice.verdict is Verdict.FAILED else "not applicable"
        provenance = _provenance(ticket, device)
        with ticket.place.making() as folder:
            results = write_notice(
                source, verdict, notice.reasons, provenance, folder, ticket.forms
            )
    return Outcome(notice.verdict, results, "; ".join(notice.reasons))


def _failed(
    reason: str, trace: str = "", transient: bool = False, told: str = "", waits_for: str = ""
) -> Outcome:
    return Outcome(
        Verdict.FAILED,
        reason=redacted(reason),
        traceback=redacted(trace[-_TRACEBACK_CHARS:]),
        transient=transient,
        waits_for=waits_for,
        told=told,
    )


def _provenance(ticket: Ticket, device: str) -> Provenance:
    return Provenance(
        analyzer=ticket.analyzer,
        analyzer_version=ticket.analyzer_version,
        analyzer_title=ticket.title or ticket.analyzer,
        parameters=ticket.parameters,
        device=device,
        node_version=version("wetread"),
        key=ticket.key,
        started_at=ticket.started_at,
        family=ticket.family,
        predecessor=ticket.predecessor,
        maker=ticket.maker,
        weights=ticket.weights,
        inputs=ticket.inputs_digest,
    )
