"""``docs/configuration.md``, made from the tables: ``python -m node.config.reference``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.config.environment import DELIMITER, PREFIX
from node.config.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

_UNITS = {"s": "seconds", "days": "days", "mb": "MiB", "gb": "GB", "bytes": "bytes"}
_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true, false"}
_HEAD = """\
# Configuration

All settings of `config.toml`, table by table in its order. This page is made from the code by
`make docs`.

- A key that is left out has its default; one that shows none may be left out too. An unknown key
  is an error that names the nearest one.
- Relative paths are relative to the file.
- An environment variable overrides a key. Of a list of tables (`[[peers]]`, `[[destinations]]`,
  `[[rules]]`) it holds the whole list as JSON.
- `wetread check` reads the file, says what is wrong with it, and prints what is in force.
"""
_ANALYZERS = """
## `[analyzers.NAME]`

Parameters of an analyzer. `wetread analyzers NAME` tells which it has, with meaning, unit, range
and default. As an environment variable `WETREAD_ANALYZERS` holds the whole table as JSON.

```toml
[analyzers.gaussian_filter]
sigma_mm = 1.5
```
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table, as JSON Schema has it."""

    name: str
    schema: Mapping[str, Any]
    is_required: bool

    @property
    def kind(self) -> str:
        return _kind(self.schema)

    @property
    def unit(self) -> str:
        return _UNITS.get(self.name.rpartition("_")[2], "") if "_" in self.name else ""

    @property
    def default(self) -> str:
        if self.is_required:
            return "to be given"
        value = self.schema.get("default")
        return "" if value in (None, "", ".") else f"`{toml(value)}`"

    @property
    def allowed(self) -> str:
        return _allowed(self.schema)

    @property
    def example(self) -> Any:
        return self.schema["examples"][0]

    @property
    def meaning(self) -> str:
        return " ".join(str(self.schema["description"]).split())


@dataclass(frozen=True, slots=True)
class TableOfKeys:
    """A table of ``config.toml``. ``path``: its name, and that of the table it lies in.

    ``kind``: where one of several kinds of a table is meant, what its key says.
    """

    path: tuple[str, ...]
    is_list: bool
    meaning: str
    keys: tuple[Key, ...]
    kind: str = ""

    @property
    def header(self) -> str:
        name = ".".join(self.path)
        return f"[[{name}]]" if self.is_list else f"[{name}]"

    @property
    def title(self) -> str:
        """Its header, with the kind that is meant."""
        return f'`{self.header}`, `kind = "{self.kind}"`' if self.kind else f"`{self.header}`"

    def variable(self, key: Key) -> str:
        """What overrides a key."""
        path = self.path if self.is_list else (*self.path, key.name)
        return PREFIX + DELIMITER.join(path).upper()


def tables() -> list[TableOfKeys]:
    """All tables with known keys, in the order of ``config.toml``."""
    schema = Settings.model_json_schema()
    return list(_tables((), schema, schema["$defs"]))


def text() -> str:
    """The page."""
    return _HEAD + "".join(map(_section, tables())) + _ANALYZERS


def example_file() -> str:
    """A ``config.toml`` of all examples."""
    lines = []
    for table in tables():
        lines.append(table.header)
        lines += [f"{key.name} = {toml(key.example)}" for key in table.keys]
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A value as TOML has it on one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {toml(one)}" for key, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


# --- from JSON Schema -----------------------------------------------------------------------------


def _tables(
    path: tuple[str, ...], schema: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[TableOfKeys]:
    for name, field in schema["properties"].items():
        here = (*path, name)
        for inner in _tables_in(field, known):
            required = inner.get("required", ())
            keys = tuple(
                Key(key, _resolved(one, known), key in required)
                for key, one in inner["properties"].items()
                if not _tables_in(one, known)
            )
            kind = inner["properties"].get("kind", {}).get("const", "")
            is_list = field.get("type") == "array"
            yield TableOfKeys(here, is_list, inner["description"], keys, kind)
            yield from _tables(here, inner, known)


def _tables_in(field: Mapping[str, Any], known: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The kinds of table that a field holds, or a list of; none for a plain value."""
    found = _resolved(field, known)
    if found.get("type") == "array":
        found = _resolved(found["items"], known)
    kinds = [_resolved(one, known) for one in found.get("oneOf", (found,))]
    return [one for one in kinds if "properties" in one]


def _resolved(field: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A field without references, and without the null of what may be left out."""
    branches = [one for one in field.get("anyOf", ()) if one.get("type") != "null"]
    inner: Mapping[str, Any] = branches[0] if len(branches) == 1 else {}
    reference = field.get("$ref") or inner.get("$ref")
    if reference:
        inner = known[reference.rpartition("/")[2]]
    return {**inner, **field}


def _kind(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "path":
        return "path"
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return _TYPES.get(schema.get("type", ""), "table")


def _allowed(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f"`{toml(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{toml(one)}`" for one in schema["enum"])
    if schema.get("type") == "array":
        fewest = f"at least {schema['minItems']}" if "minItems" in schema else ""
        return ": ".join(filter(None, (fewest, _allowed(schema["items"]))))
    if "maxLength" in schema:
        return f"{schema.get('minLength', 0)} – {schema['maxLength']} characters"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{least} – {most}"
    above = schema.get("exclusiveMinimum")
    bounds = (f"≥ {least}", least), (f"> {above}", above), (f"≤ {most}", most)
    return ", ".join(shown for shown, bound in bounds if bound is not None)


# --- the page -------------------------------------------------------------------------------------


def _section(table: TableOfKeys) -> str:
    lines = [
        "",
        f"## {table.title}",
        "",
        " ".join(table.meaning.split()),
        "",
        "| Key | Meaning | Type | Unit | Default | Allowed | Example | Environment variable |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(table, key) for key in table.keys]
    return "\n".join(lines) + "\n"


def _row(table: TableOfKeys, key: Key) -> str:
    cells = (
        f"`{key.name}`",
        key.meaning,
        key.kind,
        key.unit,
        key.default,
        key.allowed,
        f"`{toml(key.example)}`",
        f"`{table.variable(key)}`",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
