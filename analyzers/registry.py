"""Finds the installed analyzers: entry points of the group ``wetread.analyzers``.

Third-party packages register there; nothing is imported until it is asked for.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from importlib.resources.abc import Traversable
from typing import Any

from analyzers import declaration, leftovers
from analyzers.contract import (
    About,
    Analyzer,
    AnalyzerError,
    AnalyzerInfo,
    InvalidParameters,
    ParameterValues,
)
from analyzers.contract.parameters import declared, read

GROUP = "wetread.analyzers"


class UnknownAnalyzer(AnalyzerError):
    """No installed analyzer has this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no analyzer is called {name!r}; installed: {', '.join(known)}")
        self.name = name
        self.known = known


class BrokenAnalyzer(AnalyzerError):
    """An analyzer is installed but cannot be imported or does not keep the contract."""


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def names() -> tuple[str, ...]:
    """The names of all installed analyzers, sorted; imports none of them."""
    return tuple(sorted(_entries()))


@cache
def load(name: str) -> type[Analyzer]:
    """The class of an analyzer.

    Raises
    ------
    UnknownAnalyzer, BrokenAnalyzer
    """
    entry = _entries().get(name)
    if entry is None:
        raise UnknownAnalyzer(name, names())
    then = leftovers.before()
    try:
        found: type[Analyzer] = entry.load()
    except (Exception, SystemExit) as error:  # a plugin's import may raise anything
        raise BrokenAnalyzer(f"{name} ({entry.value}) does not import: {error!r}") from error
    finally:  # a plugin must not move the node to another directory, or take its signals
        leftovers.cleared(leftovers.with_what_is_held(then))
    faults = declaration.faults(found)
    if faults:
        raise BrokenAnalyzer(f"{name} ({entry.value}) breaks the contract: {'; '.join(faults)}")
    if found.name != name:
        raise BrokenAnalyzer(f"{entry.value} calls itself {found.name!r}, registered as {name!r}")
    return found


def info(name: str) -> AnalyzerInfo:
    """What an installed analyzer declares of itself.

    Raises
    ------
    UnknownAnalyzer, BrokenAnalyzer
    """
    found: Any = load(name)
    try:
        defaults = dataclasses.asdict(found.parameters())
    except Exception as error:  # the checks of a plugin's parameters may raise anything
        raise BrokenAnalyzer(f"{name}: its default parameters do not hold: {error!r}") from error
    return AnalyzerInfo(
        name=found.name,
        version=found.version,
        title=found.title,
        inputs=found.inputs,
        limits=found.limits,
        defaults=defaults,
        companions=dict(getattr(found, "companions", {})),
        after=tuple(getattr(found, "after", ())),
        family=getattr(found, "family", None),
        about=_about(found),
        parameters=declared(found.parameters),
        weights=weights(name),
    )


@cache
def weights(name: str) -> str:
    """Digest of the files that an analyzer declares as its models, as they were when first asked.

    Raises
    ------
    UnknownAnalyzer, BrokenAnalyzer
    """
    found: Any = load(name)
    paths: tuple[str, ...] = getattr(found, "models", ())
    digest = hashlib.sha256()
    for path in sorted(paths):
        try:
            content = _below_its_package(found, path).read_bytes()
        except OSError as error:
            raise BrokenAnalyzer(
                f"{name}: its model {path} cannot be read: {type(error).__name__}"
            ) from error
        digest.update(f"{path}\0{hashlib.sha256(content).hexdigest()}\0".encode())
    return digest.hexdigest() if paths else ""


def _below_its_package(found: type[Analyzer], path: str) -> Traversable:
    return resources.files(found.__module__.partition(".")[0]).joinpath(path)


def _about(found: type[Analyzer]) -> About:
    """As it is declared, else the first paragraph of what its class says of itself."""
    said: About | None = getattr(found, "about", None)
    first = (found.__doc__ or "").strip().partition("\n\n")[0]
    return said or About(" ".join(first.split()))


def card(name: str) -> str:
    """Where the model card of an analyzer stands: a path or an address; empty: it has none.

    Raises
    ------
    UnknownAnalyzer, BrokenAnalyzer
    """
    found = load(name)
    said = _about(found).card
    if not said or "://" in said:
        return said
    return str(_below_its_package(found, said))


@dataclass(frozen=True, slots=True)
class Package:
    """The distribution that an analyzer comes with; empty where nothing is said."""

    name: str = ""
    version: str = ""
    licence: str = ""


def package(name: str) -> Package:
    """Where an installed analyzer comes from, and under which licence; imports nothing."""
    entry = _entries().get(name)
    found = entry.dist if entry is not None else None
    if found is None:
        return Package()
    said = found.metadata
    licence = next((said[key] for key in ("License-Expression", "License") if key in said), "")
    return Package(said["Name"], found.version, licence.partition("\n")[0][:120])


def parameters(name: str, given: ParameterValues) -> Any:
    """The analyzer's parameter object from plain values, defaults filled in.

    Raises
    ------
    InvalidParameters
        An unknown name, a wrong type, or a value that the analyzer refuses.
    """
    kind: Any = load(name).parameters
    _require_known(name, given, tuple(one.name for one in declared(kind)))
    try:
        return kind(**read(kind, given))
    except Exception as error:  # the checks of a plugin's parameters may raise anything
        raise InvalidParameters(f"{name}: {error}") from error


def _require_known(name: str, given: ParameterValues, known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            has = ", ".join(sorted(known)) or "none"
            raise InvalidParameters(f"{name} has no parameter {key!r}; it has: {has}{hint}")
