"""The rules: for which series which analyzers run, and where the results go."""

from __future__ import annotations

import re
import typing
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from node.config.nearest import nearest
from node.config.table import Table
from node.config.values import Finite, Name
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


class RuleSettings(Table):
    name: Name
    when: dict[str, Condition] = Field(default_factory=dict)
    analyzers: tuple[str, ...] = Field(min_length=1)
    destinations: tuple[str, ...] = ()
    priority: Priority = Priority.ROUTINE
    notices: tuple[Notice, ...] = ("failed",)
    """Of which verdicts a report goes to the destinations; the page shows all."""

    @property
    def tells_failed(self) -> bool:
        return "failed" in self.notices

    @property
    def tells_not_applicable(self) -> bool:
        return "not applicable" in self.notices

    @field_validator("notices", mode="before")
    @classmethod
    def _all_or_none(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return typing.get_args(Notice) if value else ()
        return value

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
