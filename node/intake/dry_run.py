"""What the rules would do with a study, and why: for each rule and analyzer, series by series.

Pure: a study's series and the rules go in, sentences come out. No job is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzers import registry
from analyzers.contract import ParameterValues
from node.config.rules import RuleSettings
from node.intake.routing import Decision, SeriesVerdict, in_words, is_foreign, route
from node.wishes import RuleTried, SeriesTried
from storage import index
from storage.database import Transaction
from storage.records import StoredSeries


def dry_run(
    tx: Transaction,
    study_id: int,
    rules: Sequence[RuleSettings],
    common: Mapping[str, ParameterValues],
) -> tuple[RuleTried, ...]:
    """What the rules would do with a stored study, as it is at this moment.

    Raises
    ------
    NotFound
    """
    index.get_study(tx, study_id)
    return tried(index.series_of(tx, study_id), rules, common)


def tried(
    series: Sequence[StoredSeries],
    rules: Sequence[RuleSettings],
    common: Mapping[str, ParameterValues],
) -> tuple[RuleTried, ...]:
    """One for each rule and each of its analyzers, in the order of the rules."""
    installed = {name: registry.info(name) for rule in rules for name in rule.analyzers}
    own = [one for one in series if not is_foreign(one)]
    found: list[RuleTried] = []
    for rule in rules:
        for name in rule.analyzers:
            alone = rule.model_copy(update={"analyzers": (name,)})
            decisions = route(series, (alone,), installed)
            parameters = rule.parameters_of(name, common)
            found.append(_tried(decisions, own, installed[name].title, parameters))
    return tuple(found)


def _tried(
    decisions: Sequence[Decision],
    own: Sequence[StoredSeries],
    title: str,
    parameters: ParameterValues,
) -> RuleTried:
    first = decisions[0]
    chosen = [one.chosen for one in decisions if one.chosen is not None]
    return RuleTried(
        rule=first.rule.name,
        analyzer=first.analyzer,
        title=title,
        runs=bool(chosen),
        fires=first.fired,
        words=_outcome(first, chosen),
        series=(
            *(SeriesTried(one.id, in_words(one), "runs on it") for one in chosen),
            *(
                SeriesTried(one.id, in_words(one), "fits; another suits the analyzer better")
                for one in first.fitting
            ),
            *(_refused(one, "meets the rule, but not the analyzer") for one in first.refused),
            *(_refused(one, "does not meet the rule") for one in first.unmatched),
            *(SeriesTried(one.id, in_words(one), "made by a node like this one") for one in own),
        ),
        destinations=first.rule.destinations,
        parameters=parameters,
    )


def _outcome(first: Decision, chosen: Sequence[StoredSeries]) -> str:
    if chosen:
        return f"runs on {', '.join(in_words(one) for one in chosen)}"
    if first.refused:
        return "fires, but no series fits the analyzer: it would end as not applicable"
    return "does not fire"


def _refused(verdict: SeriesVerdict, outcome: str) -> SeriesTried:
    return SeriesTried(verdict.series.id, in_words(verdict.series), outcome, verdict.reasons)
