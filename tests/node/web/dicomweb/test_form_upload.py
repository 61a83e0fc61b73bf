"""Files that a person brings by a form without scripts: stored as by STOW-RS, an outcome each."""

from __future__ import annotations

import json
import re
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from node.audit.events import Imported, Transferred
from node.web.dicomweb.form_files import FormFiles
from tests.instances import make_dataset
from tests.node.web.dicomweb.bodies import file_of, multipart
from tests.node.web.dicomweb.test_stow import Counter, counter, open_counter
from tests.waiting import until
from tests.zips import encrypted, zipped

__all__ = ["counter", "open_counter"]

LINES = "application/x-ndjson"
SCRIPT = {"Accept": LINES}
MARKUP = "<img src=x onerror=alert(1)>.dcm"


def send(
    counter: Counter, *files: tuple[str, bytes], token: str = "", accept: str = "text/html"
) -> httpx.Response:
    parts = [("files", (name, content, "application/octet-stream")) for name, content in files]
    path = f"/upload?token={token}" if token else address(counter)
    head = {"Accept": accept}
    return counter.client.post(path, files=parts or {"files": ("", b"")}, headers=head)


def address(counter: Counter) -> str:
    """Where the form of the page is sent to."""
    (action,) = re.findall(r'action="(/upload\?token=[^"]+)"', counter.client.get("/upload").text)
    return str(action)


def test_files_of_a_form_are_stored_and_those_that_are_not_say_why(counter: Counter) -> None:
    datasets = [make_dataset(seed) for seed in (1, 2, 3)]
    files = [(f"image{n}.dcm", file_of(one)) for n, one in enumerate(datasets)]
    answer = send(counter, *files, (MARKUP, b"no DICOM at all" * 20))
    assert answer.status_code == 200, answer.text
    assert "3 of 4 files are stored" in answer.text
    assert counter.stored() == {one.SOPInstanceUID for one in datasets}
    assert "<img src=x" not in answer.text
    assert "&lt;img src=x onerror=alert(1)&gt;.dcm" in answer.text
    assert "(0x" in answer.text


