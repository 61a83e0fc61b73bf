"""Carries out what a person wants of a node that runs, room by room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from node.clock import Clock
from node.config.nearest import nearest
from node.config.settings import Settings
from node.delivery import trying
from node.errors import NotPossible
from node.intake import dry_run
from node.intake.by_hand import ByHand
from node.results import releases
from node.results.releases import RefusedRun, Release
from node.wishes import DestinationTried, RefusedResult, RuleTried, Wish
from storage import ledger
from storage.database import Database, Transaction
from storage.files.results import ResultStore
from storage.restriction import Restriction, is_restricted


class NodeActions:
    """See ``Actions``. Every method may be called from any thread."""

    def __init__(
        self, settings: Settings, database: Database, results: ResultStore, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._results = results
        self._clock = clock
        names = [one.name for one in settings.destinations]
        self._by_hand = ByHand(database, settings.rules, settings.analyzers, names, clock)

    def seen_by(self, restriction: Callable[[], Restriction]) -> NodeActions:
        seen = self._database.seen_by(restriction)
        return NodeActions(self._settings, seen, self._results, self._clock)

    def again(
        self, job_id: int, parameters: Mapping[str, Any], said_by: str, beside: bool = False
    ) -> int:
        return self._by_hand.again(job_id, parameters, said_by, beside)

    def analyze(self, wish: Wish) -> int:
        return self._by_hand.analyze(wish)

    def now(self, study_id: int, said_by: str) -> int:
        return self._by_hand.now(study_id, said_by)

    def dry_run(self, study_id: int) -> Sequence[RuleTried]:
        with self._database.look() as tx:
            return dry_run.dry_run(tx, study_id, self._settings.rules, self._settings.analyzers)

    def try_destination(self, name: str) -> DestinationTried:
        for one in self._settings.destinations:
            if one.name == name:
                return trying.try_destination(one, self._settings.node.ae_title, self._clock)
        known = nearest(name, [one.name for one in self._settings.destinations])
        raise NotPossible(f"no destination is called {name!r}{known}")

    def refused_results(self) -> Sequence[RefusedResult]:
        runs = list(releases.refused_runs(self._settings.quarantine_dir))
        with self._database.look() as tx:
            return [_refused(tx, one) for one in runs if _is_seen(tx, one)]

    def release(self, name: str, said_by: str, reason: str) -> int:
        run = releases.refused_run(self._settings.quarantine_dir, name)
        with self._database.look() as tx:
            if not _is_seen(tx, run):
                raise releases.no_such_run(name)
        wanted = Release(said_by, reason)
        return releases.release(self._database, self._results, run, wanted, self._clock())


def _is_seen(tx: Transaction, run: RefusedRun) -> bool:
    """Whether whoever asks may know of it: of a job that he sees, or he sees all."""
    if run.job_key and ledger.find(tx, run.job_key) is not None:
        return True
    return not is_restricted(tx)


def _refused(tx: Transaction, run: RefusedRun) -> RefusedResult:
    job = ledger.find(tx, run.job_key) if run.job_key else None
    return RefusedResult(
        name=run.name,
        job_id=job.id if job else None,
        conditions=run.conditions,
        objects=len(run.kept.results.objects) if run.kept else 0,
        is_whole=run.kept is not None,
    )
