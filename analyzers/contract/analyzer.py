"""The one interface every algorithm has, and what the registry knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from analyzers.contract.code import Code
from analyzers.contract.findings import Findings
from analyzers.contract.inputs import InputContract
from analyzers.contract.parameters import Declared
from analyzers.contract.volume import Volume


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may take before it is stopped."""

    time_s: float = 600.0
    memory_mb: int = 8192


@dataclass(frozen=True, slots=True)
class About:
    """What a person is told of an analyzer before it runs.

    purpose: one sentence. gives: what it gives back, a phrase each. evidence: how well it was
    measured to work, and where it does not, in sentences. card: the model card, a path below the
    package that the analyzer lies in (the first part of its module's name), or an address.
    """

    purpose: str
    gives: tuple[str, ...] = ()
    evidence: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True)
class NoParameters:
    """The parameters of an analyzer that has none."""


@runtime_checkable
class Analyzer(Protocol):
    """One algorithm. Built once per worker with a device, then called once per series.

    ``analyze`` must be deterministic for the same volume and parameters, must not write to
    ``volume.stored``, and raises ``NotApplicable`` when it has nothing to say.
    """

    name: ClassVar[str]
    """Stable identifier: lower case, digits and underscores."""
    version: ClassVar[str]
    """Changes whenever a result may change."""
    title: ClassVar[str]
    """What a person calls it, at most 64 characters (DICOM LO)."""
    inputs: ClassVar[InputContract]
    limits: ClassVar[Limits]
    parameters: ClassVar[type[Any]]
    """A frozen dataclass whose fields all have defaults."""
    # Optional: about: ClassVar[About], what a person is told of it; companions:
    # ClassVar[Mapping[str, InputContract]], the series of the study that are wanted beside this
    # one, by role; after: ClassVar[tuple[str, ...]], the analyzers whose findings of the same study
    # are wanted; family: ClassVar[Code], what kind of algorithm it is (CID 7162; Artificial
    # Intelligence where it is absent); models: ClassVar[tuple[str, ...]], the files that hold what
    # it has learned, or name it by digest, as paths below the package that the analyzer lies in:
    # with other bytes in them it is another device, and its results are other objects.

    def __init__(self, device: str) -> None: ...

    def analyze(self, volume: Volume, parameters: Any) -> Findings: ...


ParameterValues = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AnalyzerInfo:
    """What the registry knows about an installed analyzer, as the analyzer declares it."""

    name: str
    version: str
    title: str
    inputs: InputContract
    limits: Limits
    defaults: ParameterValues = field(default_factory=dict)
    companions: Mapping[str, InputContract] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    family: Code | None = None
    about: About = About("")
    parameters: tuple[Declared, ...] = ()
    weights: str = ""
    """Digest of the files that hold what it has learned; empty where it has none."""
