"""Where keys get their values: private ones, nested ones, those of other levels, and results."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.dsutils import encode

from node.query.asked import Key, Level, Query, Root, from_identifier, named_key
from node.query.encoding import encoded
from storage import index
from storage.records import InstanceAttributes, ResultObject
from tests.node.query.holding import NOON, Holding, uid


def steps(*codes: str) -> Sequence:
    """Procedure codes."""
    items = []
    for code in codes:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "LOCAL", f"is {code}"
        items.append(item)
    return Sequence(items)


def asking(level: Level, *keys: tuple[str, str]) -> Query:
    return Query(level, tuple(named_key(name, text) for name, text in keys))


def test_a_sequence_matches_where_one_item_matches_all_its_keys(held: Holding) -> None:
    held.add(1, ProcedureCodeSequence=steps("A", "B"))
    held.add(2, ProcedureCodeSequence=steps("C"))
    held.add(3)
    code, meaning = "ProcedureCodeSequence.CodeValue", "ProcedureCodeSequence.CodeMeaning"
    (one,) = held.search(asking(Level.STUDY, ("PatientID", ""), (code, "B"), (meaning, "")))
    assert one.dataset.PatientID == "P1"
    (item,) = one.dataset.ProcedureCodeSequence
    assert (item.CodeValue, item.CodeMeaning) == ("B", "is B")
    assert "CodingSchemeDesignator" not in item
    assert held.search(asking(Level.STUDY, (code, "A"), (meaning, "is B"))) == []


def test_an_empty_sequence_key_gives_the_whole_sequence(held: Holding) -> None:
    held.add(1, ProcedureCodeSequence=steps("A", "B"))
    held.add(2)
    query = Dataset()
    query.QueryRetrieveLevel, query.ProcedureCodeSequence = "STUDY", Sequence([Dataset()])
    second, first = held.search(from_identifier(query, Root.STUDY))
    assert [item.CodingSchemeDesignator for item in first.dataset.ProcedureCodeSequence] == [
        "LOCAL", "LOCAL",
    ]  # fmt: skip
    assert list(second.dataset.ProcedureCodeSequence) == []


def test_a_private_key_is_found_in_whatever_block_its_creator_has(held: Holding) -> None:
    made = held.add(1)
    assert made.private_block(0x0009, "WETREAD TEST")[0x01].tag == 0x00091001
    key = Key((0x00094201,), "LO", ("priv*",), ("WETREAD TEST",))
    (one,) = held.search(Query(Level.SERIES, (key,)))
    assert one.dataset[0x0009, 0x4201].value == "private"
    assert one.dataset[0x0009, 0x0042].value == "WETREAD TEST"
    other = Key((0x00091001,), "LO", ("private",), ("SOMEBODY ELSE",))
    assert held.search(Query(Level.SERIES, (other,))) == []


def test_attributes_of_images_speak_for_their_study(held: Holding) -> None:
    held.add(1, SeriesDescription="axial")
    (one,) = held.ask(Rows=None, SeriesDescription="")
    assert (one.dataset.Rows, one.dataset.SeriesDescription) == (2, "axial")
    assert not one.unsupported


def test_keys_of_series_and_images_find_their_study(held: Holding) -> None:
    held.add(1, "a", Modality="CT")
    held.add(1, "b", Modality="PT")
    held.add(2, "a", Modality="CT")
    for keys in (
        {"SeriesInstanceUID": uid("series", 1, "b")},
        {"SOPInstanceUID": uid("image", 1, "b", 1)},
        {"Modality": "PT"},
    ):
        (one,) = held.ask(PatientID="", **keys)
        assert one.dataset.PatientID == "P1"
        assert [key.keyword for key in one.unsupported] == list(keys)


def test_the_nodes_own_results_are_found_like_images(held: Holding) -> None:
    held.add(1)
    made = held.write(9, "seg", StudyInstanceUID=uid("study", 1), Modality="SEG")
    with held.database.write() as tx:
        study = index.find_study(tx, uid("study", 1))
        assert study is not None
        index.add_own(tx, study.id, [result(made, held.attributes(made))], NOON)
    (found,) = held.ask(NumberOfStudyRelatedInstances="", ModalitiesInStudy="SEG")
    assert found.dataset.NumberOfStudyRelatedInstances == 2
    (image,) = held.ask(Level.IMAGE, Modality="SEG", SOPInstanceUID="", PatientComments="")
    assert image.dataset.SOPInstanceUID == made.SOPInstanceUID


def result(made: Dataset, attributes: InstanceAttributes) -> ResultObject:
    key = f"{made.SOPInstanceUID}.dcm"
    return ResultObject(
        made.SOPInstanceUID, made.SOPClassUID, made.SeriesInstanceUID, ExplicitVRLittleEndian,
        "seg", key, 1, "0" * 64, attributes,
    )  # fmt: skip


def test_answers_are_written_alike_by_hand_and_by_the_library(held: Holding) -> None:
    held.add(1, PatientName="Buc^Jérôme", SpecificCharacterSet="ISO_IR 100",
             ProcedureCodeSequence=steps("A"), SliceThickness="1.50")  # fmt: skip
    keys = (("PatientName", ""), ("Rows", ""), ("SliceThickness", ""), ("PatientComments", ""),
            ("ProcedureCodeSequence.CodeValue", ""), ("AccessionNumber", ""))  # fmt: skip
    (one,) = held.search(asking(Level.IMAGE, *keys))
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"):
        by_hand = encoded(one.elements, UID(syntax))
        is_implicit, is_little = UID(syntax).is_implicit_VR, UID(syntax).is_little_endian
        assert by_hand == encode(one.dataset, is_implicit, is_little)
