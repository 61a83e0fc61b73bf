"""Stored models: arrays in ``weights.safetensors``, facts in ``model.toml`` beside it. No pickle.

``model.toml`` names the SHA-256 of the arrays; what does not match is not loaded.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from analyzers.contract import AnalyzerError, OperatingPoint

SHIPPED = Path(__file__).resolve().parent / "weights"

Plain = str | float | int | list[float] | list[str]
Arrays = Mapping[str, NDArray[np.generic]]


class BrokenModel(AnalyzerError):
    """A stored model is missing, incomplete, or not the one its facts describe."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredModel:
    """arrays by name; facts as written by ``save``, section → key → value."""

    arrays: Arrays
    facts: Mapping[str, Mapping[str, Plain]]

    def number(self, section: str, key: str) -> float:
        """A number of the facts.

        Raises
        ------
        BrokenModel
            It is not there or no number.
        """
        value = self.facts.get(section, {}).get(key)
        if not isinstance(value, int | float):
            raise BrokenModel(f"model.toml has no number {section}.{key}")
        return float(value)

    def learnt_from(self, digest: str) -> bool:
        """Whether the model was fitted to the set of that digest."""
        return self.facts.get("training", {}).get("set") == digest

    def operating_point(self) -> OperatingPoint:
        """The threshold and what it reached, from the section ``operating_point``."""
        section = "operating_point"
        return OperatingPoint(
            threshold=self.number(section, "threshold"),
            sensitivity=self.number(section, "sensitivity"),
            specificity=self.number(section, "specificity"),
            evaluated_on=str(self.facts[section].get("evaluated_on", "")),
        )


def load(name: str, folder: Path = SHIPPED) -> StoredModel:
    """The model stored under a name.

    Raises
    ------
    BrokenModel
        It is missing, or its digest differs from the one in its facts.
    """
    try:
        facts = tomllib.loads((folder / name / "model.toml").read_text(encoding="utf-8"))
        path = folder / name / "weights.safetensors"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BrokenModel(f"model {name!r} cannot be read: {error}") from error
    if digest != facts.get("weights", {}).get("sha256"):
        raise BrokenModel(f"the weights of model {name!r} are not those its model.toml describes")
    return StoredModel(load_file(path), facts)


def save(
    name: str,
    arrays: Mapping[str, NDArray[np.generic]],
    facts: Mapping[str, Mapping[str, Plain]],
    folder: Path = SHIPPED,
) -> Path:
    """Write arrays and facts (plus their digest); the folder of the model."""
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    path = home / "weights.safetensors"
    save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, path)
    path.chmod(0o644)  # safetensors writes for the owner alone; the node may be another user
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sections = {**facts, "weights": {"file": path.name, "sha256": digest}}
    (home / "model.toml").write_text(_toml(sections), encoding="utf-8")
    return home


def _toml(sections: Mapping[str, Mapping[str, Plain]]) -> str:
    blocks = []
    for section, values in sections.items():
        lines = [f"[{section}]"]
        lines += [f"{key} = {_value(value)}" for key, value in values.items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _value(value: Plain) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(part) for part in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return repr(value)


def part_of(arrays: Arrays, start: str) -> Arrays:
    """The arrays whose names begin with ``start``, without it: one of several in a model."""
    return {
        key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)
    }
