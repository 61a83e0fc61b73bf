"""Conclusions from what other analyzers reported, drawn by rules that can be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from analyzers import families
from analyzers.annotation.engine import conclude
from analyzers.annotation.rules import BrokenRules, RuleSet, load_file, load_shipped, shipped
from analyzers.codes import PRIVATE_SCHEME
from analyzers.contract import (
    About,
    Classification,
    Code,
    Findings,
    InputContract,
    InvalidParameters,
    Limits,
    NotApplicable,
    Parameter,
    Parameters,
    Volume,
)

ASKED = Code("RULES", PRIVATE_SCHEME, "Written rules")
NONE = Code("RULES-NONE", PRIVATE_SCHEME, "No rule applies")
"""That is said of the rules: the images may show whatever they do not speak of."""


@dataclass(frozen=True, slots=True)
class RuleParameters(Parameters):
    """Which rules are applied."""

    rule_sets: Annotated[str, Parameter('names of shipped sets, comma separated; "all"')] = "all"
    file: Annotated[str, Parameter("path of a rule file of your own; empty: none")] = ""

    def check(self) -> None:
        try:
            self.load()
        except BrokenRules as error:
            raise InvalidParameters(str(error)) from error

    def load(self) -> tuple[RuleSet, ...]:
        """
        Raises
        ------
        BrokenRules
        """
        asked = [name.strip() for name in self.rule_sets.split(",") if name.strip()]
        names = shipped() if asked == ["all"] else tuple(asked)
        own = (load_file(Path(self.file)),) if self.file else ()
        found = (*(load_shipped(name) for name in names), *own)
        if not found:
            raise BrokenRules("rule_sets and file are both empty: there is no rule to apply")
        return found


class RuleAnnotation:
    """Applies rule sets to the findings of a study and states each conclusion with its reasons."""

    name: ClassVar[str] = "rule_annotation"
    version: ClassVar[str] = "1.2.0"
    title: ClassVar[str] = "Rule-based annotation"
    about: ClassVar[About] = About(
        purpose="Draws conclusions by written rules from what the other analyzers reported.",
        gives=("conclusions with the values that led to them and their source",),
    )
    family: ClassVar[Code] = families.WRITTEN_RULES
    inputs: ClassVar[InputContract] = InputContract(
        modalities=frozenset({"CT", "MR", "PT", "CR", "DX", "US"}), derived=True
    )
    limits: ClassVar[Limits] = Limits(time_s=60.0, memory_mb=4096)
    parameters: ClassVar[type[RuleParameters]] = RuleParameters
    after: ClassVar[tuple[str, ...]] = (
        "lung_segmentation",
        "lung_nodule",
        "hippocampus_unet",
        "hippocampus_fpn",
        "quality",
    )

    def __init__(self, device: str) -> None:
        """device: accepted for the contract's sake; nothing is computed on it."""
        self.device = device

    def analyze(self, volume: Volume, parameters: RuleParameters) -> Findings:
        """
        Raises
        ------
        NotApplicable
            Nothing is reported of the study that a rule speaks about.
        """
        sets = parameters.load()
        found = conclude(sets, volume)
        if not volume.reported or not found.considered:
            raise NotApplicable("No analyzer has reported anything that these rules speak about.")
        items = found.statements or (Classification(ASKED, NONE, reasons=found.considered),)
        return Findings(items, (*found.left_out, *found.undecided))
