"""The one list of services, and their tables of statuses."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest
from pydicom.dataset import Dataset
from pynetdicom.status import GENERAL_STATUS, code_to_category

from node import statuses
from node.clock import system_clock
from node.dimse.entity import Entity
from node.dimse.services import availability, commitment, find, mpps
from node.dimse.services.offered import (
    COMPOSITES,
    OFFERED,
    ON_THE_LANE,
    Means,
    composites,
    services,
)
from node.dimse.services.requests import Answer, Refusal, Request
from node.receive import reception
from node.receive import statuses as store_statuses
from node.receive.statuses import Status
from storage.database import open_database
from storage.files.archive import Archive
from storage.files.blobs import Files
from tests.node.dimse.commitments import Requestor
from tests.node.dimse.receiving import running_node

TABLES = {
    **{one.operation: one.table for one in (*ON_THE_LANE, *COMPOSITES)},
    **{
        f"{one.name}, {operation}": rows
        for one in OFFERED
        for operation, rows in one.tables.items()
    },
}


def test_every_process_offers_what_is_on_the_list(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'wetread.db'}")
    try:
        blobs = Files(tmp_path)
        means = Means(database, system_clock, Archive(blobs, blobs), Entity("WETREAD"))
        made, queried = services(means), composites(means)
    finally:
        database.close()
    assert [one.sop_class_uid for one in made] == [one.sop_class_uid for one in OFFERED]
    assert [one.tables for one in made] == [one.tables for one in OFFERED]
    assert [one.sop_class_uids for one in queried] == [one.sop_classes for one in COMPOSITES]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_in_the_words_of_the_standard(name: str) -> None:
    rows = TABLES[name]
    assert rows[0].code == statuses.SUCCESS
    assert len({(row.code, row.when) for row in rows}) == len(rows)
    for row in rows:
        assert row.meaning and row.when and row.source.startswith("PS3.")
        is_general = row.code in GENERAL_STATUS
        assert is_general == (row.code < 0xA000 or row.code == find.CANCELLED)
        assert code_to_category(row.code) == _category(row.code)


def _category(code: int) -> str:
    """PS3.7 Annex C."""
    if code in (0xFF00, 0xFF01):
        return "Pending"
    if code == 0xFE00:
        return "Cancel"
    if code == 0xB000:
        return "Warning"
    return "Success" if code == 0 else "Failure"


@pytest.mark.parametrize("module", [mpps, availability, commitment])
def test_a_table_has_no_status_that_is_never_answered(module: ModuleType) -> None:
    named = {
        one.attr
        for one in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(one, ast.Attribute) and one.attr.isupper() and hasattr(statuses, one.attr)
    }
    refusals = {
        one.args[0].attr
        for one in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(one, ast.Call)
        and isinstance(one.func, ast.Name)
        and one.func.id == "Refusal"
        and isinstance(one.args[0], ast.Attribute)
    }
    assert named - refusals <= {"SUCCESS", "PROCESSING_FAILURE"}  # of peers' answers


def test_every_row_of_storage_is_answered_by_receiving_or_the_lane() -> None:
    from node.dimse import incoming
    from node.dimse.association import lane

    sources = "".join(inspect.getsource(one) for one in (reception, incoming, lane))
    names = {name for name in store_statuses.__all__ if f"statuses.{name}" in sources}
    answered = {getattr(store_statuses, name) for name in names - {"MAX_COMMENT_LENGTH"}}
    assert answered == {row.code for row in store_statuses.TABLE}


def test_a_status_that_is_in_no_row_is_not_answered_to_a_c_store() -> None:
    with pytest.raises(ValueError, match="0xB000"):
        Status(0xB000)


def some_attribute() -> Dataset:
    data = Dataset()
    data.Modality = "CT"
    return data


class Inventive:
    """A service that answers what its table does not have."""

    sop_class_uid = mpps.MPPS
    tables = mpps.TABLES

    def serve(self, request: Request) -> Answer:
        raise Refusal(statuses.NO_SUCH_ACTION, "invented")


def test_a_refusal_that_is_in_no_table_is_a_fault_of_the_node(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        running_node(tmp_path, [Inventive()]) as node,
        Requestor().associated(node.port) as association,
    ):
        answer, _ = association.send_n_create(some_attribute(), mpps.MPPS, "1.2.3")
    assert answer.Status == statuses.PROCESSING_FAILURE
    output = capfd.readouterr().out
    assert "request_fault" in output
    assert "NotInTable" in output


def test_an_operation_that_is_in_no_table_is_not_recognised(tmp_path: Path) -> None:
    with (
        running_node(tmp_path, [Inventive()]) as node,
        Requestor().associated(node.port) as association,
    ):
        answer, _ = association.send_n_event_report(some_attribute(), 1, mpps.MPPS, "1.2.3")
    assert answer.Status == statuses.UNRECOGNISED_OPERATION
