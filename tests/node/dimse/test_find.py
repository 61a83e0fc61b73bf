"""C-FIND as SCP: levels, statuses, options, cancelling and limits, over real associations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from node.clock import system_clock
from node.config.dimse import DimseSettings, PeerSettings
from node.config.tables import QuerySettings
from node.dimse.association.server import AssociationServer
from node.dimse.entity import Entity
from node.dimse.services import offered
from node.dimse.services.find import PATIENT_ROOT, STUDY_ROOT
from node.dimse.services.offered import Means
from storage import index
from storage.files.instances import InstanceStore
from tests.node.query.holding import Holding, holding, uid
from tests.storage.samples import record


@dataclass
class Archive:
    """A node that is asked."""

    held: Holding
    server: AssociationServer

    @property
    def port(self) -> int:
        return self.server.port


@contextmanager
def asked_node(
    folder: Path, peers: tuple[PeerSettings, ...] = (), **query: Any
) -> Iterator[Archive]:
    held = holding(folder / "held")
    store = InstanceStore(folder / "instances", folder / "quarantine")
    settings = DimseSettings(port=0, network_timeout_s=20)
    entity = Entity("WETREAD", settings, peers, query=QuerySettings(**query))
    means = Means(held.database, system_clock, held.archive, entity)
    server = AssociationServer(
        entity, store, lambda record: None, composites=offered.composites(means)
    )
    server.start()
    try:
        yield Archive(held, server)
    finally:
        server.drain(0)
        store.ready.forget()
        held.database.close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with asked_node(tmp_path) as one:
        yield one


@dataclass
class Asked:
    """What was answered."""

    statuses: list[int] = field(default_factory=list)
    answers: list[Dataset] = field(default_factory=list)
    last: Dataset = field(default_factory=Dataset)


@contextmanager
def associated(
    port: int, model: str = STUDY_ROOT, options: bytes = b"", ae_title: str = "ASKER"
) -> Iterator[Association]:
    ae = AE(ae_title=ae_title)
    ae.add_requested_context(model)
    items = []
    if options:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid, item.service_class_application_information = model, options
        items.append(item)
    association = ae.associate("127.0.0.1", port, ae_title="WETREAD", ext_neg=items)
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def identifier(level: str, **keys: Any) -> Dataset:
    made = Dataset()
    made.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    return made


def ask(association: Association, level: str, **keys: Any) -> Asked:
    return asked(association, identifier(level, **keys))


def asked(association: Association, query: Dataset) -> Asked:
    model = association.accepted_contexts[0].abstract_syntax
    found = Asked()
    for status, answer in association.send_c_find(query, model):
        found.statuses.append(status.Status)
        found.last = status
        if answer is not None:
            found.answers.append(answer)
    return found


def test_every_level_of_both_models_is_answered(archive: Archive) -> None:
    archive.held.add(1, "a", 1)
    archive.held.add(1, "a", 2)
    upper = {"PatientID": "P1"}
    study = {"StudyInstanceUID": uid("study", 1)}
    series = {"SeriesInstanceUID": uid("series", 1, "a")}
    with associated(archive.port, PATIENT_ROOT) as association:
        patients = ask(association, "PATIENT", PatientID="P*", PatientName="")
        images = ask(association, "IMAGE", **upper, **study, **series, SOPInstanceUID="")
    with associated(archive.port, STUDY_ROOT) as association:
        studies = ask(association, "STUDY", StudyInstanceUID="", PatientName="name^1")
        found = ask(association, "SERIES", **study, SeriesInstanceUID="", Modality="")
    assert patients.statuses == [0xFF00, 0x0000]
    assert (patients.answers[0].PatientName, patients.answers[0].QueryRetrieveLevel) == (
        "Name^1", "PATIENT",
    )  # fmt: skip
    assert images.statuses == [0xFF00, 0xFF00, 0x0000]
    assert {one.SOPInstanceUID for one in images.answers} == {
        uid("image", 1, "a", number) for number in (1, 2)
    }
    assert studies.answers[0].StudyInstanceUID == uid("study", 1)
    assert (found.answers[0].Modality, found.answers[0].RetrieveAETitle) == ("CT", "WETREAD")
    assert found.answers[0].InstanceAvailability == "ONLINE"


def test_nothing_found_is_success(archive: Archive) -> None:
    with associated(archive.port) as association:
        assert ask(association, "STUDY", PatientID="nobody").statuses == [0x0000]


@pytest.mark.parametrize("level", ["", "HOSPITAL", "PATIENT"])
def test_a_level_that_the_model_has_not_is_refused_with_its_tag(
    archive: Archive, level: str
) -> None:
    with associated(archive.port) as association:
        found = ask(association, level, PatientID="P1")
    assert found.statuses == [0xA900]
    assert found.last.OffendingElement == 0x00080052


def test_a_key_that_is_not_supported_is_left_out_with_a_warning(archive: Archive) -> None:
    archive.held.add(1)
    with associated(archive.port) as association:
        found = ask(association, "STUDY", PatientID="", StorageMediaFileSetID="", SeriesNumber=None)
    assert found.statuses == [0xFF01, 0x0000]
    assert "StorageMediaFileSetID" not in found.answers[0]


def test_missing_upper_keys_are_answered_and_logged_once(
    archive: Archive, capfd: pytest.CaptureFixture[str]
) -> None:
    archive.held.add(1)
    with associated(archive.port, ae_title="RELATIONAL") as association:
        for _ in range(2):
            assert ask(association, "SERIES", Modality="CT").statuses == [0xFF00, 0x0000]
    assert capfd.readouterr().out.count("relational_query") == 1


def test_with_a_strict_hierarchy_missing_upper_keys_are_refused(tmp_path: Path) -> None:
    with (
        asked_node(tmp_path, strict_hierarchy=True) as strict,
        associated(strict.port, options=b"\1\1\1\1\1\1\1") as association,
    ):
        agreed = association.acceptor.sop_class_extended[STUDY_ROOT]
        found = ask(association, "SERIES", Modality="CT")
        there = ask(association, "SERIES", StudyInstanceUID="1.2.3", Modality="CT")
    assert agreed == b"\0\1\0\0\0\1\1"
    assert found.statuses == [0xA900]
    assert found.last.OffendingElement == 0x0020000D
    assert there.statuses == [0x0000]


def test_options_are_agreed_as_far_as_they_are_asked(archive: Archive) -> None:
    with associated(archive.port, options=b"\1\1\1") as association:
        assert association.acceptor.sop_class_extended[STUDY_ROOT] == b"\1\1\0"


def test_date_and_time_are_one_range_where_that_is_agreed(archive: Archive) -> None:
    for study, (date, time) in enumerate((("20300101", "23"), ("20300102", "12"))):
        archive.held.add(study, StudyDate=date, StudyTime=f"{time}0000")
    keys = {"StudyDate": "20300101-20300102", "StudyTime": "2200-1300"}
    with associated(archive.port) as association:
        apart = ask(association, "STUDY", **keys)
    with associated(archive.port, options=b"\1\1") as association:
        together = ask(association, "STUDY", **keys)
    assert len(apart.answers) == 0
    assert len(together.answers) == 2


def test_empty_and_several_values_match_where_that_is_agreed(archive: Archive) -> None:
    archive.held.add(1, "a", Modality="CT", AccessionNumber="A1")
    archive.held.add(1, "b", Modality="PT", AccessionNumber="A1")
    archive.held.add(2, "a", Modality="CT", AccessionNumber="")
    both = {"ModalitiesInStudy": ["CT", "PT"]}
    with associated(archive.port) as association:
        assert len(ask(association, "STUDY", **both).answers) == 2
        assert len(ask(association, "STUDY", AccessionNumber='""').answers) == 0
    with associated(archive.port, options=b"\0\0\0\0\0\1\1") as association:
        assert len(ask(association, "STUDY", **both).answers) == 1
        assert len(ask(association, "STUDY", AccessionNumber='""').answers) == 1


def test_beyond_the_most_answers_the_query_ends_with_out_of_resources(tmp_path: Path) -> None:
    with asked_node(tmp_path, max_answers=2) as small:
        for study in range(3):
            small.held.add(study)
        with associated(small.port) as association:
            found = ask(association, "STUDY", PatientID="")
    assert found.statuses == [0xFF00, 0xFF00, 0xA700]
    assert "More than 2" in found.last.ErrorComment


def test_a_cancelled_query_ends_with_that_status(tmp_path: Path) -> None:
    studies = 2000
    with asked_node(tmp_path, max_answers=0) as node:
        with node.held.database.write() as tx:
            index.add(tx, [record(1, f"1.2.{one}", f"1.2.{one}.1") for one in range(studies)])
        codes = []
        with associated(node.port) as association:
            replies = association.send_c_find(identifier("STUDY", PatientID=""), STUDY_ROOT, 7)
            for status, _ in replies:
                codes.append(status.Status)
                if len(codes) == 1:
                    association.send_c_cancel(7, query_model=STUDY_ROOT)
    assert codes[-1] == 0xFE00
    assert codes.count(0xFF00) == len(codes) - 1 < studies


def test_who_may_not_query_is_told_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    peers = (PeerSettings(ae_title="ASKER", may=("store",)),)
    with asked_node(tmp_path, peers) as node, associated(node.port) as association:
        found = ask(association, "STUDY", PatientID="")
    assert found.statuses == [0x0124]
    assert found.last.ErrorComment
    assert "not_authorised" in capfd.readouterr().out


def test_group_lengths_and_file_meta_in_a_request_are_no_keys(archive: Archive) -> None:
    archive.held.add(1)
    query = identifier("STUDY", PatientID="P1")
    for tag in (0x00080000, 0x00100000, 0x00200000):
        query.add_new(tag, "UL", 32)
    query.add_new(0x00020010, "UI", "")
    with associated(archive.port) as association:
        found = asked(association, query)
    assert found.statuses == [0xFF00, 0x0000]
    assert not any(tag.element == 0 or tag.group == 2 for tag in found.answers[0]._dict)
