"""Events of the log have names in one language, and stand in the table that explains them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TABLE = ROOT / "docs" / "log_events.md"
LEVELS = ("debug", "info", "warning", "error", "exception")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def calls_of_loggers() -> Iterator[ast.Call]:
    for room in ("node", "storage"):
        for file in sorted((ROOT / room).rglob("*.py")):
            for call in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(call, ast.Call) and is_of_logger(call.func):
                    yield call


def is_of_logger(called: ast.expr) -> bool:
    """Whether it is ``log.warning``, ``self._log.info``, a line chosen before, or a limited one."""
    if isinstance(called, ast.Name):
        return called.id in ("line", "log_line")
    if not isinstance(called, ast.Attribute):
        return False
    owner = ast.unparse(called.value).rpartition(".")[2]
    if owner in ("refusals", "_refusals", "_relational"):
        return called.attr in ("warn", "mention")
    return called.attr == "log_of_course" or (
        owner in ("log", "_log") and called.attr in (*LEVELS, "log")
    )


def names() -> tuple[set[str], set[str]]:
    """The names of all events in the sources, and the beginnings of those that are put together."""
    whole: set[str] = set()
    begun: set[str] = set()
    for call in calls_of_loggers():
        first = call.args[1] if ast.unparse(call.func).endswith(".log") else call.args[0]
        if isinstance(first, ast.JoinedStr):
            begun.add(str(ast.literal_eval(first.values[0])))
            continue
        for node in ast.walk(first):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole.add(node.value)
    return whole, begun


def explained() -> dict[str, str]:
    """Event → level, as the table says."""
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z, ]+) \| \S", TABLE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "an event stands twice in the table"
    return dict(rows)


def test_every_event_has_a_name_in_lower_case_with_underscores() -> None:
    whole, _ = names()
    assert len(whole) > 60
    assert [one for one in sorted(whole) if not NAME.fullmatch(one)] == []


def test_every_event_is_explained_and_no_other() -> None:
    whole, begun = names()
    table = explained()
    assert sorted(whole - table.keys()) == []
    unknown = [one for one in table if one not in whole and not one.startswith(tuple(begun))]
    assert unknown == []


def test_levels_are_what_the_sources_say() -> None:
    table = explained()
    for call in calls_of_loggers():
        first = call.args[0]
        if isinstance(call.func, ast.Attribute) and isinstance(first, ast.Constant):
            level = call.func.attr.replace("exception", "error")
            if level in LEVELS:
                assert level in table[str(first.value)].split(", "), first.value
