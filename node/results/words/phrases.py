"""What analyzers say in English, in the language of the report: names, titles, remarks, reasons.

``phrases.toml`` holds one line a phrase; names of structures stand in their own table
(``analyzers.structures``). A phrase with ``{places}`` fits all that has something in
them; what stood there is said again in its place. What has no line stays English: an analyzer's
author adds one by hand, and nothing is guessed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from analyzers import structures
from node.results.words import numbers
from node.results.words.sentences import GERMAN

_PLACE = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"[-−+]?\d+(?:\.\d+)?")


def shown(text: str, language: str) -> str:
    """``text`` in a language, as it is where the table has no such phrase."""
    if language != GERMAN or not text:
        return text
    exact = german().get(text)
    return exact if exact is not None else _by_pattern(text) or _by_parts(text) or text


@cache
def german() -> Mapping[str, str]:
    """English phrase to German: names of structures, then what the table here holds."""
    content = (files(__package__) / "phrases.toml").read_text(encoding="utf-8")
    phrases = {en: de for part in tomllib.loads(content).values() for en, de in part.items()}
    return _structures() | phrases


def _structures() -> dict[str, str]:
    """As the table of structures names them, with a number where there may be several."""
    found: dict[str, str] = {}
    for one in structures.table().values():
        found[one.english] = one.german
        if one.is_numbered:
            found[f"{one.english} {{number}}"] = f"{one.german} {{number}}"
    return found


def _by_pattern(text: str) -> str:
    for pattern, phrase in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            places = {name: _place(value) for name, value in found.groupdict().items()}
            return phrase.format(**places)
    return ""


def _by_parts(text: str) -> str:
    """A list with commas of which every part has a line."""
    parts = text.split(", ")
    known = len(parts) > 1 and all(part in german() for part in parts)
    return ", ".join(german()[part] for part in parts) if known else ""


def _place(value: str) -> str:
    """What stands in a place: a number is written as Germans do, a phrase of its own said."""
    if _NUMBER.fullmatch(value):
        return numbers.spelled(value, GERMAN)
    return shown(value, GERMAN)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Phrases with places, the most exact first."""
    table = german()
    with_places = sorted((one for one in table if _PLACE.search(one)), key=len, reverse=True)
    return tuple((_pattern(one), table[one]) for one in with_places)


def _pattern(phrase: str) -> re.Pattern[str]:
    parts = _PLACE.split(phrase)
    text = "".join(
        f"(?P<{part}>.+?)" if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )
    return re.compile(text, re.DOTALL)
