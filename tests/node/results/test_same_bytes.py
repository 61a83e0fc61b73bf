"""Same UID, same bytes: for every kind of object, whatever of a run is changed."""

from __future__ import annotations

import ast
import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from analyzers.contract import Findings, Measurement, Reported, Segmentation
from node.results import identity
from node.results.forms.table import FORMS
from node.results.kinds import KINDS, kind_of
from node.results.modules.source import HierarchicalReference, Maker, Provenance
from node.results.write import write_notice, write_results
from node.series.source import Source
from storage.kinds import ObjectKind
from storage.records import JobResults
from tests.node.results.every_kind import YES, flat_source, fused_source, in_space, on_a_plane
from tests.node.results.sources import ML, PROVENANCE, VOLUME

REPOSITORY = Path(__file__).parents[3]
FORM_KINDS = tuple(form.kind for form in FORMS)
FULL = dataclasses.replace(
    PROVENANCE,
    family=YES,
    predecessor=HierarchicalReference(
        "2.25.71", "2.25.5", "1.2.840.10008.5.1.4.1.1.88.34", "2.25.6"
    ),
    maker=Maker("St. Elsewhere", "Radiology", "READER1", "0123456789ABCDEF", "en"),
    inputs="f" * 64,
)
Bytes = dict[str, bytes]


def made(source: Source, findings: Findings, run: Provenance, folder: Path) -> Bytes:
    """Objects and forms of everything, and both reports that there is nothing, by UID."""
    results = write_results(source, findings, run, folder / "job", FORM_KINDS)
    assert results.unmade == {}
    found = written(results, folder)
    for verdict in ("failed", "not applicable"):
        told = write_notice(source, verdict, ["a reason"], run, folder / verdict)
        found |= written(told, folder)
    return found


def written(results: JobResults, folder: Path) -> Bytes:
    return {one.sop_instance_uid: (folder / one.key).read_bytes() for one in results.objects}


