"""A worker that was cut off while it made further forms: what it had made before goes out.

A crash, a limit of time or of memory in a picture must not hold up the segmentation and the report.
"""

from __future__ import annotations

from dataclasses import replace

from node.results import kept
from node.work.executor import Outcome, Ticket, Verdict


def outcome_of(ticket: Ticket, why: str) -> Outcome | None:
    """What the job comes to all the same; None where it was cut off before all objects were made.

    why: what ended the worker; it is said of each form.
    """
    if not ticket.is_kept or not ticket.forms:
        return None
    known = kept.objects(ticket.started_at, ticket.place)
    if known is None:
        return None
    unmade = dict.fromkeys(ticket.forms, f"the worker was ended while forms were made: {why}")
    known = replace(known, results=replace(known.results, unmade=unmade))
    with ticket.place.making() as folder:  # so that it survives a power cut
        (folder / kept.OBJECTS).unlink()
    kept.write(known, ticket.started_at, ticket.place)
    return Outcome(Verdict.DONE, known.results, forms=ticket.forms)
