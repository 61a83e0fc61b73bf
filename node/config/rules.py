"""The rules: for which series which analyzers run, and where the results go."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from node.config.nearest import nearest
from node.config.table import Table
from node.config.values import Finite, Name, example
from storage.records import Priority


class RangeCondition(Table):
    min: Finite | None = None
    max: Finite | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> RangeCondition:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is larger than max: no value fits")
        return self


class MatchesCondition(Table):
    matches: str

    @field_validator("matches")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return value


class ExistsCondition(Table):
    exists: bool


Scalar = str | int | float
Condition = Scalar | list[Scalar] | RangeCondition | MatchesCondition | ExistsCondition


Notice = Literal["failed", "not applicable"]
Which = Literal["best", "all"]
FEWEST_SUMMED_UP = 2
"""Analyzers that there is a summary of: the report of one alone says it all."""


class RuleSettings(Table):
    """For which series which analyzers run, and where the results go."""

    name: Annotated[Name, example("chest CT")]
    """Said where a job came from."""
    when: Annotated[
        dict[str, Condition], example({"Modality": "CT", "SliceThickness": {"max": 3.0}})
    ] = Field(default_factory=dict)
    """Per DICOM keyword: a value, one of a list, `{ min = 1, max = 5 }`, `{ matches = "regex" }` or
    `{ exists = true }`. All must hold; left out: every series."""
    analyzers: Annotated[tuple[str, ...], example(["lung_segmentation"])] = Field(min_length=1)
    """Names of `wetread analyzers`."""
    series: Annotated[Which, example("all")] = "best"
    """Of the series that fit, an analyzer gets the one that suits it best, or each. So it is with
    several volumes in one series; of several radiographs in one each is looked at either way."""
    parameters: Annotated[dict[str, dict[str, Any]], example({"lung_segmentation": {}})] = Field(
        default_factory=dict
    )
    """What is other for this rule than in `[analyzers.NAME]`, as `[rules.parameters.NAME]`. Results
    of rules with other parameters stand beside one another."""
    destinations: Annotated[tuple[str, ...], example(["pacs"])] = ()
    """Names of `[[destinations]]`. Left out: results stay on this node."""
    priority: Annotated[Priority, example("urgent")] = Priority.ROUTINE
    """Which jobs go first."""
    notices: Annotated[tuple[Notice, ...] | None, example(["failed", "not applicable"])] = None
    """Of which verdicts a report of its own goes to the destinations; `[]` for neither. Left out:
    `"failed"`, where no summary says it. The page shows all."""
    summary: Annotated[bool, example(False)] = True
    """Whether one report and one selection of key images stand above those of the analyzers, where
    more than one of them ran on a study. Where none applied there are none."""

    def tells_failed(self, analyzers: int) -> bool:
        """Whether a failure is reported beside the summary, where so many of them run."""
        if self.notices is None:
            return not (self.summary and analyzers >= FEWEST_SUMMED_UP)
        return "failed" in self.notices

    @property
    def tells_not_applicable(self) -> bool:
        return "not applicable" in (self.notices or ())

    def parameters_of(
        self, analyzer: str, common: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """What is given to an analyzer: the rule's own before what all rules have in common."""
        return {**common.get(analyzer, {}), **self.parameters.get(analyzer, {})}

    def has_set(self, named: str) -> bool:
        """Whether a job is this rule's, by the names that it carries: rules that share one stand
        in it side by side."""
        return f", {self.name}, " in f", {named}, "

    @field_validator("notices", mode="before")
    @classmethod
    def _all_or_none(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return typing.get_args(Notice) if value else ()
        return value

    @model_validator(mode="after")
    def _of_its_analyzers(self) -> RuleSettings:
        for name in self.parameters:
            if name not in self.analyzers:
                known = nearest(name, self.analyzers)
                raise ValueError(f"parameters.{name}: the rule runs no such analyzer{known}")
        return self

    @field_validator("when", mode="before")
    @classmethod
    def _conditions(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for keyword, condition in value.items():
                _check_keyword(keyword)
                _check_condition(keyword, condition)
        return value


def _check_keyword(keyword: str) -> None:
    from pydicom._dicom_dict import DicomDictionary
    from pydicom.datadict import tag_for_keyword

    if tag_for_keyword(keyword) is None:
        known = [entry[4] for entry in DicomDictionary.values()]
        raise ValueError(f"{keyword} is no DICOM keyword{nearest(keyword, known)}")


_CONDITION_KEYS = ("min", "max", "matches", "exists")


def _check_condition(keyword: str, condition: object) -> None:
    if not isinstance(condition, dict):
        return
    for key in condition:
        if key not in _CONDITION_KEYS:
            raise ValueError(f"{keyword}: unknown condition {key!r}{nearest(key, _CONDITION_KEYS)}")
