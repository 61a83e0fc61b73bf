"""STOW-RS: what is stored, and what is answered."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pydicom.config
import pytest
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation

from node import parts
from node.receive.uploads import Uploads
from node.web.app import WebContext, create_app
from node.web.dicomweb import storing, stow
from node.web.server import WebServer
from storage.errors import DatabaseUnavailable
from storage.records import InstanceRecord
from tests.disks import mounted, resize
from tests.instances import make_dataset
from tests.node.receive.test_reception import Desk
from tests.node.web.dicomweb.bodies import BOUNDARY, MULTIPART, file_of, multipart
from tests.node.web.sites import Site
from tests.trails import KeptTrail
from tests.waiting import until

STUDIES = "/dicom-web/studies"
UNKNOWN_SYNTAX = b"1.2.840.10008.1.2.9\0"
IN_LITTLE_ENDIAN = "application/dicom;transfer-syntax=1.2.840.10008.1.2.1"
STUDY = make_dataset().StudyInstanceUID


@dataclass
class Counter:
    """A node's web side that stores, and what it stored."""

    desk: Desk
    uploads: Uploads
    server: WebServer
    client: httpx.Client
    told: KeptTrail

    def stored(self) -> set[str]:
        return {record.attributes.sop_instance_uid for record in self.desk.records}

    def placed(self) -> list[str]:
        """The names under which what is stored was received."""
        return sorted(record.placement.incoming for record in self.desk.records)

    def post(
        self,
        body: bytes | Iterable[bytes],
        content_type: str = MULTIPART,
        url: str = STUDIES,
        **headers: str,
    ) -> httpx.Response:
        every = {"Content-Type": content_type, **headers}
        return self.client.post(url, content=body, headers=every)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=60)


@pytest.fixture
def open_counter(tmp_path: Path, site: Site) -> Iterator[Callable[..., Counter]]:
    made: list[Counter] = []

    def opened(
        max_instance_bytes: int = 0, silence_s: float = 60, folder: Path = tmp_path
    ) -> Counter:
        desk, trail = Desk(folder), KeptTrail()
        receiver = replace(desk.receiver, max_instance_bytes=max_instance_bytes)
        uploads = Uploads(receiver, parts.refusal, silence_s)
        context = WebContext(
            database=site.database,
            results=site.results,
            archive=site.archive,
            health=site.health,
            title="WETREAD",
            version="0",
            dimse_host="",
            dimse_port=lambda: 0,
            destinations=(),
            wake=lambda: None,
            uploads=uploads,
            audit=trail,
        )
        server = WebServer(lambda: create_app(context), "127.0.0.1", 0)
        server.start()
        client = httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60)
        made.append(Counter(desk, uploads, server, client, trail))
        return made[-1]

    yield opened
    for one in made:
        one.client.close()
        one.server.stop()
        one.desk.close()


@pytest.fixture
def counter(open_counter: Callable[..., Counter]) -> Counter:
    return open_counter()


def items(answer: httpx.Response, tag: str) -> list[dict[str, object]]:
    """The first values of a sequence's items."""
    found = answer.json().get(tag, {"Value": []})["Value"]
    return [{key: one["Value"][0] for key, one in item.items()} for item in found]


def reasons(answer: httpx.Response) -> dict[str, int]:
    """Failure reasons by SOP instance UID."""
    return {str(one["00081155"]): int(str(one["00081197"])) for one in items(answer, "00081198")}


# --- what is stored -------------------------------------------------------------------------------


