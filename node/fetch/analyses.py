"""Analyses that somebody wanted of what was fetched: entered as jobs once the study is complete.

A job that the rules have entered for the same is the one that was wanted: it is not run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from analyzers import registry
from analyzers.contract import AnalyzerError, ParameterValues
from node.clock import Clock
from node.config.rules import RuleSettings
from node.intake.planning import Planner
from storage import fetches, ledger
from storage.database import Database
from storage.errors import DatabaseUnavailable
from storage.fetches import OwedAnalysis

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class OwedAnalyses:
    """``step`` is for one thread. ``wake`` is called when jobs are due."""

    def __init__(
        self,
        database: Database,
        rules: tuple[RuleSettings, ...],
        parameters: Mapping[str, ParameterValues],
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._rules = rules
        self._parameters = parameters
        self._clock = clock
        self._wake = wake

    def step(self) -> bool:
        """Enter the jobs that are owed; true where there were any.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._database.read() as tx:
            owed = fetches.owed_analyses(tx)
        for one in owed:
            self._enter_or_say_why(one)
        if owed:
            self._wake()
        return bool(owed)

    def _enter_or_say_why(self, owed: OwedAnalysis) -> None:
        try:
            self._enter(owed)
        except DatabaseUnavailable:
            raise
        except AnalyzerError as error:
            self._settle(owed, f"not analyzed: {error}")
        except Exception as error:  # border: one study must not hold up the others
            log.exception("analysis_not_planned", fetch=owed.fetch_id)
            self._settle(owed, f"not analyzed: a fault of this node ({type(error).__name__})")

    def _enter(self, owed: OwedAnalysis) -> None:
        name = owed.analyzer
        if name not in registry.names():
            self._settle(owed, f"not analyzed: no analyzer is called {name!r}")
            return
        rule = RuleSettings(name=f"fetch {owed.fetch_id}", analyzers=(name,))
        planner = Planner((*self._rules, rule), self._parameters)
        with self._database.read() as tx:
            plan = planner.plan(tx, owed.study_id, self._clock())
        jobs = [job for job in plan.jobs if job.analyzer == name]
        with self._database.write() as tx:
            if owed not in fetches.owed_analyses(tx):
                return  # a late image has opened the study again
            entered = ledger.enqueue_all(tx, jobs, plan.at)
            words = f"job {entered[0]}" if entered else _why(bool(jobs), plan.note)
            fetches.settle_analysis(tx, owed, words)
        log.info("analysis_entered", fetch=owed.fetch_id, jobs=len(entered))

    def _settle(self, owed: OwedAnalysis, words: str) -> None:
        with self._database.write() as tx:
            fetches.settle_analysis(tx, owed, words)


def _why(is_planned: bool, note: str) -> str:
    return "the same job stands in the ledger already" if is_planned else f"not analyzed: {note}"
