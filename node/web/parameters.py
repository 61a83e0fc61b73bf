"""An analyzer's parameters as the fields of a form, and what a form says of them.

Each field says what is accepted; whether a value is, the analyzer's own table decides when the form
has come.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzers import registry
from analyzers.contract import AnalyzerError
from analyzers.contract.parameters import Declared
from node.wishes import read_values

_PREFIX = "p."
"""Of the names of fields that hold a parameter."""


@dataclass(frozen=True, slots=True)
class ParameterField:
    """One parameter. choices: the values there are; empty: a text is typed."""

    name: str
    value: str
    accepted: str
    meaning: str
    default: str
    choices: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        return f"{_PREFIX}{self.name}"


def fields_of(analyzer: str, values: Mapping[str, Any] | None = None) -> list[ParameterField]:
    """The fields of an installed analyzer, filled with these values, else with the defaults; none
    where it is gone or broken."""
    try:
        info = registry.info(analyzer)
    except AnalyzerError:
        return []
    defaults, filled = info.defaults, {**info.defaults, **(values or {})}
    return [_field(one, filled.get(one.name), defaults.get(one.name)) for one in info.parameters]


def given(form: Mapping[str, list[str]]) -> dict[str, Any]:
    """The parameters that a form names."""
    texts = {
        name.removeprefix(_PREFIX): " ".join(values).strip()
        for name, values in form.items()
        if name.startswith(_PREFIX)
    }
    return read_values(texts)


def _field(one: Declared, value: Any, default: Any) -> ParameterField:
    about = one.parameter
    choices = about.choices if about and isinstance(default, str) else ()
    if isinstance(default, bool):
        choices = ("true", "false")
    return ParameterField(
        name=one.name,
        value=_text(value),
        accepted=one.accepted,
        meaning=about.meaning if about else "",
        default=_text(default),
        choices=choices,
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)
