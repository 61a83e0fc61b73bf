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
_WITHIN = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))+?"
"""What may stand in a place: parentheses in it are closed in it, else one place would take what
stands before the next."""
_NUMBER = re.compile(r"[-−+]?\d+(?:\.\d+)?")
_NAME_AND_NUMBER = re.compile(
    r"(?P<name>\D[^()]*?)(?: \((?P<how>[^()]+)\))? (?P<number>\d+(?:\.\d+)?)(?P<unit> \S+)?"
)


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
    """A list with commas; every part has a line, or is a name that has one with its number."""
    parts = text.split(", ")
    said = [german().get(part) or _with_number(part) for part in parts]
    is_list = len(parts) > 1 or bool(_with_number(text))
    return ", ".join(said) if is_list and all(said) else ""


def _with_number(text: str) -> str:
    """A name that has a line, how it was derived, a number and its unit."""
    found = _NAME_AND_NUMBER.fullmatch(text)
    if found is None or found["name"] not in german():
        return ""
    how = f" ({shown(found['how'].capitalize(), GERMAN)})" if found["how"] else ""
    unit = (found["unit"] or "").replace(" points", " Prozentpunkte")
    return f"{german()[found['name']]}{how} {numbers.spelled(found['number'], GERMAN)}{unit}"


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
        f"(?P<{part}>{_WITHIN})" if index % 2 else re.escape(part)
        for index, part in enumerate(parts)
    )
    return re.compile(text, re.DOTALL)
