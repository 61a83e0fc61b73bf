"""The table of structures: codes as the standard prints them, colours apart, more by plugins."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from highdicom.color import CIELabColor
from pydicom.sr._concepts_dict import concepts
from skimage.color import deltaE_ciede2000

from analyzers import structures
from analyzers.codes import LEFT, RIGHT
from analyzers.contract import Code, Findings, Segmentation
from analyzers.structures import Lab, Structure, StructuresClash, StructuresUnusable
from node.config.load import load
from node.errors import SettingsError
from node.results import colours
from node.results.words import phrases
from tests.node.results import sources

TABLE = structures.table()
SEMANTIC_TAG = " (morphologic abnormality)"
TOLD_APART = 10.0
"""CIEDE2000: seen at a glance, side by side."""
ROW = """
[{key}]
english = "{english}"
german = "{german}"
category = ["91723000", "SCT", "Anatomical Structure"]
kind = ["78961009", "SCT", "Spleen"]
lab = [50, 20, -30]
"""


@pytest.mark.parametrize("key", list(TABLE))
def test_codes_are_those_of_the_standard(key: str) -> None:
    one = TABLE[key]
    for code in (one.category, one.kind, one.site):
        if code is not None and code.scheme != "99WETREAD":
            known = [
                meaning
                for terms in concepts[code.scheme].values()
                for value, (meaning, _) in terms.items()
                if value == code.value
            ]
            assert code.meaning in {one.removesuffix(SEMANTIC_TAG) for one in known}


def together(one: Structure) -> str:
    """Structures of one series may stand in one picture."""
    if one.key.endswith("hippocampus"):
        return "head"
    return "PET" if one.key == "focus" or one.key.startswith("uptake_") else "trunk"


def distance(one: Lab, other: Lab) -> float:
    return float(deltaE_ciede2000(np.array(one, float), np.array(other, float)))


def test_structures_that_occur_together_differ_in_colour() -> None:
    alike = {"structure_at_the_point", "structures_in_range"}  # one or the other
    for one, other in itertools.combinations(TABLE.values(), 2):
        if together(one) == together(other) and {one.key, other.key} != alike:
            assert distance(one.lab, other.lab) >= TOLD_APART, (one.key, other.key)


def test_further_colours_differ_from_those_of_the_table_and_from_each_other() -> None:
    own = [one.lab for one in TABLE.values() if together(one) == "trunk"]
    for one, other in itertools.combinations([structures.BOX, *structures.PALETTE], 2):
        assert distance(one, other) >= TOLD_APART
    for one, other in itertools.product(structures.PALETTE, own):
        assert distance(one, other) >= TOLD_APART


@pytest.mark.parametrize("one", [*(one.lab for one in TABLE.values()), *structures.PALETTE])
def test_what_is_written_is_the_colour_of_the_table(one: Lab) -> None:
    written = CIELabColor.from_rgb(*structures.rgb_of(one)).lab
    assert distance(written, one) < 0.5


def test_names_in_german_are_those_of_the_table() -> None:
    assert phrases.shown("Left lung", "de") == TABLE["left_lung"].german
    assert phrases.shown("Lung nodule 12", "de") == f"{TABLE['nodule'].german} 12"


def test_a_structure_becomes_a_segment_with_its_side() -> None:
    assert TABLE["left_lung"].segment(1).laterality == LEFT
    assert TABLE["nodule"].segment(2, side=RIGHT).laterality == RIGHT
    assert TABLE["bone"].segment(1, side=RIGHT).laterality is None
    assert TABLE["nodule"].segment(2).key == "nodule_2"
    assert TABLE["nodule"].missing().label == "Lung nodule"


def test_several_of_one_kind_have_colours_of_their_own() -> None:
    assert len({TABLE["focus"].nth(number) for number in range(1, 20)}) == 19


def test_structures_of_one_run_are_told_apart_and_those_of_the_table_keep_their_colour() -> None:
    bone = TABLE["bone"].segment(2)
    other = sources.lungs().segments[0]
    like_bone = type(other)("x", 1, "X", other.category, other.kind, rgb=bone.rgb)
    found = Segmentation(np.zeros((1, 2, 2), np.uint8), (like_bone, bone))
    (item,) = colours.told_apart(Findings((found,))).items
    assert isinstance(item, Segmentation)
    assert item.segments[1] == bone
    assert item.segments[0].rgb == structures.rgb_of(structures.PALETTE[0])


# --- tables of packages ---------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with an entry point; its import would fail."""
    home = tmp_path / "theirs"
    home.mkdir()
    (home / "__init__.py").write_text("raise RuntimeError('imported')\n")
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[wetread.structures]\nmine = theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    structures.table.cache_clear()
    phrases.german.cache_clear()
    yield home
    structures.table.cache_clear()
    phrases.german.cache_clear()


def given(package: Path, key: str, english: str, german: str) -> None:
    text = ROW.format(key=key, english=english, german=german)
    (package / "structures.toml").write_text(text, encoding="utf-8")


def test_a_package_adds_structures_and_is_not_imported(package: Path) -> None:
    given(package, "spleen", "Spleen", "Milz")
    assert structures.of("spleen").kind == Code("78961009", "SCT", "Spleen")
    assert phrases.german()["Spleen"] == "Milz"
    assert "theirs" not in sys.modules


def test_a_key_that_two_tables_have_is_named(package: Path) -> None:
    given(package, "bone", "Spleen", "Milz")
    with pytest.raises(StructuresClash, match=r"wetread and mine \(theirs\) .* 'bone'"):
        structures.table()


def test_a_name_that_two_tables_say_differently_is_named(package: Path) -> None:
    given(package, "other_bone", "Bone", "Gebein")
    with pytest.raises(StructuresClash, match="'Bone' is 'Knochen' in wetread and 'Gebein'"):
        structures.table()


def test_a_node_with_a_clash_does_not_start(package: Path, tmp_path: Path) -> None:
    given(package, "bone", "Spleen", "Milz")
    config = tmp_path / "config.toml"
    config.write_text("")
    with pytest.raises(SettingsError, match=r"table of structures: .*one needs another key"):
        load(config)


def test_a_package_without_a_table_is_named(package: Path) -> None:
    with pytest.raises(StructuresUnusable, match=r"'theirs' holds no structures\.toml"):
        structures.table()


@pytest.mark.parametrize(
    ("line", "what"),
    [("lab = [50, 120, -100]", "no screen can show"), ("lab = [50, 2]", "is no colour"),
     ('kind = ["1", "SCT"]', "is no code"), ('sides = "up"', "none of left, right"),
     ('interpreted = "THING"', "none of EXTERNAL"), ('color = "red"', "has 'color'"),
     ('german = ""', "no name"), ("is_numbered = 1", "neither true nor false")],
)  # fmt: skip
def test_a_row_that_is_not_as_it_has_to_be_is_named(line: str, what: str) -> None:
    part = line.partition(" ")[0]
    rows = ROW.format(key="spleen", english="Spleen", german="Milz").splitlines()
    text = "\n".join([*(one for one in rows if not one.startswith(part)), line])
    with pytest.raises(StructuresUnusable, match=rf"here: \[spleen\].*{what}"):
        structures.read(text, "here")
