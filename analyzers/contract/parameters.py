"""How the parameters of an analyzer declare what they accept, and what is said of a wrong value.

A field declares itself where it stands::

    @dataclass(frozen=True, slots=True)
    class GaussianParameters(Parameters):
        sigma_mm: Annotated[float, Parameter("standard deviation", "mm", least=0.1, most=20)] = 1.0

Values are read as a configuration file can write them: an integer is a number, a list a tuple;
no text is a number, and no number is true.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from annotated_types import Ge, GroupedMetadata, Le, Lt

from analyzers.contract.errors import InvalidParameters

if typing.TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Parameter(GroupedMetadata):
    """What a parameter means, in which unit it is given, and which values are accepted.

    least, most: both accepted; below: not accepted any more. choices: the values there are, for
    each entry where the parameter is a tuple.
    """

    meaning: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[object]:
        """The conditions in the form that pydantic checks."""
        if self.least is not None:
            yield Ge(self.least)
        if self.most is not None:
            yield Le(self.most)
        if self.below is not None:
            yield Lt(self.below)
        if self.choices:
            from pydantic import AfterValidator

            yield AfterValidator(self._chosen)

    def _chosen(self, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        entries = (value,) if isinstance(value, str) else value
        if not set(entries) <= set(self.choices):
            raise ValueError(f"{self.accepted} is accepted")
        return value

    @property
    def accepted(self) -> str:
        """The range and unit, or the choices, in words; empty: there is none."""
        if self.choices:
            return listed(self.choices)
        limits = (("from", self.least), ("to", self.most), ("below", self.below))
        said = " ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
        return f"{said or 'in'} {self.unit}" if self.unit else said


class Parameters:
    """Base of parameters that raise InvalidParameters wherever they are made with a wrong value."""

    __slots__ = ()

    def __post_init__(self) -> None:
        kind: Any = type(self)
        read(kind, {one.name: getattr(self, one.name) for one in declared(kind)})
        self.check()

    def check(self) -> None:
        """What no field can tell alone; raises InvalidParameters."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter as its class declares it. parameter: None where the author said no more."""

    name: str
    hint: Any
    default: Any
    parameter: Parameter | None

    @property
    def accepted(self) -> str:
        """The type and what the parameter says of it, in words."""
        kind = in_words(self.hint)
        more = self.parameter.accepted if self.parameter else ""
        if more and self.parameter and self.parameter.choices:
            return f"a list of {more}" if kind.startswith("a list") else more
        return f"{kind} {more}".strip()


@cache
def declared(kind: Any) -> tuple[Declared, ...]:
    """The parameters of a dataclass, in its order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple(
        Declared(one.name, hints[one.name], _default(one), _parameter(hints[one.name]))
        for one in dataclasses.fields(kind)
        if one.init
    )


def read(kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values as the fields of the dataclass hold them.

    Raises
    ------
    InvalidParameters
        Names every value that is not accepted, and what is.
    """
    known = {one.name: one for one in declared(kind)}
    found: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in given.items():
        try:
            found[name] = _read(_adapters(kind)[name], value)
        except ValueError as error:
            why = "" if known[name].parameter else f" ({_reason(error)})"
            faults.append(f"{name} is {_said(value)}: {known[name].accepted} is accepted{why}")
    if faults:
        raise InvalidParameters("; ".join(faults))
    return found


def _read(adapter: TypeAdapter[Any], value: Any) -> Any:
    """Raises pydantic's ValidationError, which is a ValueError."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):  # nothing that a file can hold: it has to be of the type itself
        return adapter.validate_python(value)
    return _as_given(value, adapter.validate_json(text))


@cache
def _adapters(kind: Any) -> dict[str, TypeAdapter[Any]]:
    return {one.name: _adapter(one) for one in declared(kind)}


def _adapter(one: Declared) -> TypeAdapter[Any]:
    """Without a ``Parameter`` infinity is a number, and what pydantic cannot check is not."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    config = ConfigDict(
        strict=True, arbitrary_types_allowed=True, allow_inf_nan=one.parameter is None
    )
    try:
        return TypeAdapter(one.hint, config=config)
    except PydanticUserError:
        return TypeAdapter(Any)


def _as_given(value: Any, found: Any) -> Any:
    """Integers stay as they were written: the identity of a job hangs on it."""
    if isinstance(found, float) and isinstance(value, int):
        return value
    if isinstance(found, tuple) and isinstance(value, list | tuple):
        return tuple(_as_given(old, new) for old, new in zip(value, found, strict=True))
    return found


# --- in words -------------------------------------------------------------------------------------


_WORDS = {
    float: "a number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    type(None): "nothing",
}
_SEVERAL = {"a number": "numbers", "a whole number": "whole numbers", "a text": "texts"}


def in_words(hint: Any) -> str:
    """The type of a parameter as a person says it."""
    if hint in _WORDS:
        return _WORDS[hint]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return in_words(parts[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(in_words(part) for part in parts)
    if origin is typing.Literal:
        return listed(parts)
    if origin in (tuple, list):
        kinds = dict.fromkeys(in_words(part) for part in parts if part is not Ellipsis)
        return f"a list of {' or '.join(_SEVERAL.get(kind, kind) for kind in kinds)}"
    return str(getattr(hint, "__name__", hint))


def listed(choices: Iterable[object]) -> str:
    """'a', 'b' or 'c'."""
    *others, last = (repr(str(one) if isinstance(one, str) else one) for one in choices)
    return f"{', '.join(others)} or {last}" if others else last


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _reason(error: ValueError) -> str:
    """Why a value was refused, as pydantic says it."""
    errors: Callable[[], list[dict[str, Any]]] = getattr(error, "errors", list)
    return "; ".join(str(one["msg"]) for one in errors())


def _default(one: dataclasses.Field[Any]) -> Any:
    if one.default is not dataclasses.MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not dataclasses.MISSING else None


def _parameter(hint: Any) -> Parameter | None:
    found = (one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Parameter))
    return next(found, None)
