"""The list of all settings is that of the code; the shipped file and the examples keep to it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from node.config import reference
from node.config.load import load
from node.config.reference import Key, TableOfKeys

REPOSITORY = Path(__file__).parents[3]
SHIPPED = (REPOSITORY / "config.toml").read_text()
TABLES = {table.title: table for table in reference.tables()}
BY_HEADER = {table.header: table for table in reversed(reference.tables())}
"""Of several kinds the first, which is meant where a file names none."""


def keys_of(text: str) -> list[tuple[TableOfKeys, str, Any, bool]]:
    """Each key of a file, also those in comments: table, name, value, whether it is in force."""
    found = []
    table: TableOfKeys | None = None
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        if re.match(r"\[", bare):
            header = bare.partition("#")[0].strip()
            table = BY_HEADER.get(header)
            assert table or header.startswith("[analyzers."), f"{header} is no table"
        elif table and re.match(r"[a-z_]+ = ", bare):
            ((name, value),) = tomllib.loads(bare).items()
            if name == "kind" and table.kind:
                table = next(one for one in TABLES.values() if one.kind == value)
            found.append((table, name, value, bare == line))
    return found


def key_of(table: TableOfKeys, name: str) -> Key:
    return next(key for key in table.keys if key.name == name)


def test_the_page_is_up_to_date() -> None:
    assert reference.PAGE.read_text() == reference.text(), "run: make docs"


def test_every_key_says_what_it_means_and_shows_an_example() -> None:
    for table in TABLES.values():
        assert table.meaning
        for key in table.keys:
            assert key.meaning and key.kind and "examples" in key.schema, (table.header, key.name)


def test_every_example_is_accepted_and_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(reference.example_file())
    settings: Any = load(path)
    for table in TABLES.values():
        read = settings
        for part in table.path:
            read = getattr(read, part)
        if table.is_list:
            read = next(one for one in read if not table.kind or one.kind == table.kind)
        for key in table.keys:
            value = read.model_dump(exclude_none=True)[key.name]
            shown = tmp_path / key.example if key.kind == "path" else key.example
            if key.name == "when":
                value, shown = list(value), list(shown)
            value = list(value) if isinstance(value, tuple) else value
            assert value == shown, (table.header, key.name)


def test_every_key_can_be_set_by_the_variable_that_the_page_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    table = BY_HEADER["[dimse]"]
    for name in ("port", "max_contexts", "drain_timeout_s"):
        key = key_of(table, name)
        monkeypatch.setenv(table.variable(key), str(key.example))
    settings = load(path)
    assert settings.dimse.port == 104
    assert (settings.dimse.max_contexts, settings.dimse.drain_timeout_s) == (64, 60)


def test_the_shipped_file_names_known_keys_with_their_default_or_their_example() -> None:
    found = keys_of(SHIPPED)
    assert len(found) > 60
    for table, name, value, in_force in found:
        key = key_of(table, name)  # StopIteration: there is no such key
        if key.is_required or table.is_list or str(value).endswith("…"):
            continue
        stated = [key.schema["default"]]
        if not in_force:
            stated.append(key.example)
        assert value in stated, f"{table.header} {name} = {value}: {stated}"


def test_the_shipped_file_names_every_table_and_nearly_every_key() -> None:
    named = {(table.title, name) for table, name, _, _ in keys_of(SHIPPED)}
    assert {title for title, _ in named} == set(TABLES)
    for table in TABLES.values():
        for key in table.keys:
            assert re.search(rf"\b{key.name}\b", SHIPPED), (table.header, key.name)
