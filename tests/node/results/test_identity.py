"""UIDs and bytes come from the same facts: what differs in anything is another object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from analyzers.contract import Code, Findings, Measurement
from node.results import identity
from node.results.modules.source import Provenance
from node.results.write import write_notice, write_results
from storage.records import JobResults
from tests.node.results.sources import PROVENANCE, ct_source

VOLUME = Code("118565006", "SCT", "Volume")
ML = Code("mL", "UCUM", "mL")


def findings(value: float = 1.0) -> Findings:
    return Findings((Measurement(VOLUME, value, ML),))


def written(results: JobResults, folder: Path) -> dict[str, bytes]:
    return {one.sop_instance_uid: (folder / one.key).read_bytes() for one in results.objects}


Change = Callable[[Provenance], Provenance]

CHANGES: dict[str, Change] = {
    "its time": lambda run: dataclasses.replace(run, started_at=run.started_at + timedelta(days=9)),
    "a microsecond": lambda run: dataclasses.replace(
        run, started_at=run.started_at + timedelta(microseconds=1)
    ),
    "the node": lambda run: dataclasses.replace(run, node_version="99.1"),
    "the device": lambda run: dataclasses.replace(run, device="xpu:0"),
    "its inputs": lambda run: dataclasses.replace(run, key="e" * 64),
    "its parameters": lambda run: dataclasses.replace(run, parameters={"other": 1}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_run_that_differs_in_anything_makes_objects_of_other_uids(
    tmp_path: Path, change: Change
) -> None:
    first = written(write_results(ct_source(), findings(), PROVENANCE, tmp_path / "one"), tmp_path)
    again = written(write_results(ct_source(), findings(), PROVENANCE, tmp_path / "two"), tmp_path)
    other = change(PROVENANCE)
    differing = written(write_results(ct_source(), findings(), other, tmp_path / "three"), tmp_path)
    assert first == again
    assert not first.keys() & differing.keys()


def test_other_numbers_and_another_decoder_are_another_object(tmp_path: Path) -> None:
    uids = set()
    for number, (value, decoder) in enumerate([(1.0, "a 1"), (1.5, "a 1"), (1.0, "a 2")]):
        decoded = dataclasses.replace(ct_source(), decoder=decoder)
        results = write_results(decoded, findings(value), PROVENANCE, tmp_path / str(number))
        uids |= set(written(results, tmp_path))
    assert len(uids) == 3


def test_the_report_that_there_is_no_result_is_told_apart_in_the_same_way(tmp_path: Path) -> None:
    later = CHANGES["its time"](PROVENANCE)
    runs = [("failed", ["a"], PROVENANCE), ("failed", ["b"], PROVENANCE)]
    runs += [("not applicable", ["a"], PROVENANCE), ("failed", ["a"], later)]
    uids: list[str] = []
    for number, (verdict, reasons, run) in enumerate([*runs, runs[0]]):
        folder = tmp_path / str(number)
        uids += written(write_notice(ct_source(), verdict, reasons, run, folder), tmp_path)
    assert len(set(uids)) == 4 and uids[4] == uids[0]


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((3, 4), "u1"),
        np.zeros((4, 3), "u2"),
        np.eye(4, 3, dtype="u1"),
        np.zeros((4, 3, 1), "u1"),
        (0, 0),
        {"a": 0.0},
        {"a": -0.0},
        None,
        "None",
    ],
    ids=str,
)
def test_what_is_not_equal_has_another_identity(other: Any) -> None:
    first = np.zeros((4, 3), "u1")
    source = ct_source()
    known = identity.of_run(source, first, PROVENANCE).key
    assert identity.of_run(source, np.zeros((3, 4), "u1").T, PROVENANCE).key == known
    assert identity.of_run(source, other, PROVENANCE).key != known


def test_the_reports_bytes_are_those_of_the_uid_they_bear(tmp_path: Path) -> None:
    """The date in the report is one of the facts: no UID has two."""
    dates: dict[str, set[str]] = {}
    for days in (0, 1, 2, 0, 1):
        run = dataclasses.replace(
            PROVENANCE, started_at=PROVENANCE.started_at + timedelta(days=days)
        )
        results = write_results(ct_source(), findings(), run, tmp_path / "job")
        report = pydicom.dcmread(tmp_path / results.objects[-1].key)
        dates.setdefault(str(report.SOPInstanceUID), set()).add(str(report.ContentDate))
    assert len(dates) == 3
    assert all(len(found) == 1 for found in dates.values())
