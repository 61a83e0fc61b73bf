"""What was found becomes objects and forms in the place of its job, with a record of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from analyzers import devices, registry
from node.results import identity, kept, reported
from node.results.errors import GateRefused
from node.results.kept import Kept
from node.results.write import write_results
from node.work import further, manifest
from node.work.executor import Outcome, Ticket, Verdict
from node.work.further import Run
from storage.records import JobResults


def written(ticket: Ticket, run: Run) -> Outcome:
    """The objects and forms of what was found; of findings whose objects are out, forms alone.

    Raises the errors of ``node.results.errors``, and ``further.SaidOtherwise``.
    """
    outcome = Outcome(
        Verdict.DONE,
        forms=ticket.forms,
        decoders=identity.decoders(run.source),
        said=run.said,
    )
    with ticket.place.making() as folder:
        before = further.made_before(ticket, run) if ticket.is_further else None
        if before is None:
            return replace(outcome, results=_all(ticket, run, folder))
        results = further.beside(before, run, ticket.forms, folder)
    return replace(outcome, results=results, made_from=before.made_from)


def made_from(ticket: Ticket, device: str, decoders: tuple[str, ...]) -> Mapping[str, Any]:
    """All that went in, as the record of the job keeps it."""
    found_on = device if ticket.notice or ticket.above else devices.resolve(device)
    return manifest.of(complete(ticket), found_on, decoders).content()


def complete(ticket: Ticket) -> Ticket:
    """With the digest of the models, which an older node did not enter with the job."""
    if ticket.weights or ticket.notice or ticket.above:
        return ticket
    return replace(ticket, weights=registry.weights(ticket.analyzer))


def _all(ticket: Ticket, run: Run, folder: Path) -> JobResults:
    """While the forms are made, what was made before them is on record."""
    record = folder / kept.OBJECTS
    record.unlink(missing_ok=True)  # of a run that was cut off

    def keep(made: JobResults) -> None:
        reported.write(run.findings, run.source.headers[0], folder)
        if ticket.is_kept and ticket.forms:
            went_in = made_from(ticket, run.provenance.device, identity.decoders(run.source))
            known = Kept(Verdict.DONE, ("",), made, went_in, run.said)
            kept.write(known, ticket.started_at, ticket.place, kept.OBJECTS)

    try:
        results = write_results(
            run.source, run.findings, run.provenance, folder, ticket.forms, keep
        )
    except GateRefused:
        reported.write(run.findings, run.source.headers[0], folder)  # with what is set aside
        raise
    record.unlink(missing_ok=True)
    return results
