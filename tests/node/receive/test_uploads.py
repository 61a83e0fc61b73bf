"""Who brings files over the web, and what the node knows of them meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.receive.uploads import Closed, Uploads
from storage.records import InstanceRecord
from tests.instances import make_dataset, write_instance
from tests.node.receive.test_reception import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def uploads(desk: Desk) -> Uploads:
    return Uploads(desk.receiver, lambda offer: None, silence_s=5)


def test_a_study_is_open_before_the_index_hears_of_it_until_its_upload_is_over(
    desk: Desk, uploads: Uploads, tmp_path: Path
) -> None:
    file = write_instance(tmp_path / "one.dcm", make_dataset()).read_bytes()
    study = make_dataset().StudyInstanceUID
    open_then: list[frozenset[str]] = []

    def sink(record: InstanceRecord) -> None:
        open_then.append(uploads.open_studies())

    desk.sink = sink
    with uploads.open("here") as upload:
        reception = upload.begin()
        reception.write(file)
        assert (uploads.open_studies(), uploads.live()) == (frozenset(), 1)
        assert upload.finish(reception).is_stored
        assert open_then == [frozenset({study})]
        assert uploads.open_studies() == {study}
    assert (uploads.open_studies(), uploads.live()) == (frozenset(), 0)
    assert uploads.counts() == (1, 0)


def test_of_uploads_that_are_alike_each_ends_for_itself(
    desk: Desk, uploads: Uploads, tmp_path: Path
) -> None:
    file = write_instance(tmp_path / "one.dcm", make_dataset()).read_bytes()
    with uploads.open("here") as first:
        with uploads.open("there"):
            pass
        reception = first.begin()
        reception.write(file)
        assert first.finish(reception).is_stored
        assert uploads.open_studies() == {make_dataset().StudyInstanceUID}
    assert uploads.live() == 0


def test_what_is_refused_is_counted_as_refused(uploads: Uploads) -> None:
    with uploads.open("here") as upload:
        upload.finish(upload.begin())
        assert uploads.counts() == (0, 1)
    assert uploads.counts() == (0, 1)


def test_closed_it_takes_nothing_new_and_waits_for_those_that_are_there(uploads: Uploads) -> None:
    with uploads.open("here"):
        uploads.close(timeout_s=0)
        with pytest.raises(Closed), uploads.open("there"):
            pass
        assert uploads.live() == 1
    uploads.close(timeout_s=60)