def test_more_than_a_form_of_words_may_hold_is_taken_file_by_file(counter: Counter) -> None:
    dataset = make_dataset(4)
    large = file_of(dataset)
    copies = -(-(1 << 20) // len(large))
    answer = send(counter, *[("same.dcm", large)] * copies)
    assert f"{copies} of {copies} files are stored" in answer.text
    assert counter.stored() == {dataset.SOPInstanceUID}


def test_a_form_without_a_file_stores_nothing_and_says_so(counter: Counter) -> None:
    answer = send(counter)
    assert (answer.status_code, "No file was chosen" in answer.text) == (200, True)


def test_a_form_without_the_token_is_refused_before_its_files_are_read(counter: Counter) -> None:
    answer = send(counter, ("a.dcm", file_of(make_dataset(5))), token="old")
    assert answer.status_code == 403
    assert counter.stored() == set()


def test_what_is_no_form_with_files_is_refused(counter: Counter) -> None:
    form = counter.client.get("/upload").text
    (token,) = re.findall(r"token=([^\"]+)\"", form)
    head = {"X-Wetread-Token": token, "Content-Type": "application/octet-stream"}
    assert counter.client.post("/upload", content=b"x", headers=head).status_code == 415


def test_what_a_browser_brings_is_an_import_and_what_a_program_sends_a_transfer(
    counter: Counter,
) -> None:
    dropped, sent = make_dataset(7), make_dataset(8)
    browser = {"Sec-Fetch-Site": "same-origin", "Origin": str(counter.client.base_url).rstrip("/")}
    assert counter.post(multipart(file_of(dropped)), **browser).status_code == 200
    assert counter.post(multipart(file_of(sent))).status_code == 200
    (imported,), (transferred,) = counter.told.of(Imported), counter.told.of(Transferred)
    assert [one.study_instance_uid for one in imported.subjects] == [dropped.StudyInstanceUID]
    assert imported.by.name == "local" and imported.by.is_person
    assert [one.study_instance_uid for one in transferred.subjects] == [sent.StudyInstanceUID]


# --- archives -------------------------------------------------------------------------------------


def compact_disc() -> tuple[dict[str, bytes], list[Dataset]]:
    """What lies on a CD: images in folders, their directory, a viewer program, an archive."""
    datasets = [make_dataset(seed) for seed in (21, 22, 23)]
    first, second, third = map(file_of, datasets)
    directory = make_dataset(24)
    directory.SOPClassUID = MediaStorageDirectoryStorage
    return {
        "DICOMDIR": file_of(directory),
        "IMAGES/IM0001": first,
        "IMAGES/DEEP/ER/IM0002": second,
        "IMAGES/MORE.ZIP": zipped({"IM0003": third}, zipfile.ZIP_STORED),
        "VIEWER/START.EXE": b"MZ" + bytes(1000),
        "AUTORUN.INF": b"[autorun]",
        "EMPTY": b"",
    }, datasets


def test_a_zipped_cd_is_stored_and_what_else_lies_on_it_is_passed_over(counter: Counter) -> None:
    files, datasets = compact_disc()
    answer = send(counter, ("cd.zip", zipped(files)))
    assert "3 of 3 files are stored" in answer.text
    assert "cd.zip › IMAGES/MORE.ZIP › IM0003" in answer.text
    assert "4 in archives passed over" in answer.text and "VIEWER/START.EXE" in answer.text
    assert counter.stored() == {one.SOPInstanceUID for one in datasets}
    (imported,) = counter.told.of(Transferred)  # this client is no browser
    assert len(imported.subjects) == 1


def test_a_directory_of_a_medium_that_comes_alone_is_refused_and_says_what_to_bring(
    counter: Counter,
) -> None:
    directory = make_dataset(24)
    directory.SOPClassUID = MediaStorageDirectoryStorage
    image = file_of(make_dataset(25))
    answer = send(counter, ("DICOMDIR", file_of(directory)), ("IM1", image), accept=LINES)
    refused, stored = answer.json()["files"]
    assert (stored["name"], stored["stored"]) == ("IM1", True)
    assert (refused["name"], refused["stored"]) == ("DICOMDIR", False)
    assert refused["why"].endswith("holds no image: bring those files")
    alone = counter.post(file_of(directory), "application/dicom")
    assert alone.status_code == 409
    assert "holds no image: bring those files" in alone.headers["warning"]


def test_a_script_is_told_how_far_an_archive_is_unpacked(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, take = threading.Event(), FormFiles._take_file

    def slowly(files: FormFiles, name: str, *rest: Any) -> None:
        if name.endswith("3"):
            assert may_go_on.wait(60)
        take(files, name, *rest)

    monkeypatch.setattr(FormFiles, "_take_file", slowly)
    within = {str(number): file_of(make_dataset(30 + number)) for number in (1, 2, 3)}
    told = []
    with counter.client.stream(
        "POST",
        address(counter),
        files={"files": ("x.zip", zipped({**within, "README": b"words"}))},
        headers=SCRIPT,
    ) as answer:
        assert answer.headers["content-type"] == LINES
        for line in answer.iter_lines():
            told.append(json.loads(line))
            if told[-1] == {"taken": 2, "of": 4}:
                may_go_on.set()
    assert {"taken": 2, "of": 4} in told
    assert [one["stored"] for one in told[-1]["files"]] == [True] * 3
    assert told[-1]["passed_over"] == ["x.zip › README"]


def test_an_archive_that_has_come_whole_is_unpacked_though_its_sender_has_gone(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, take = threading.Event(), FormFiles._take_file

    def slowly(files: FormFiles, *rest: Any) -> None:
        assert may_go_on.wait(60)
        take(files, *rest)

    monkeypatch.setattr(FormFiles, "_take_file", slowly)
    dataset = make_dataset(31)
    packed = {"files": ("x.zip", zipped({"1": file_of(dataset)}))}
    with counter.client.stream("POST", address(counter), files=packed, headers=SCRIPT) as answer:
        next(answer.iter_lines())
    may_go_on.set()
    until(lambda: counter.stored() == {dataset.SOPInstanceUID})


def test_a_script_is_told_of_each_file_in_an_archive(counter: Counter) -> None:
    good, cut = file_of(make_dataset(25)), file_of(make_dataset(26))[:200]
    answer = send(counter, ("x.zip", zipped({"1": good, "2": cut, "3": b"x"})), accept=LINES)
    told = answer.json()
    assert [(one["name"], one["stored"]) for one in told["files"]] == [
        ("x.zip › 1", True),
        ("x.zip › 2", False),
    ]
    assert told["files"][1]["why"] and not told["files"][0]["why"]
    assert told["passed_over"] == ["x.zip › 3"]


def test_a_zip_beside_files_keeps_the_order_in_which_they_were_chosen(counter: Counter) -> None:
    one, two, three = (file_of(make_dataset(seed)) for seed in (27, 28, 29))
    files = ("a", one), ("noise", b"x" * 500), ("b.bin", zipped({"i": two})), ("c", three)
    told = send(counter, *files, accept=LINES).json()["files"]
    assert [each["name"] for each in told] == ["a", "noise", "b.bin › i", "c"]
    assert [each["stored"] for each in told] == [True, False, True, True]


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (encrypted(zipped({"a": b"a"})), "1 of 1 files in it are encrypted"),
        (zipped({"a": b"a" * 99})[:40], "its end is missing"),
        (zipped({"b": zipped({"c": zipped({"d": b"d"})})}), "two archives deep"),
        (zipped({"a": b"a"}, zipfile.ZIP_LZMA), "packed by method 14"),
    ],
    ids=["encrypted", "cut", "nested", "packed otherwise"],
)
def test_an_archive_that_cannot_be_read_says_why(
    counter: Counter, archive: bytes, why: str
) -> None:
    (told,) = send(counter, ("cd.zip", archive), accept=LINES).json()["files"]
    assert why in told["why"] and told["name"].startswith("cd.zip")
    assert counter.stored() == set()


def test_a_damaged_file_in_an_archive_is_not_stored_and_the_others_are(counter: Counter) -> None:
    first, second = make_dataset(30), make_dataset(31)
    data = bytearray(zipped({"1": file_of(first), "2": file_of(second)}, zipfile.ZIP_STORED))
    data[len(file_of(first)) - 3] ^= 1  # in its pixels
    told = send(counter, ("cd.zip", bytes(data)), accept=LINES).json()["files"]
    assert ["damaged" in one["why"] for one in told] == [True, False]
    assert counter.stored() == {second.SOPInstanceUID}
    assert counter.desk.files() == counter.placed()


def test_an_instance_in_an_archive_is_no_larger_than_any(
    open_counter: Callable[..., Counter],
) -> None:
    large, small = make_dataset(32, rows=256), make_dataset(33)
    counter = open_counter(max_instance_bytes=len(file_of(small)) + 200)
    files = {"large": file_of(large), "small": file_of(small)}
    told = send(counter, ("cd.zip", zipped(files)), accept=LINES).json()["files"]
    assert [one["stored"] for one in told] == [False, True]
    assert counter.stored() == {small.SOPInstanceUID}
