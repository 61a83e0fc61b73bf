"""The table of words: every sentence in every language, and none beside the table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzers import registry
from analyzers.contract import (
    Classification,
    Code,
    Findings,
    Measurement,
    OperatingPoint,
    Segmentation,
)
from analyzers.testing import examples
from node.results.forms import rows
from node.results.report import statements
from node.results.words import numbers, phrases, sentences, spoken
from node.results.words.sentences import LANGUAGES, Said
from node.series.source import Source
from tests.node.results import sources

ROOM = Path(sentences.__file__).parents[1]
PLACES = re.compile(r"\{(\w*)\}")
ROWS = sentences.table()


@pytest.mark.parametrize("name", list(ROWS))
def test_every_sentence_has_the_same_places_in_every_language(name: str) -> None:
    row = ROWS[name]
    assert row.en and row.de
    assert sorted(PLACES.findall(row.en)) == sorted(PLACES.findall(row.de))
    values = dict.fromkeys(PLACES.findall(row.en), "{x}")
    for language in LANGUAGES:
        assert row(language, **values).count("{x}") == len(values)


def test_every_sentence_is_spoken_somewhere() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in ROOM.rglob("*.py"))
    unused = [name for name in ROWS if not re.search(rf"sentences\.{name}\b", text)]
    assert unused == []


@pytest.mark.parametrize("phrase", list(phrases.german()))
def test_every_phrase_has_the_same_places_in_german(phrase: str) -> None:
    german = phrases.german()[phrase]
    assert german
    assert set(PLACES.findall(phrase)) == set(PLACES.findall(german))


def test_a_language_that_is_not_known_is_english() -> None:
    assert sentences.FOUND("fr", what="x") == "Found: x."


def test_what_has_no_phrase_stays_as_the_analyzer_said_it() -> None:
    assert phrases.shown("Some new words.", "de") == "Some new words."


@pytest.mark.parametrize("name", [one for one in registry.names() if not one.startswith("example")])
def test_every_analyzer_that_comes_with_the_node_has_a_german_title(name: str) -> None:
    found = registry.load(name)
    if not found.__module__.startswith("analyzers."):
        pytest.skip("not one of ours")
    assert found.title in phrases.german()


@pytest.mark.parametrize(
    ("english", "german"),
    [("Lung nodule 12", "Lungenrundherd 12"),
     ("Right lung: no aerated lung found.", "Rechte Lunge: keine belüftete Lunge gefunden."),
     ("Smoothed by 1.3 mm against noise before scoring.",
      "Vor der Bewertung gegen Rauschen um 1,3 mm geglättet."),
     ("Noise in soft tissue is 41.2 HU (limit 40 HU).",
      "Rauschen in Weichteilen beträgt 41,2 HU (Grenze 40 HU)."),
     ("Both series share a frame of reference and are laid as the headers say: registration, "
      "measured, would move the second by 1.5 mm (mutual information 0.4 → 0.5 nats), not taken: "
      "such a movement is known to about 7.5 mm, and only one of 15.0 mm or more would refute the "
      "headers.",
      "Beide Serien haben ein gemeinsames Bezugssystem und liegen gemäß den Headern: "
      "Eine Registrierung würde die zweite um 1,5 mm verschieben "
      "(Transinformation 0,4 → 0,5 nats), nicht übernommen: "
      "eine solche Bewegung ist auf etwa 7,5 mm bekannt, und erst eine von 15,0 mm oder mehr "
      "würde die Header widerlegen."),
     ("In doubt: the images and the headers disagree by 9 mm; compare bones and outline by eye.",
      "Zweifelhaft: Bilder und Header widersprechen sich um 9 mm; Knochen und Umriss mit dem Auge "
      "vergleichen."),
     ("JPEG-LS, ratio 2.51; every pixel is as it was.",
      "JPEG-LS, Verhältnis 2,51; jedes Pixel ist, wie es war."),
     ("slice thickness is 5 mm, at most 2.5 mm is accepted",
      "die Schichtdicke beträgt 5 mm, erlaubt sind höchstens 2,5 mm")],
)  # fmt: skip
def test_what_changes_in_a_phrase_is_said_again_in_its_place(english: str, german: str) -> None:
    assert phrases.shown(english, "de") == german
    assert phrases.shown(english, "en") == english


def test_findings_are_spoken_of_in_german_and_their_codes_stay() -> None:
    (item,) = spoken.findings_in(Findings((sources.lungs(),)), "de").items
    assert isinstance(item, Segmentation)
    assert [one.label for one in item.segments] == ["Rechte Lunge", "Leber", "Linke Lunge"]
    assert [one.kind for one in item.segments] == [one.kind for one in sources.lungs().segments]


# --- no sentence beside the table -----------------------------------------------------------------

ASIDE = {
    "words",
    "gate",
    "errors.py",
    "table.py",
    "kinds.py",
    "identity.py",
    "releases.py",
    "seen.py",
}
"""What speaks to people at the node, not in results: errors, documentation, what the gate says."""
UNSPOKEN_CALLS = {"Code", "re.compile", "log.info", "log.warning", "reasons.append"}
NAMES = {
    "SCALE TO FIT",
    "Wetread private codes",
    "frame of reference",
    "not applicable",
    "whole body",
    "WHOLE BODY",
    "wetread run",
}
"""Terms of the standard, of a header, and of digests."""
WORDS = re.compile(r"[A-Za-z]{2,}[a-z,;:.]* [A-Za-z(]{2,}")


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in sorted(ROOM.rglob("*.py"))
        if not {p.name, p.relative_to(ROOM).parts[0]} & set(ASIDE)
    ],
    ids=lambda path: str(path.relative_to(ROOM)),
)
def test_no_sentence_of_a_result_is_written_beside_the_table(path: Path) -> None:
    said = [
        f"line {text.lineno}: {text.value}"
        for text in _spoken(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(text.value, str) and WORDS.search(text.value) and text.value not in NAMES
    ]
    assert said == []


def _spoken(node: ast.AST) -> Iterator[ast.Constant]:
    """Constants that may reach an object: no docstrings, errors, codes or patterns."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) or _is_docstring(child) or _is_unspoken(child):
            continue
        if isinstance(child, ast.Constant):
            yield child
        yield from _spoken(child)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_unspoken(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name == "read_back"  # the gate speaks
    return isinstance(node, ast.Call) and ast.unparse(node.func) in UNSPOKEN_CALLS


def test_a_sentence_beside_the_table_would_be_noticed() -> None:
    code = (
        'def f(x):\n    """A docstring of words."""\n    return text_item(f"It was found {x}.")\n'
    )
    found = [one.value for one in _spoken(ast.parse(code))]
    assert any(isinstance(one, str) and WORDS.search(one) for one in found)
    assert all(isinstance(row, Said) for row in ROWS.values())


@pytest.mark.parametrize(
    ("millilitres", "said"), [(1000, "1 L"), (5240, "5,2 L"), (12_345, "12 L"), (123_456, "120 L")]
)
def test_large_volumes_are_litres_without_powers_of_ten(millilitres: float, said: str) -> None:
    assert numbers.with_unit(millilitres, Code("mL", "UCUM", "mL"), "de") == said


@pytest.mark.parametrize(
    ("value", "said"), [(1_234_567, "1230000 mm3"), (0.00001234, "0,0000123 mm3"), (47, "47 mm3")]
)
def test_numbers_for_people_have_no_powers_of_ten(value: float, said: str) -> None:
    unit = Code("mm3", "UCUM", "cubic millimeter")
    assert numbers.with_unit(value, unit, "de") == said
    (row,) = rows.of_one(Measurement(sources.VOLUME, value, unit), "de")
    assert row[1] == said.replace("mm3", "mm³")


@pytest.mark.parametrize(
    ("meaning", "language", "said"),
    [("Present", "en", "possibly present (certainty 40%)"),
     ("Present", "de", "möglicherweise vorhanden (Sicherheit 40 %)"),
     ("Nodule", "de", "möglicherweise Rundherd (Sicherheit 40 %)"),
     ("CT", "en", "possibly CT (certainty 40%)")],
)  # fmt: skip
def test_an_answer_has_a_small_letter_within_a_sentence(
    meaning: str, language: str, said: str
) -> None:
    point = OperatingPoint(0.5, 0.9, 0.9, "x")
    answer = Classification(Code("1", "X", "Q"), Code("2", "X", meaning), 0.4, point)
    assert statements.answer_in_words(answer, language) == said


def test_what_makes_an_suv_less_exact_stands_before_the_answer_and_why_there_is_none_after() -> (
    None
):
    image = np.zeros((3, 8, 8), np.int16)
    doubted = replace(examples.volume(image, "PT"), suv_reason="a doubt")
    said = statements.with_uptake(Source((), (), doubted), Findings(), "en")
    assert said.cautions == ("SUV is less exact: a doubt.",)
    missing = replace(doubted, suv_factor=None)
    said = statements.with_uptake(Source((), (), missing), Findings(), "de")
    assert (said.cautions, said.remarks) == ((), ("Kein SUV: a doubt.",))