def differing(one: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Copies of a record, each with one field changed, at any depth."""
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        for changed_name, changed in _changed(value, f"{name}{field.name}"):
            yield changed_name, dataclasses.replace(one, **{field.name: changed})


def _changed(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    match value:
        case str():
            yield name, "de" if value == "en" else f"{value}9"
        case datetime():
            yield name, value + timedelta(microseconds=1)
        case dict():
            yield name, {**value, "another": 1}
        case tuple():
            yield name, (*value, Reported("other", "", Measurement(VOLUME, 1.0, ML)))
        case _ if dataclasses.is_dataclass(value):
            yield from differing(value, f"{name}.")
        case _:
            raise AssertionError(f"say here how {name} is changed")


RUNS = dict(differing(FULL))


@pytest.fixture(scope="module")
def source() -> Source:
    return fused_source(slices=2)


@pytest.fixture(scope="module")
def first(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Bytes:
    return made(source, in_space(source), FULL, tmp_path_factory.mktemp("first"))


def test_the_samples_are_of_every_kind_of_finding(source: Source) -> None:
    flat = flat_source()
    rows = [kind_of(item, source) for item in in_space(source).items]
    rows += [kind_of(item, flat) for item in on_a_plane(flat).items]
    assert {row.name for row in rows} == {row.name for row in KINDS}


def identity_of(run: Provenance, source: Source) -> str:
    return identity.of_run(source, in_space(source), run).key


@pytest.mark.parametrize("change", RUNS)
def test_whatever_of_a_run_is_changed_no_uid_has_other_bytes(
    change: str, source: Source, first: Bytes, tmp_path: Path
) -> None:
    run = RUNS[change]
    if identity_of(run, source) == identity_of(FULL, source):
        assert made(source, in_space(source), run, tmp_path) == first


def test_runs_of_other_identity_share_no_uid(source: Source, first: Bytes, tmp_path: Path) -> None:
    again = made(source, in_space(source), RUNS["inputs"], tmp_path)
    assert len(again) == len(first)
    assert not first.keys() & again.keys()


def test_the_same_run_in_another_folder_has_the_same_uids_and_bytes(
    source: Source, first: Bytes, tmp_path: Path
) -> None:
    assert made(source, in_space(source), FULL, tmp_path) == first
    flat = flat_source()
    over = [made(flat, on_a_plane(flat), FULL, tmp_path / name) for name in ("one", "two")]
    assert over[0] == over[1]


@pytest.mark.parametrize("role", ["", "pet"])
def test_another_decoder_of_any_series_gives_other_uids(role: str, source: Source) -> None:
    decoded = dataclasses.replace(source, decoder="another 1.0")
    if role:
        other = dataclasses.replace(source.companions[role], decoder="another 1.0")
        decoded = dataclasses.replace(source, companions={role: other})
    assert identity_of(FULL, decoded) != identity_of(FULL, source)


@pytest.mark.parametrize("forms", [(), FORM_KINDS[:1], FORM_KINDS[1:]], ids=str)
def test_which_forms_are_made_changes_no_byte_of_what_is_made(
    forms: tuple[ObjectKind, ...], source: Source, first: Bytes, tmp_path: Path
) -> None:
    results = write_results(source, in_space(source), FULL, tmp_path / "job", forms)
    assert set(forms) <= {one.kind for one in results.objects}
    found = written(results, tmp_path)
    assert found == {uid: first[uid] for uid in found}


def test_which_forms_are_made_moves_no_series_number_of_the_others(
    source: Source, tmp_path: Path
) -> None:
    """Also where there are more of each than its block of numbers has room for."""
    (one, *_) = in_space(source).items
    assert isinstance(one, Segmentation)
    many = Findings(tuple(_named(one, number) for number in range(4)))
    everything = written(write_results(source, many, FULL, tmp_path / "a", FORM_KINDS), tmp_path)
    some = written(write_results(source, many, FULL, tmp_path / "b", FORM_KINDS[1:]), tmp_path)
    assert some == {uid: everything[uid] for uid in some}


def _named(one: Segmentation, number: int) -> Segmentation:
    """Another of the same, of which no structure has the name of another's."""
    segments = tuple(
        dataclasses.replace(segment, key=f"{segment.key}_{number}") for segment in one.segments
    )
    shares = {f"{key}_{number}": values for key, values in one.probabilities.items()}
    return dataclasses.replace(one, segments=segments, probabilities=shares)


def test_a_process_with_another_seed_of_hashes_makes_the_same_bytes(
    first: Bytes, tmp_path: Path
) -> None:
    script = (
        "import hashlib, pathlib, sys\n"
        "from tests.node.results.test_same_bytes import FULL, fused_source, in_space, made\n"
        "source = fused_source(slices=2)\n"
        "found = made(source, in_space(source), FULL, pathlib.Path(sys.argv[1]))\n"
        "print(hash('seed'))\n"
        "for uid in sorted(found): print(uid, hashlib.sha256(found[uid]).hexdigest())\n"
    )
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)],
        env=environment, cwd=REPOSITORY, check=True, capture_output=True, text=True,
    )  # fmt: skip
    other, *told = ran.stdout.splitlines()
    assert other != str(hash("seed"))
    assert told == [f"{uid} {sha256(first[uid]).hexdigest()}" for uid in sorted(first)]


def test_every_library_that_has_a_hand_in_results_enters_their_identity() -> None:
    rooms = (REPOSITORY / "node" / "results", REPOSITORY / "node" / "series")
    files = [path for room in rooms for path in room.rglob("*.py")]
    files.append(REPOSITORY / "analyzers" / "grid" / "surface.py")
    imported = {name for path in files for name in _imported(path)}
    known = packages_distributions()
    used = {known[name][0].lower() for name in imported if name in known}
    ours = {"wetread", "structlog"}
    assert used - ours <= set(identity.WRITERS), "add it to WRITERS in node/results/identity.py"


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]
