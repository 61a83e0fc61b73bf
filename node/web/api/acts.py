"""What a person can have done, for pages and programs alike: each gives a sentence that says what
was done, or raises what was in the way. Who wanted it stands in the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from starlette.requests import Request

from node.errors import NotPossible
from node.web.access.roles import Role, Who, who
from node.web.api.changing import Changes
from node.web.context import WebContext
from node.wishes import DestinationTried, Wish
from storage import (
    abilities,
    index,
    ledger,
    quarantine,
    reading_state,
    retries,
    selection,
    standing,
    suspension,
)
from storage.errors import NotFound, StorageError
from storage.people import notes
from storage.people.notes import Note
from storage.records import JobState

log: structlog.stdlib.BoundLogger = structlog.get_logger()

NOBODY_NAMED = "a person"


def person(request: Request) -> str:
    """Who asks, as the history names him."""
    return who(request).name or NOBODY_NAMED


class Acts:
    """Every method may be called from any thread. Raises ``NotPossible``, ``StorageError``."""

    def __init__(self, context: WebContext, changes: Changes) -> None:
        self._context = context
        self._changes = changes

    # --- notes and reading ------------------------------------------------------------------------

    def note(self, study_id: int, text: str, author: str) -> Note:
        """A note on a study, which stays as it is."""
        with self._changes.begin() as tx:
            written = notes.write(tx, study_id, text, author, datetime.now(UTC))
        self._keep(study_id)
        return written

    def strike(self, study_id: int, note_id: int, asking: Who) -> Note:
        """A note does not hold any more: its author wants that, or an administrator."""
        is_any = asking.may(Role.ADMINISTRATOR)
        by = asking.name or NOBODY_NAMED
        with self._changes.begin() as tx:
            struck = notes.strike(tx, study_id, note_id, by, datetime.now(UTC), is_any)
        self._keep(study_id)
        return struck

    def mark_read(self, study_id: int, said_by: str, seen: str) -> None:
        """Somebody has seen a study. seen: how it stood for him (``as_it_stands``)."""
        with self._changes.begin() as tx:
            index.get_study(tx, study_id)
            reading_state.mark_read(tx, study_id, datetime.now(UTC), said_by, seen)
        self._keep(study_id)

    def mark_unread(self, study_id: int) -> None:
        """A study counts as not read."""
        with self._changes.begin() as tx:
            index.get_study(tx, study_id)
            reading_state.renew(tx, study_id)
        self._keep(study_id)

    def _keep(self, study_id: int) -> None:
        """What people say of a study, beside the database; notes that cannot be kept now are at the
        next start."""
        if self._context.notes is None:
            return
        try:
            with self._context.database.read() as tx:
                uid = index.get_study(tx, study_id).study_instance_uid
            self._context.notes.renew(self._context.database, uid)
        except StorageError as error:
            log.warning("notes_not_kept", reason=str(error))

    # --- jobs -------------------------------------------------------------------------------------

    def retry(self, job_id: int, said_by: str) -> str:
        """Send again what was refused of a job that came to an end, or else run it again."""
        with self._changes.begin() as tx:
            done = retries.retry(tx, job_id, datetime.now(UTC), said_by).in_words()
        self._changes.wake()
        return done

    def cancel(self, job_id: int, said_by: str, why: str = "") -> str:
        """A job does not run, or does not go on."""
        with self._changes.begin() as tx:
            state = ledger.cancel(tx, job_id, datetime.now(UTC), said_by, why)
        self._changes.wake()
        if state is JobState.RUNNING:
            return f"job {job_id} is being ended"
        return f"job {job_id} is {'done as it was' if state is JobState.DONE else 'cancelled'}"

    def again(
        self, job_id: int, parameters: Mapping[str, Any], said_by: str, beside: bool = False
    ) -> int:
        """Run it with other parameters; gives the new job."""
        entered = self._context.actions.again(job_id, parameters, said_by, beside)
        self._changed()
        return entered

    def analyze(self, wish: Wish) -> int:
        """Run any analyzer on a study; gives the new job."""
        entered = self._context.actions.analyze(wish)
        self._changed()
        return entered

    def now(self, study_id: int, said_by: str) -> str:
        """Run the rules on a study that is not complete."""
        entered = self._context.actions.now(study_id, said_by)
        self._changed()
        jobs = "1 job was" if entered == 1 else f"{entered} jobs were"
        return f"study {study_id} is analyzed as it is: {jobs} entered"

    # --- the queue --------------------------------------------------------------------------------

    def suspend(self, said_by: str, why: str = "") -> str:
        """No job is started any more."""
        with self._changes.begin() as tx:
            is_new = suspension.suspend(tx, datetime.now(UTC), said_by, why)
        words = "the queue is suspended" if is_new else "the queue was suspended already"
        return f"{words}: what runs goes on, nothing more is started"

    def resume(self, said_by: str) -> str:
        """Jobs are started again."""
        with self._changes.begin() as tx:
            was = suspension.resume(tx, datetime.now(UTC), said_by)
        self._changes.wake()
        return "the queue goes on" if was else "the queue was going on already"

    # --- destinations -----------------------------------------------------------------------------

    def try_destination(self, name: str) -> DestinationTried:
        """Ask a destination whether it is there, and what it takes."""
        self._require(name)
        return self._context.actions.try_destination(name)

    def send(self, job_id: int, destination: str) -> str:
        """Have what a destination was not sent of a job considered anew."""
        self._require(destination)
        with self._changes.begin() as tx:
            objects = selection.ask_for(tx, destination, job_id, datetime.now(UTC))
            abilities.forget(tx, destination)
        self._changes.wake()
        return f"{objects} objects of job {job_id} are considered anew for {destination}"

    def send_again(self, destination: str, said_by: str) -> str:
        """All that a destination refused is due again."""
        self._require(destination)
        with self._changes.begin() as tx:
            objects = standing.restart_failed(tx, destination, datetime.now(UTC), said_by)
        self._changes.wake()
        return f"{objects} objects are due to be sent to {destination} again"

    # --- quarantine -------------------------------------------------------------------------------

    def accept(self, quarantined_id: int, whole_study: bool) -> int:
        """Let newer bytes take the place of what is stored; gives how many images."""
        with self._changes.begin() as tx:
            return quarantine.accept(tx, quarantined_id, datetime.now(UTC), whole_study)

    def release(self, name: str, said_by: str, reason: str) -> str:
        """Let a result out that the gate refused."""
        if not reason.strip():
            raise NotPossible("say why it is released: the reason stays in the record")
        objects = self._context.actions.release(name, said_by, reason)
        self._changed()
        return f"released: {objects} objects are owed to the destinations of the job"

    # --- inside -----------------------------------------------------------------------------------

    def _require(self, destination: str) -> None:
        if destination not in self._context.destinations:
            raise NotFound(f"no destination is called {destination!r}")

    def _changed(self) -> None:
        self._context.shared.forget()
        self._changes.wake()
