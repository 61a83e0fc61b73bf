"""Evaluates rule sets: which conclusions hold, on which values, and what could not be decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from analyzers.annotation.conditions import Scene, Truth
from analyzers.annotation.rules import Rule, RuleSet
from analyzers.contract import Statement, Volume


@dataclass(frozen=True, slots=True)
class Conclusions:
    """statements: what holds. undecided: sentences on rules that lacked a fact.

    considered: how often a rule found all it looks at reported.
    """

    statements: tuple[Statement, ...]
    undecided: tuple[str, ...]
    considered: int


def conclude(sets: Iterable[RuleSet], volume: Volume) -> Conclusions:
    """All conclusions of the rule sets for what is reported of a study, in the order of the files.

    A rule is passed over in silence when a condition is unmet or speaks of what nobody reported;
    one that only lacks a fact (the age, say) is named as undecided.
    """
    statements: list[Statement] = []
    undecided: list[str] = []
    considered = 0
    for one in sets:
        for rule in one.rules:
            for scene in _scenes(rule, volume):
                judgements = [condition.judge(scene) for condition in rule.when]
                truths = {judgement.truth for judgement in judgements}
                if Truth.ABSENT in truths:
                    continue
                considered += 1
                because = tuple(judgement.because for judgement in judgements)
                if truths == {Truth.MET}:
                    statements.append(_statement(one, rule, because))
                elif truths == {Truth.MET, Truth.UNKNOWN}:
                    gaps = [each.because for each in judgements if each.truth is Truth.UNKNOWN]
                    undecided.append(f"{one.title}, {rule.name}: not decided, {', '.join(gaps)}.")
    return Conclusions(tuple(statements), tuple(dict.fromkeys(undecided)), considered)


def _scenes(rule: Rule, volume: Volume) -> list[Scene]:
    whole = Scene(volume)
    if not rule.for_each:
        return [whole]
    return [Scene(volume, structure) for structure in whole.structures(rule.for_each)]


def _statement(source: RuleSet, rule: Rule, because: tuple[str, ...]) -> Statement:
    return Statement(
        conclusion=rule.conclusion,
        text=rule.text,
        rule=f"{source.name}: {rule.name}",
        because=because,
        source=source.source,
    )
