"""What a person wants of a node, and what it answers: the words between the pages, the API and the
command line on one side and the rooms that carry it out on the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from storage.records import Priority
from storage.restriction import Restriction

BY_HAND = "by hand"
"""What stands in the place of a rule's name."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A study that is to be analyzed. parameters: those that differ from the settings'.

    series_id: None for the series that suits the analyzer best. beside: whether the earlier result
    keeps its place.
    """

    study_id: int
    analyzer: str
    said_by: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    series_id: int | None = None
    destinations: tuple[str, ...] = ()
    priority: Priority = Priority.ROUTINE
    beside: bool = False
    rule: str = BY_HAND
    variant: str = ""


@dataclass(frozen=True, slots=True)
class SeriesTried:
    """What a rule says of one series. reasons: the conditions that it does not meet."""

    series_id: int
    words: str
    """Which it is: its number and how many images it has, or which part of it."""
    outcome: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleTried:
    """What a rule would have an analyzer do with a study."""

    rule: str
    analyzer: str
    title: str
    runs: bool
    fires: bool
    words: str
    series: tuple[SeriesTried, ...]
    destinations: tuple[str, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a destination does with a kind of objects. why_not: empty where it takes it."""

    name: str
    sop_classes: tuple[str, ...]
    syntaxes: tuple[str, ...]
    why_not: str


@dataclass(frozen=True, slots=True)
class DestinationTried:
    """How a destination answered just now."""

    name: str
    answers: bool
    words: str
    seconds: float = 0.0
    takes: tuple[Taken, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedResult:
    """What a job made and the output gate refused. is_whole: whether it can be released."""

    name: str
    job_id: int | None
    conditions: tuple[str, ...]
    objects: int
    is_whole: bool


class Actions(Protocol):
    """What pages and programs can have done, beside what is one row of the database.

    Each raises ``NotPossible`` where a condition is not met, and has changed nothing then, and
    ``StorageError``.
    """

    def seen_by(self, restriction: Callable[[], Restriction]) -> Actions:
        """The same for whoever sees some studies only: of others there is nothing to be done."""

    def again(
        self, job_id: int, parameters: Mapping[str, Any], said_by: str, beside: bool = False
    ) -> int:
        """Have a job's series analyzed with other parameters; gives the new job."""

    def analyze(self, wish: Wish) -> int:
        """Have a study analyzed by any analyzer; gives the new job."""

    def now(self, study_id: int, said_by: str) -> int:
        """Have the rules run on a study that is not complete; gives how many jobs."""

    def dry_run(self, study_id: int) -> Sequence[RuleTried]:
        """What the rules would do with a study."""

    def try_destination(self, name: str) -> DestinationTried:
        """Ask a destination whether it is there, and what it takes."""

    def refused_results(self) -> Sequence[RefusedResult]:
        """The results that the output gate refused and that lie in quarantine."""

    def release(self, name: str, said_by: str, reason: str) -> int:
        """Let a refused result out; gives how many objects are owed."""


def read_values(given: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as a form gives them: as text, each read as JSON where it is; empty: left out."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return {name: value for name, value in found.items() if value != ""}