def test_files_of_a_request_are_stored_and_named_in_their_order_with_their_urls(
    counter: Counter,
) -> None:
    datasets = [make_dataset(seed) for seed in range(1, 21)]
    answer = counter.post(multipart(*map(file_of, datasets)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    study = f"http://127.0.0.1:{counter.server.port}/dicom-web/studies/{STUDY}"
    assert answer.json()["00081190"] == {"vr": "UR", "Value": [study]}
    assert [one["00081190"] for one in items(answer, "00081199")] == [
        f"{study}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}" for one in datasets
    ]
    assert "00081198" not in answer.json() and "0008119A" not in answer.json()
    assert counter.stored() == {one.SOPInstanceUID for one in datasets}
    assert counter.uploads.counts() == (20, 0)


ONE = make_dataset()
FORMS = {
    "type in quotes": (MULTIPART, multipart(file_of(ONE))),
    "type without": (MULTIPART.replace('"', ""), multipart(file_of(ONE))),
    "no type": (f"multipart/related; boundary={BOUNDARY}", multipart(file_of(ONE))),
    "boundary in quotes": (f'Multipart/Related; boundary="{BOUNDARY}"', multipart(file_of(ONE))),
    "no last boundary": (MULTIPART, multipart(file_of(ONE)).rpartition(b"\r\n--")[0]),
    "part with a transfer syntax": (
        MULTIPART,
        multipart(file_of(ONE), content_type=IN_LITTLE_ENDIAN),
    ),
    "no header in the part": (
        MULTIPART,
        multipart(file_of(ONE)).replace(b"Content-Type: application/dicom\r\n", b""),
    ),
    "one alone": ("application/dicom", file_of(ONE)),
    "one alone, with a parameter": ("application/dicom; charset=utf-8", file_of(ONE)),
}  # fmt: skip


@pytest.mark.parametrize("chunked", [False, True])
def test_what_old_clients_send_is_taken(counter: Counter, chunked: bool) -> None:
    for name, (content_type, body) in FORMS.items():
        cut = (body[at : at + 1000] for at in range(0, len(body), 1000))
        answer = counter.post(cut if chunked else body, content_type)
        assert (answer.status_code, len(items(answer, "00081199"))) == (200, 1), name
    assert counter.stored() == {ONE.SOPInstanceUID}


def test_a_large_file_comes_through_with_its_very_bytes(counter: Counter) -> None:
    dataset = make_dataset(rows=1500)
    file = file_of(dataset)
    assert counter.post(multipart(file, file_of(make_dataset(2)))).status_code == 200
    path = counter.desk.store.path(counter.desk.store.key_of(dataset.SOPInstanceUID))
    assert path.read_bytes().endswith(file[-dataset["PixelData"].VM * 1500 * 1500 * 2 :])
    assert len(counter.stored()) == 2


def test_the_same_again_is_stored_and_another_under_its_uid_is_a_duplicate(
    counter: Counter,
) -> None:
    file = file_of(make_dataset())
    assert counter.post(multipart(file, file)).status_code == 200
    other = make_dataset(StationName="OTHER")
    answer = counter.post(multipart(file_of(other)))
    assert (answer.status_code, reasons(answer)) == (409, {other.SOPInstanceUID: 0x0111})
    assert len(counter.desk.quarantined) == 1


# --- what is not ----------------------------------------------------------------------------------


def test_some_of_a_request_are_answered_202_with_a_reason_for_each_other(counter: Counter) -> None:
    palette = make_dataset(2, SOPClassUID="1.2.840.10008.5.1.4.39.1")
    unknown = make_dataset(3)
    lacking = make_dataset(5)
    del lacking.SeriesInstanceUID
    body = multipart(
        file_of(ONE),
        file_of(palette),
        file_of(unknown).replace(b"1.2.840.10008.1.2.1\0", UNKNOWN_SYNTAX),
        file_of(make_dataset(4), MediaStorageSOPClassUID=DigitalXRayImageStorageForPresentation),
        file_of(lacking),
        b"this is no file",
    )
    answer = counter.post(body)
    assert answer.status_code == 202
    assert [one["00081155"] for one in items(answer, "00081199")] == [ONE.SOPInstanceUID]
    assert reasons(answer) == {
        palette.SOPInstanceUID: 0x0122,
        unknown.SOPInstanceUID: 0xC122,
        make_dataset(4).SOPInstanceUID: 0xA900,
        lacking.SOPInstanceUID: 0xC000,
    }
    assert items(answer, "0008119A") == [{"00081197": 0xC000}]
    assert answer.headers["warning"].startswith('299 - "5 of 6 not stored: 0x')
    assert counter.uploads.counts() == (1, 5)


def test_an_instance_of_another_study_than_the_urls_is_refused(counter: Counter) -> None:
    answer = counter.post(multipart(file_of(ONE)), url=f"{STUDIES}/1.2.3")
    assert (answer.status_code, reasons(answer)) == (409, {ONE.SOPInstanceUID: 0xA900})
    assert answer.json()["00081190"] == {"vr": "UR"}
    assert counter.post(multipart(file_of(ONE)), url=f"{STUDIES}/{STUDY}").status_code == 200
    assert counter.post(multipart(file_of(ONE)), url=f"{STUDIES}/none").status_code == 400


NO_FILES: list[tuple[str, bytes, int]] = [
    (MULTIPART, b"", 400),
    (MULTIPART, b"no boundary in here", 400),
    (MULTIPART, f"--{BOUNDARY}--\r\n".encode(), 400),
    ("application/dicom", b"", 400),
    ("application/dicom", b"no file", 409),
    ('multipart/related; type="application/dicom"', multipart(file_of(ONE)), 400),
    (f"multipart/related; boundary={'x' * 201}", multipart(file_of(ONE)), 400),
    (MULTIPART.replace("dicom", "dicom+json"), multipart(file_of(ONE)), 415),
    (
        MULTIPART.replace("related", "form-data"),
        multipart(file_of(ONE)),
        403,
    ),  # a page elsewhere may send it
    ("text/plain", file_of(ONE), 403),
    ("", file_of(ONE), 415),
    ("multipart/related; type=\xff; boundary=\xff", file_of(ONE), 415),
]


def test_what_is_no_body_of_files_is_refused_with_the_status_that_says_so(counter: Counter) -> None:
    for content_type, body, status in NO_FILES:
        headers = {b"Content-Type": content_type.encode("latin-1")}
        answer = counter.client.post(STUDIES, content=body, headers=headers)
        assert answer.status_code == status, content_type
    assert counter.stored() == set()


def test_a_request_of_more_parts_than_can_be_named_is_refused_where_it_grows_too_long(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_FILES", 2)
    files = [file_of(make_dataset(seed)) for seed in (1, 2, 3)]
    answer = counter.post(multipart(*files))
    assert (answer.status_code, "send them in several requests" in answer.text) == (413, True)
    assert len(counter.stored()) == 2
    assert counter.post(multipart(*files[:2])).status_code == 200


def test_a_body_in_another_coding_is_refused(counter: Counter) -> None:
    answer = counter.post(multipart(file_of(ONE)), **{"Content-Encoding": "gzip"})
    assert (answer.status_code, "Content-Encoding" in answer.json()["error"]) == (415, True)


def test_no_file_is_held_whole_in_memory(counter: Counter) -> None:
    size, piece = 96 << 20, bytes(1 << 18)
    file = file_of(make_dataset(rows=2))
    short, long = (b"\xe0\x7f\x10\x00OW\0\0" + n.to_bytes(4, "little") for n in (8, size))
    begin = multipart(file.replace(short, long)[:-8]).rpartition(b"\r\n--")[0]
    end = multipart(b"").rpartition(b"\r\n--")
    body = (begin, *repeat(piece, size // len(piece)), end[1] + end[2])
    tracemalloc.start()
    try:
        answer = counter.post(iter(body))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 200
    assert counter.desk.records[0].placement.size_bytes > size
    assert peak_bytes < 16 << 20


def test_a_part_that_is_no_file_by_its_own_word_is_not_read(counter: Counter) -> None:
    answer = counter.post(multipart(file_of(ONE), content_type="image/jpeg"))
    assert (answer.status_code, items(answer, "0008119A")) == (409, [{"00081197": 0xC000}])


def test_a_file_over_the_limit_is_refused_and_one_without_end_is_not_read(
    open_counter: Callable[..., Counter],
) -> None:
    counter = open_counter(max_instance_bytes=100_000)
    large = make_dataset(2, rows=300)
    answer = counter.post(multipart(file_of(ONE), file_of(large)))
    assert (answer.status_code, reasons(answer)) == (202, {large.SOPInstanceUID: 0xA701})
    assert counter.post(file_of(large), "application/dicom").status_code == 413
    endless = make_dataset(3, rows=1000)
    answer = counter.post(multipart(file_of(make_dataset(4)), file_of(endless)))
    assert answer.status_code == 413
    assert "1 instances before that are stored" in answer.json()["error"]
    assert counter.stored() == {ONE.SOPInstanceUID, make_dataset(4).SOPInstanceUID}


def test_with_too_little_space_or_no_index_it_is_to_be_tried_again(counter: Counter) -> None:
    def away(record: InstanceRecord) -> None:
        raise DatabaseUnavailable("locked")

    counter.desk.sink = away
    answer = counter.post(multipart(file_of(ONE)))
    assert (answer.status_code, reasons(answer)) == (503, {ONE.SOPInstanceUID: 0xA700})
    assert int(answer.headers["retry-after"]) > 0
    counter.desk.sink = counter.desk.records.append
    plenty = counter.uploads.receiver
    counter.uploads.receiver = replace(plenty, min_free_bytes=1 << 60)
    assert reasons(counter.post(multipart(file_of(ONE)))) == {ONE.SOPInstanceUID: 0xA700}
    answer = counter.post([multipart(file_of(ONE))])
    assert (answer.status_code, "min_free_mb" in answer.text) == (503, True)
    assert int(answer.headers["retry-after"]) > 0
    counter.uploads.receiver = plenty
    assert counter.post(multipart(file_of(ONE))).status_code == 200


def test_on_a_full_disk_some_are_stored_and_with_room_again_the_rest(
    open_counter: Callable[..., Counter], tmp_path: Path
) -> None:
    body = multipart(*(file_of(make_dataset(seed, rows=512)) for seed in range(12)))
    with mounted(tmp_path / "disk", megabytes=4) as disk:
        counter = open_counter(folder=disk)
        answer = counter.post(body)
        stored = {one["00081155"] for one in items(answer, "00081199")}
        assert (answer.status_code, stored) == (202, counter.stored())
        assert 4 <= len(stored) < 12
        assert set(reasons(answer).values()) == {0xA700}
        assert len(reasons(answer)) == 12 - len(stored)
        answer = counter.post(file_of(make_dataset(13, rows=1200)), "application/dicom")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert counter.desk.files() == counter.placed()
        resize(disk, megabytes=16)
        assert counter.post(body).status_code == 200
        for record in counter.desk.records:
            assert counter.desk.store.verify(record.placement.key, record.placement.sha256)


def test_a_page_of_another_site_may_not_store(counter: Counter) -> None:
    host = f"127.0.0.1:{counter.server.port}"
    for foreign in (
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-site"},
    ):
        assert counter.post(multipart(file_of(ONE)), **foreign).status_code == 403
    assert counter.stored() == set()
    own = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert counter.post(multipart(file_of(ONE)), **own).status_code == 200


def test_the_answer_comes_in_the_form_that_is_accepted(counter: Counter) -> None:
    body = multipart(file_of(ONE), b"none")
    answer = counter.post(body, Accept="application/dicom+xml")
    assert answer.headers["content-type"] == "application/dicom+xml"
    root = ElementTree.fromstring(answer.content)
    keywords = [one.get("keyword") for one in root]
    assert keywords == ["RetrieveURL", "ReferencedSOPSequence", "OtherFailuresSequence"]
    assert root[1][0][1][0].text == ONE.SOPInstanceUID
    as_json = counter.post(body, Accept="application/json").json()
    assert Dataset.from_json(json.dumps(as_json)).OtherFailuresSequence[0].FailureReason == 0xC000
    assert counter.post(body, Accept="image/png").status_code == 406


# --- senders that stop, hang, or come in crowds ---------------------------------------------------


def head(length: int, content_type: str = MULTIPART) -> bytes:
    return (
        f"POST {STUDIES} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def test_of_a_sender_that_goes_away_whole_files_are_kept_and_the_last_is_dropped(
    counter: Counter,
) -> None:
    body = multipart(*(file_of(make_dataset(seed)) for seed in range(20)))
    with counter.connect() as sender:
        sender.sendall(head(len(body)) + body[: len(body) - 4000])
        until(lambda: len(counter.stored()) > 1)
    until(lambda: not counter.uploads.live())
    assert counter.stored() <= {make_dataset(seed).SOPInstanceUID for seed in range(19)}
    assert counter.desk.files() == counter.placed()
    assert counter.desk.quarantined == []


def test_a_sender_that_keeps_silent_is_answered_408_and_holds_nothing(
    open_counter: Callable[..., Counter],
) -> None:
    counter = open_counter(silence_s=0.3)
    body = multipart(file_of(ONE), file_of(make_dataset(2)))
    with counter.connect() as sender:
        sender.sendall(head(len(body)) + body[: len(body) - 4000])
        answer = sender.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert counter.stored() == {ONE.SOPInstanceUID}
    assert counter.desk.files() == counter.placed()
    assert counter.uploads.live() == 0


def test_a_body_that_comes_a_byte_at_a_time_holds_no_place(
    open_counter: Callable[..., Counter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "SLOWEST_BYTES_S", 1e9)
    counter = open_counter(silence_s=0.3)
    body = multipart(file_of(ONE), file_of(make_dataset(2)))
    with counter.connect() as sender:
        sender.sendall(head(len(body)) + body[: len(body) - 4000])
        rest = iter(body[-4000:])
        while not select.select([sender], [], [], 0.01)[0]:
            sender.sendall(bytes([next(rest)]))
        answer = b""
        while b"}" not in answer:
            answer += sender.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"hardly anything" in answer
    assert counter.stored() == {ONE.SOPInstanceUID}
    assert counter.uploads.live() == 0


def test_more_senders_than_there_are_places_wait_for_theirs(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = file_of(ONE)
    waiting = [counter.connect() for _ in range(stow.AT_ONCE)]
    try:
        for one in waiting:
            one.sendall(head(len(body), "application/dicom") + body[:1000])
        until(lambda: counter.uploads.live() == stow.AT_ONCE)
        monkeypatch.setattr(stow, "WAIT_S", 0.05)
        answer = counter.post(body, "application/dicom")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        monkeypatch.undo()
        answers: list[int] = []
        late = threading.Thread(
            target=lambda: answers.append(counter.post(body, "application/dicom").status_code)
        )
        late.start()
        for one in waiting:
            one.sendall(body[1000:])
            assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
        late.join()
        assert answers == [200]
    finally:
        for one in waiting:
            one.close()


def test_a_node_that_stops_takes_nothing_new(counter: Counter) -> None:
    counter.uploads.close(timeout_s=1)
    answer = counter.post(multipart(file_of(ONE)))
    assert (answer.status_code, "the node stops" in answer.json()["error"]) == (503, True)


HOSTILE_UID = '\r\nSet-Cookie: a=b"\xe9\r'


@pytest.mark.parametrize("named", [b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.5.1.4.1.1.2\0"])
def test_no_uid_of_a_file_becomes_a_header_of_the_answer(
    counter: Counter, named: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pydicom.config.settings
    monkeypatch.setattr(settings, "reading_validation_mode", pydicom.config.IGNORE)  # as a node has
    hostile = HOSTILE_UID.encode("latin-1")[: len(named)].ljust(len(named))
    file = file_of(ONE)
    assert named in file
    answer = counter.post(multipart(file.replace(named, hostile)))
    assert answer.status_code == 409, answer.text
    assert "set-cookie" not in answer.headers
    assert not re.search(r"[^ -~]", answer.headers["warning"])
