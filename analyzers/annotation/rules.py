"""Rule sets: TOML files of typed conditions and the conclusions they lead to.

A file has ``title``, ``source`` and a list ``[[rules]]``; a rule has ``name``, ``text``,
``conclusion`` (a code), ``when`` (conditions, all of which must hold) and, to be asked of each
structure that an analyzer reports, ``for_each``. A table ``[counted]`` says how certain the marks
of an analyzer must be for the whole set. Nothing in a file is evaluated as code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from analyzers.annotation.certainty import Counted
from analyzers.annotation.conditions import (
    SERIES_FIELDS,
    SUBJECT_UNITS,
    AnswerIs,
    Bounds,
    Condition,
    CountIs,
    IsWhole,
    MeasurementIs,
    SeriesIs,
    SexIs,
    SubjectIs,
)
from analyzers.annotation.units import UnknownUnit, require_known
from analyzers.contract import AnalyzerError, Code

_LIMITS = ("at_least", "above", "at_most", "below")
_KINDS = ("measurement", "answer_to", "subject", "series", "count", "shown")


class BrokenRules(AnalyzerError):
    """A rule file cannot be used; the message names file, rule and fault."""


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions met: the conclusion holds.

    for_each: analyzer whose structures it is asked of, one by one; empty: of the whole study.
    """

    name: str
    text: str
    conclusion: Code
    when: tuple[Condition, ...]
    for_each: str = ""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """counted: how certain a mark must be for these rules; None: every mark counts."""

    name: str
    title: str
    source: str
    rules: tuple[Rule, ...]
    counted: Counted | None = None


def shipped() -> tuple[str, ...]:
    """The names of the rule sets that come with the node."""
    folder = resources.files(__package__) / "rulesets"
    return tuple(sorted(one.name.removesuffix(".toml") for one in folder.iterdir()))


def load_shipped(name: str) -> RuleSet:
    """
    Raises
    ------
    BrokenRules
        There is no such set.
    """
    if name not in shipped():
        raise BrokenRules(f"no rule set is called {name!r}; there are {', '.join(shipped())}")
    text = (resources.files(__package__) / "rulesets" / f"{name}.toml").read_text("utf-8")
    return parse(name, text)


def load_file(path: Path) -> RuleSet:
    """
    Raises
    ------
    BrokenRules
    """
    try:
        return parse(path.stem, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenRules(f"{path.name}: cannot be read ({type(error).__name__})") from error


def parse(name: str, text: str) -> RuleSet:
    """A rule set from TOML.

    Raises
    ------
    BrokenRules
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BrokenRules(f"{name}: {error}") from error
    whole = _Table(name, table)
    rules = whole.tables("rules")
    if not rules:
        raise BrokenRules(f"{name}: holds no rule")
    found = RuleSet(
        name=name,
        title=whole.text("title"),
        source=whole.text("source"),
        rules=tuple(_rule(rule) for rule in rules),
        counted=_counted(whole.table("counted")) if "counted" in whole else None,
    )
    whole.finish()
    return found


class _Table:
    """A TOML table whose keys are taken one by one; what is left over is a fault."""

    def __init__(self, where: str, table: Mapping[str, Any]) -> None:
        self.where = where
        self._left = dict(table)

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def fault(self, what: str) -> BrokenRules:
        return BrokenRules(f"{self.where}: {what}")

    def take(self, key: str) -> Any:
        if key not in self._left:
            raise self.fault(f"{key} is missing")
        return self._left.pop(key)

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fault(f"{key} must be a text")
        return value

    def number(self, key: str) -> float:
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(f"{key} must be a number")
        return float(value)

    def texts(self, key: str) -> frozenset[str]:
        value = self.take(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise self.fault(f"{key} must be a list of texts")
        return frozenset(value)

    def tables(self, key: str) -> list[_Table]:
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.fault(f"{key} must be a list of tables")
        return [_Table(f"{self.where}, {key}[{number}]", one) for number, one in enumerate(value)]

    def table(self, key: str) -> _Table:
        value = self.take(key)
        if not isinstance(value, dict):
            raise self.fault(f"{key} must be a table")
        return _Table(f"{self.where}, {key}", value)

    def finish(self) -> None:
        if self._left:
            raise self.fault(f"unknown: {', '.join(sorted(self._left))}")


def _counted(table: _Table) -> Counted:
    least = table.number("least_certainty")
    if not 0 < least <= 1:
        raise table.fault("least_certainty must be a number above 0, at most 1")
    found = Counted(table.text("analyzer"), table.text("question"), least)
    table.finish()
    return found


def _rule(table: _Table) -> Rule:
    code = table.table("conclusion")
    conclusion = Code(code.text("value"), code.text("scheme"), code.text("meaning"))
    code.finish()
    conditions = table.tables("when")
    if not conditions:
        raise table.fault("when holds no condition")
    rule = Rule(
        name=table.text("name"),
        text=table.text("text"),
        conclusion=conclusion,
        when=tuple(_condition(one) for one in conditions),
        for_each=table.text("for_each") if "for_each" in table else "",
    )
    table.finish()
    return rule


def _condition(table: _Table) -> Condition:
    kinds = [kind for kind in _KINDS if kind in table]
    if len(kinds) != 1:
        raise table.fault(f"one of {', '.join(_KINDS)} is needed")
    readers = {
        "measurement": _measurement,
        "answer_to": _answer,
        "subject": _subject,
        "series": _series,
        "count": _count,
        "shown": _shown,
    }
    condition = readers[kinds[0]](table)
    table.finish()
    return condition


def _measurement(table: _Table) -> Condition:
    code = table.text("measurement")
    analyzer = table.text("analyzer") if "analyzer" in table else ""
    return MeasurementIs(code, _bounds(table, table.text("unit")), analyzer)


def _answer(table: _Table) -> Condition:
    question, answers = table.text("answer_to"), table.texts("one_of")
    probability = table.number("least_probability") if "least_probability" in table else 0.0
    return AnswerIs(question, answers, probability)


def _subject(table: _Table) -> Condition:
    field = table.text("subject")
    if field == "sex":
        return SexIs(table.texts("one_of"))
    if field not in SUBJECT_UNITS:
        raise table.fault(f"subject is {field!r}, one of sex, {', '.join(SUBJECT_UNITS)} is known")
    return SubjectIs(field, _bounds(table, table.text("unit")))


def _series(table: _Table) -> Condition:
    field = table.text("series")
    if field not in SERIES_FIELDS:
        raise table.fault(f"series is {field!r}, one of {', '.join(SERIES_FIELDS)} is known")
    return SeriesIs(field, table.texts("one_of"))


def _count(table: _Table) -> Condition:
    return CountIs(table.text("count"), _bounds(table, "1"))


def _shown(table: _Table) -> Condition:
    if table.text("shown") != "whole":
        raise table.fault('shown can only be "whole"')
    return IsWhole()


def _bounds(table: _Table, unit: str) -> Bounds:
    try:
        require_known(unit)
    except UnknownUnit as error:
        raise table.fault(str(error)) from error
    limits = {key: table.number(key) for key in _LIMITS if key in table}
    if not limits:
        raise table.fault(f"a limit is needed: {', '.join(_LIMITS)}")
    return Bounds(unit, **limits)
