"""Files that a person brings by a form without scripts: stored as by STOW-RS, an outcome each."""

from __future__ import annotations

import re

import httpx

from node.audit.events import Imported, Transferred
from tests.instances import make_dataset
from tests.node.web.dicomweb.bodies import file_of, multipart
from tests.node.web.dicomweb.test_stow import Counter, counter, open_counter

__all__ = ["counter", "open_counter"]

MARKUP = "<img src=x onerror=alert(1)>.dcm"


def send(counter: Counter, *files: tuple[str, bytes], token: str = "") -> httpx.Response:
    form = counter.client.get("/upload").text
    (action,) = re.findall(r'action="(/upload\?token=[^"]+)"', form)
    parts = [("files", (name, content, "application/octet-stream")) for name, content in files]
    path = f"/upload?token={token}" if token else action
    accept = {"Accept": "text/html"}
    return counter.client.post(path, files=parts or {"files": ("", b"")}, headers=accept)


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
