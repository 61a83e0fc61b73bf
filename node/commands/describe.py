"""What is installed: ``wetread analyzers`` lists it, ``wetread analyzers NAME`` tells of one."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analyzers import devices, registry, repeatability
from analyzers.contract import AnalyzerError, AnalyzerInfo, InputContract
from analyzers.contract.parameters import Declared
from node.errors import SettingsError

console = Console()


# --- the list -------------------------------------------------------------------------------------


def show_analyzers(as_json: bool) -> int:
    """Print what is installed; 1 when an installed analyzer is broken."""
    rows: list[dict[str, Any]] = []
    for name in registry.names():
        try:
            rows.append(_row(registry.info(name)))
        except AnalyzerError as error:
            rows.append({"name": name, "error": str(error)})
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        console.print(_table(rows))
    return int(any("error" in row for row in rows))


def _row(info: AnalyzerInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "version": info.version,
        "title": info.title,
        "inputs": _conditions(info.inputs),
        "parameters": dict(info.defaults),
        "limits": dataclasses.asdict(info.limits),
        "device": devices.resolve("auto"),
    }


def _conditions(inputs: InputContract) -> dict[str, Any]:
    plain = {
        key: sorted(value) if isinstance(value, frozenset) else value
        for key, value in dataclasses.asdict(inputs).items()
    }
    return {key: value for key, value in plain.items() if value not in (None, [], False)}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("name", "version", "input", "parameters", "device")
    for row in rows:
        if "error" in row:
            table.add_row(row["name"], "", f"[red]{escape(row['error'])}[/]", "", "")
            continue
        table.add_row(
            row["name"],
            row["version"],
            ", ".join(f"{key} {_plain(value)}" for key, value in row["inputs"].items()),
            ", ".join(f"{key} = {value}" for key, value in row["parameters"].items()),
            row["device"],
        )
    return table


def _plain(value: object) -> str:
    return "/".join(value) if isinstance(value, list) else str(value)


# --- one of them ----------------------------------------------------------------------------------


def show_analyzer(name: str, as_json: bool) -> int:
    """Print all that an analyzer declares of itself."""
    try:
        info, card = registry.info(name), registry.card(name)
    except AnalyzerError as error:
        raise SettingsError(str(error)) from error
    if as_json:
        print(json.dumps(_told(info, card), indent=2, default=str))
        return 0
    console.print(f"[bold]{escape(info.title)}[/] ({info.name} {info.version})")
    for line in (info.about.purpose, *_sections(info, card)):
        console.print(line, markup=False, soft_wrap=True)
    if info.parameters:
        console.print(_parameter_table(info))
    return 0


def _sections(info: AnalyzerInfo, card: str) -> list[str]:
    reads = [("reads", "; ".join(info.inputs.in_words()))]
    reads += [
        (f"beside it, as {role}", "; ".join(one.in_words()))
        for role, one in info.companions.items()
    ]
    limits = f"{info.limits.time_s:g} s, {info.limits.memory_mb} MB"
    parts = [
        *reads,
        ("after", ", ".join(info.after)),
        ("gives", "; ".join(info.about.gives)),
        ("known of it", info.about.evidence),
        ("repeated", repeatability.in_words(info.name, info.version)),
        ("model card", card),
        ("stopped after", limits),
    ]
    return [f"{name}: {said}" for name, said in parts if said]


def _parameter_table(info: AnalyzerInfo) -> Table:
    table = Table("parameter", "accepted", "default", "meaning")
    for one in info.parameters:
        default = json.dumps(info.defaults[one.name], default=str)
        table.add_row(
            one.name,
            escape(one.accepted),
            escape("" if default == "null" else default),
            _meaning(one),
        )
    return table


def _meaning(one: Declared) -> str:
    return escape(one.parameter.meaning) if one.parameter else ""


def _told(info: AnalyzerInfo, card: str) -> dict[str, Any]:
    return {
        **_row(info),
        "about": dataclasses.asdict(info.about) | {"card": card},
        "reads": info.inputs.in_words(),
        "companions": {role: one.in_words() for role, one in info.companions.items()},
        "after": info.after,
        "parameters": [_parameter(one, info.defaults[one.name]) for one in info.parameters],
    }


def _parameter(one: Declared, default: Any) -> dict[str, Any]:
    more = dataclasses.asdict(one.parameter) if one.parameter else {}
    said = {key: value for key, value in more.items() if value not in (None, "", ())}
    return {"name": one.name, "accepted": one.accepted, "default": default, **said}
