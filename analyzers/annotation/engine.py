"""Evaluates rule sets: which conclusions hold, on which values, and what could not be decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from analyzers.annotation.certainty import differing, left_out
from analyzers.annotation.conditions import Scene, Truth
from analyzers.annotation.rules import Rule, RuleSet
from analyzers.contract import Statement, Volume


@dataclass(frozen=True, slots=True)
class Conclusions:
    """statements: what holds. undecided: sentences on rules that lacked a fact.

    considered: titles of the sets of which a rule found all it looks at reported. left_out:
    sentences on marks that were not certain enough to count.
    """

    statements: tuple[Statement, ...]
    undecided: tuple[str, ...]
    considered: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def conclude(sets: Iterable[RuleSet], volume: Volume) -> Conclusions:
    """All conclusions of the rule sets for what is reported of a study, in the order of the files.

    What was found on images of another modality is not looked at.

    A rule is passed over in silence when a condition is unmet or speaks of what nobody reported;
    one that only lacks a fact (the age, say) is named as undecided. Where a set counts certain
    marks only, what all marks together would lead to follows as what holds if they are right.
    """
    near = tuple(one for one in volume.reported if one.modality in ("", volume.modality))
    volume = replace(volume, reported=near)
    found = [_of_set(one, volume) for one in sets]
    return Conclusions(
        tuple(each for one in found for each in one.statements),
        tuple(dict.fromkeys(each for one in found for each in one.undecided)),
        tuple(dict.fromkeys(each for one in found for each in one.considered)),
        tuple(each for one in found for each in one.left_out),
    )


def _of_set(one: RuleSet, volume: Volume) -> Conclusions:
    every = _applied(one, volume)
    unsure = left_out(one.counted, volume) if one.counted else None
    if unsure is None or not unsure.marks:
        return every
    sure = _applied(one, unsure.without(volume))
    other = differing(list(sure.statements), list(every.statements))
    return Conclusions(
        (*sure.statements, *(unsure.otherwise(each) for each in other)),
        sure.undecided if sure.considered else every.undecided,
        every.considered,
        (unsure.words(one.title),),
    )


def _applied(one: RuleSet, volume: Volume) -> Conclusions:
    statements: list[Statement] = []
    undecided: list[str] = []
    is_considered = False
    for rule in one.rules:
        for scene in _scenes(rule, volume):
            judgements = [condition.judge(scene) for condition in rule.when]
            truths = {judgement.truth for judgement in judgements}
            if Truth.ABSENT in truths:
                continue
            is_considered = True
            because = tuple(judgement.because for judgement in judgements)
            if truths == {Truth.MET}:
                statements.append(_statement(one, rule, because))
            elif truths == {Truth.MET, Truth.UNKNOWN}:
                gaps = [each.because for each in judgements if each.truth is Truth.UNKNOWN]
                undecided.append(f"{one.title}, {rule.name}: not decided, {', '.join(gaps)}.")
    considered = (one.title,) if is_considered else ()
    return Conclusions(tuple(statements), tuple(undecided), considered)


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
