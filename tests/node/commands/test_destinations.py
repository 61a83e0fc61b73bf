"""What a destination takes is shown, and results go there at somebody's wish."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.commands import destinations
from node.config.load import load
from node.delivery import known
from node.delivery.profile import Wish
from node.errors import SettingsError
from storage import selection
from storage.kinds import ObjectKind
from storage.records import DeliveryState
from tests.node.delivery.outboxes import KINDS, Outbox, courier_to
from tests.peers import free_port, running_pacs

NO_SEG = frozenset({SegmentationStorage})
NO_REPORT = frozenset(
    {Comprehensive3DSRStorage, EncapsulatedPDFStorage, SecondaryCaptureImageStorage}
)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    """Its database is where the settings of ``config_for`` look for it."""
    (folder := tmp_path / "var").mkdir()
    one = Outbox(folder)
    yield one
    one.database.close()


def config_for(folder: Path, port: int, more: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(
        '[[destinations]]\nname = "pacs"\nae_title = "FAKEPACS"\nhost = "127.0.0.1"\n'
        f"port = {port}\n{more}"
    )
    return path


def test_what_a_destination_would_get_is_shown_with_what_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_pacs(refused_classes=NO_SEG) as pacs:
        assert destinations.show(config_for(tmp_path, pacs.port), "pacs") == 0
        assert not pacs.received
    shown = " ".join(capsys.readouterr().out.split())
    assert "it has said what it takes" in shown
    assert "sr-regions" in shown
    assert "does not take" in shown


def test_a_destination_that_would_get_no_report_or_does_not_answer_is_not_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_pacs(refused_classes=NO_REPORT) as pacs:
        assert destinations.show(config_for(tmp_path, pacs.port), "pacs") == 1
    assert destinations.show(config_for(tmp_path, free_port()), "pacs") == 1
    assert "no connection" in capsys.readouterr().out


def test_a_destination_that_is_not_in_the_settings_is_refused_with_the_nearest(
    tmp_path: Path,
) -> None:
    with pytest.raises(destinations.NotSent, match="pacs"):
        destinations.show(config_for(tmp_path, 104), "pasc")


def test_results_that_a_destination_takes_now_are_sent_at_a_persons_wish_and_it_is_said(
    box: Outbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = box.finish_job(tuple(KINDS))
    box.forget_pacs()
    with running_pacs(refused_classes=NO_SEG) as pacs:
        courier_to(box, pacs.port).deliver_once()
        assert "seg" not in sent(box)
        pacs.stop()
        pacs.refused_classes = frozenset()
        pacs.start()
        assert box.database.try_lock_dispatcher()  # as a node that runs
        stop = threading.Event()

        def deliver() -> None:
            courier = courier_to(box, pacs.port)
            while not stop.wait(0.05):
                courier.deliver_once()
                box.clock.advance(1)

        box.clock.advance(10 * 365 * 86400)  # the command is asked by the machine's clock
        thread = threading.Thread(target=deliver)
        thread.start()
        try:
            assert destinations.send(config_for(tmp_path, pacs.port), str(job_id), "pacs") == 0
        finally:
            stop.set()
            thread.join()
    assert {"seg", "sr"} <= sent(box)
    shown = capsys.readouterr().out
    assert "segmentation" in shown
    assert "was there" in shown


def sent(box: Outbox) -> set[str]:
    with box.database.read() as tx:
        rows = selection.of_jobs(tx, "pacs", [1])
    return {str(one.object.kind) for one in rows if one.state is DeliveryState.SENT}


def test_what_is_asked_for_while_no_node_runs_is_due_when_it_does(
    box: Outbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = box.finish_job(("seg", "sr"))
    with running_pacs() as pacs:
        assert destinations.send(config_for(tmp_path, pacs.port), str(job_id), "pacs") == 0
    assert "due" in capsys.readouterr().out


def test_what_is_neither_a_job_nor_a_study_is_refused(box: Outbox, tmp_path: Path) -> None:
    for what in ("77", "1.2.3"):
        with pytest.raises(destinations.NotSent):
            destinations.send(config_for(tmp_path, 104), what, "pacs")


def test_the_settings_say_what_is_wished(tmp_path: Path) -> None:
    more = 'send = ["auto", "labelmap"]\nsr = "regions"\n'
    (one,) = load(config_for(tmp_path, 104, more)).destinations
    assert known.wish_of(one) == Wish(frozenset({ObjectKind.LABEL_MAP}), regions=True)
    (one,) = load(config_for(tmp_path, 104, 'send = ["seg", "sr"]\n')).destinations
    listed = frozenset({ObjectKind.SEGMENTATION, ObjectKind.REPORT})
    assert known.wish_of(one) == Wish(listed, is_auto=False)
    with pytest.raises(SettingsError, match="labelmap"):
        load(config_for(tmp_path, 104, 'send = ["labelmpa"]\n'))
