"""What was looked at before is not looked at again, and what has a fault always is."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from node.results import prepared
from node.results.gate import sound, wellformed
from node.results.gate.inherited import Step
from node.results.gate.sound import Example, Seen

MODALITY = Step("Modality", 0x00080060, 1)


def looked(times: list[int], *faults: str) -> Iterator[str]:
    """Faults, and that somebody looked for them."""
    times.append(1)
    yield from faults


def code(**values: str) -> Dataset:
    item = Dataset()
    given = {"CodeValue": "1", "CodingSchemeDesignator": "99X", "CodeMeaning": "one", **values}
    for keyword, value in given.items():
        setattr(item, keyword, value)
    return item


def derivation(purpose: Sequence | None) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID = image.ReferencedSOPInstanceUID = "1.2"
    if purpose is not None:
        image.PurposeOfReferenceCodeSequence = purpose
    item = Dataset()
    item.DerivationCodeSequence = Sequence([code()])
    item.SourceImageSequence = Sequence([image])
    return item


def as_read(dataset: Dataset) -> Dataset:
    """Of elements as they lie in a file."""
    content = BytesIO(prepared.encoded(dataset))
    read: Dataset = read_dataset(content, is_implicit_VR=False, is_little_endian=True)
    return read


def sentences(dataset: Dataset) -> list[str]:
    return [one.sentence for one in wellformed.faults(as_read(dataset))]


def holding(keyword: str, *items: Dataset) -> Dataset:
    dataset: Any = Dataset()
    setattr(dataset, keyword, Sequence(items))
    return dataset


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SEEN", Seen())


def test_what_had_no_fault_is_not_looked_at_again() -> None:
    seen, times = Seen(), list[int]()
    for _ in range(3):
        assert list(seen.unless(("a",), looked(times))) == []
    assert len(times) == 1


def test_what_had_a_fault_and_what_has_no_key_is_looked_at_every_time() -> None:
    seen, times = Seen(), list[int]()
    for _ in range(2):
        assert list(seen.unless(("a",), looked(times, "wrong"))) == ["wrong"]
        assert list(seen.unless(None, looked(times))) == []
    assert len(times) == 4


def test_no_more_is_remembered_than_may_be() -> None:
    seen, times = Seen(most=2), list[int]()
    for name in ("a", "b", "c", "a"):
        list(seen.unless((name,), looked(times)))
    assert len(times) == 4


def test_elements_are_told_by_their_bytes_and_their_place() -> None:
    raw = as_read(code())
    tags = list(raw.keys())
    keys = [sound.of_element(raw, tag, path) for tag in tags for path in ((), (MODALITY,))]
    assert None not in keys
    assert len(set(keys)) == 2 * len(tags)
    assert sound.of_element(code(), tags[0], ()) is None


def test_the_same_bytes_are_looked_at_again_in_another_character_set() -> None:
    texts = as_read(code())
    others = as_read(code())
    others.set_original_encoding(False, True, "latin_1")
    tag = next(iter(texts.keys()))
    assert sound.of_element(texts, tag, ()) != sound.of_element(others, tag, ())


def test_items_are_told_by_all_their_bytes() -> None:
    keys = {
        sound.of_item(Example(as_read(one), prepared.encoded(one)), (MODALITY,))
        for one in (code(), code(), code(CodeMeaning="two"))
    }
    assert len(keys) == 2 and None not in keys
    assert sound.of_item(as_read(code()), ()) is None


def test_an_item_that_is_sound_elsewhere_has_a_fault_where_more_is_asked_of_it() -> None:
    """A source image must say what it was used for where it derives a frame, and only there."""
    bare = derivation(None)
    assert sentences(holding("SourceImageSequence", bare.SourceImageSequence[0])) == []
    assert any("Purpose" in one for one in sentences(holding("DerivationImageSequence", bare)))
    whole = derivation(Sequence([code()]))
    assert sentences(holding("DerivationImageSequence", whole)) == []


@pytest.mark.parametrize("keyword", ["CodeValue", "CodingSchemeDesignator", "CodeMeaning"])
def test_a_fault_is_found_beside_what_was_seen_before(keyword: str) -> None:
    assert sentences(holding("ConceptNameCodeSequence", code())) == []
    assert sentences(holding("ConceptNameCodeSequence", code(), code(**{keyword: ""}))) != []
    assert sentences(holding("ConceptNameCodeSequence", code())) == []
