"""Names in thirteen character sets: stored in each, asked for in others, answered in UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from node.query.asked import Root, from_identifier
from node.query.encoding import encoded
from tests.node.query.holding import Holding, holding

NAMES = {
    "": "Smith^John",
    "ISO_IR 100": "Buc^Jérôme",
    "ISO_IR 101": "Wałęsa^Đorđe",
    "ISO_IR 109": "Ĉapelo^Ĝoja",
    "ISO_IR 110": "Bērziņš^Ģirts",
    "ISO_IR 144": "Люкceмбypг^Анна",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 126": "Διονυσιος^Α",
    "ISO_IR 138": "שרון^דבורה",
    "ISO_IR 148": "Çavuşoğlu^Şeyma",
    "ISO_IR 166": "นามสกุล^ชื่อ",
    "ISO_IR 13": "ﾔﾏﾀ",
    "ISO_IR 192": "王^小東",
    "GB18030": "张^小东",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
}
"""By Specific Character Set."""
UNIVERSAL = ("ISO_IR 192", "GB18030")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holding]:
    made = holding(tmp_path_factory.mktemp("characters"))
    for number, (terms, name) in enumerate(NAMES.items()):
        values = {"SpecificCharacterSet": terms.split("\\")} if terms else {}
        made.add(number, PatientName=name, PatientComments=name.split("=")[-1], **values)
    yield made
    made.database.close()


def request(terms: str, name: str) -> Dataset:
    """As it comes from the wire: bytes in the request's character set."""
    query = Dataset()
    if terms:
        query.SpecificCharacterSet = terms.split("\\")
    query.QueryRetrieveLevel, query.PatientName, query.PatientID = "STUDY", name, ""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, query)
    head = BytesIO(b"\0" * 128 + b"DICM" + buffer.getvalue())
    return dcmread(head, force=True)


@pytest.mark.parametrize("terms", NAMES)
@pytest.mark.parametrize("asked_in", ["its own", *UNIVERSAL])
def test_a_name_is_found_in_whatever_set_it_is_asked_for(
    filled: Holding, terms: str, asked_in: str
) -> None:
    name = NAMES[terms]
    query = request(terms if asked_in == "its own" else asked_in, name)
    found = filled.search(from_identifier(query, Root.STUDY))
    assert [str(one.dataset.PatientName) for one in found] == [name]


@pytest.mark.parametrize("terms", NAMES)
def test_the_beginning_of_a_name_is_found(filled: Holding, terms: str) -> None:
    name = NAMES[terms].split("=")[-1]
    query = request(terms or "ISO_IR 192", name[:2] + "*")
    found = filled.search(from_identifier(query, Root.STUDY))
    assert NAMES[terms] in [str(one.dataset.PatientName) for one in found]


def test_answers_say_their_character_set_where_it_is_needed(filled: Holding) -> None:
    for one in filled.ask(PatientName="", PatientComments=""):
        name = str(one.dataset.PatientName)
        said = one.dataset.get("SpecificCharacterSet")
        assert said == (None if name.isascii() else "ISO_IR 192")
        raw = encoded(one.elements, ExplicitVRLittleEndian)
        read = dcmread(BytesIO(b"\0" * 128 + b"DICM" + raw), force=True)
        assert str(read.PatientName) == name
        assert read.PatientComments == name.split("=")[-1]


def test_bytes_that_are_no_text_of_the_set_named_match_nothing(filled: Holding) -> None:
    query = request("", "Smith^John")
    query[0x00100010]
    broken = request("ISO_IR 192", "Smith^John")
    raw = broken.get_item(0x00100010)
    broken._dict[raw.tag] = raw._replace(value=b"Buc^J\xe9r\xf4me ", length=12)
    assert filled.search(from_identifier(broken, Root.STUDY)) == []
