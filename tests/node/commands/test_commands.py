"""The ``wetread`` command as a person uses it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from node.config.dimse import DimseSettings
from node.dimse.association.server import AssociationServer
from node.dimse.entity import Entity
from storage import index
from storage.database import open_database
from storage.files.instances import InstanceStore
from storage.records import InstanceRecord
from tests import forked, new_databases
from tests.certificates import authority
from tests.node.delivery.web_pacs import Fault, running_web_pacs
from tests.peers import free_port, running_pacs

REPOSITORY = Path(__file__).parents[3]


def wetread(*arguments: object, expect: int = 0) -> str:
    environment = {"COLUMNS": "200", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = forked.run([*map(str, arguments)], environment, folder=REPOSITORY)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        '[[rules]]\nname = "chest"\nwhen = { Modality = "CT" }\nanalyzers = ["lung_segmentation"]\n'
        '[[rules]]\nname = "brain"\nwhen = { Modality = "MR" }\nanalyzers = ["gaussian_filter"]\n'
    )
    return path


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; import node.cli; "
        "print([m for m in ('torch', 'pydicom', 'numpy', 'sqlalchemy', 'pydantic') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    shown = wetread("--help")
    for name in ("serve", "check", "status", "retry", "reindex", "analyzers", "analyze", "send"):
        assert name in shown


def test_what_only_looks_at_the_database_imports_nothing_that_reads_images(tmp_path: Path) -> None:
    config, database = tmp_path / "config.toml", tmp_path / "var" / "wetread.db"
    config.touch()
    database.parent.mkdir()
    database.write_bytes(new_databases.empty())
    code = (
        "import sys; from node.cli import app\n"
        f"app(['status', '--json', '--config', {str(config)!r}], standalone_mode=False)\n"
        "print([m for m in ('pydicom', 'pynetdicom', 'fastapi') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_analyzers_are_listed_for_people_and_for_programs() -> None:
    rows = {row["name"]: row for row in json.loads(wetread("analyzers", "--json"))}
    assert rows["gaussian_filter"]["parameters"]["sigma_mm"] == 1.0
    assert rows["lung_segmentation"]["inputs"]["modalities"] == ["CT"]
    assert rows["lung_segmentation"]["device"] in ("cpu", "cuda:0")
    assert "bone_segmentation" in wetread("analyzers")


def test_of_one_analyzer_everything_is_told() -> None:
    shown = " ".join(wetread("analyzers", "lung_nodule").split())
    assert "Lung nodules (lung_nodule 1." in shown
    assert "reads: CT; at least 20 slices; slices at most 2.5 mm apart; persons from 18" in shown
    assert "gives: a box for each nodule" in shown
    assert "a number from 4 to 30 mm" in shown
    assert "smaller nodules are not reported" in shown
    card = next(line for line in shown.split("model card: ")[1].split())
    assert Path(card).is_file()
    told = json.loads(wetread("analyzers", "lung_nodule", "--json"))
    (diameter,) = (one for one in told["parameters"] if one["name"] == "least_diameter_mm")
    assert (diameter["least"], diameter["most"], diameter["unit"]) == (4, 30, "mm")
    assert "no analyzer is called 'nodules'" in wetread("analyzers", "nodules", expect=2)


def test_check_shows_which_rules_fire_and_why_not(config: Path, phantom_folder: Path) -> None:
    shown = wetread("check", "--config", config, "--study", phantom_folder)
    assert "✓ rule 'chest' → lung_segmentation: runs on series 2 (30 images)" in shown
    assert "✗ rule 'brain' → gaussian_filter: does not fire" in shown
    assert "Modality is CT, not MR" in shown


def test_check_tries_every_destination_and_says_which_is_silent(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "127.0.0.1"\n'
        f"port = {free_port()}\n"
    )
    shown = wetread("check", "--config", config, expect=1)
    assert "node.ae_title = WETREAD" in shown
    assert "✗ pacs (P at 127.0.0.1:" in shown


def test_check_calls_the_repositories_of_the_audit_trail(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[audit.file]\npath = "trail/audit.log"\n[[audit.syslog]]\nname = "repository"\n'
        f'host = "127.0.0.1"\nport = {free_port()}\n'
    )
    shown = wetread("check", "--config", config, expect=1)
    assert "✓ file takes the audit trail" in shown
    assert "✗ audit to repository: Connection refused" in shown


def test_check_probes_a_destination_of_each_kind_and_stores_nothing(tmp_path: Path) -> None:
    config, export = tmp_path / "config.toml", tmp_path / "export"
    export.mkdir()
    folder = '[[destinations]]\nkind = "folder"\nname = "{0}"\npath = "{0}"\n'
    with running_pacs() as pacs, running_web_pacs() as web:
        config.write_text(
            f'[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "127.0.0.1"\n'
            f"port = {pacs.port}\n"
            f'[[destinations]]\nkind = "stow"\nname = "cloud"\nurl = "{web.url}"\n'
            + folder.format("export")
        )
        shown = wetread("check", "--config", config)
        assert f"✓ pacs (P at 127.0.0.1:{pacs.port}) answers C-ECHO in" in shown
        assert f"✓ cloud ({web.url}) answers STOW-RS in" in shown
        assert f"✓ export (the folder {export}) takes files in" in shown
        assert not web.stored and not list(export.iterdir())
        web.faults.append(Fault(status=401))
        config.write_text(config.read_text() + folder.format("away"))
        shown = wetread("check", "--config", config, expect=1)
    assert "cloud: does not let this node in (401)" in shown
    assert f"away: the folder {tmp_path / 'away'} is not there" in shown


def test_check_says_that_the_node_would_not_start_with_a_key_of_another_certificate(
    tmp_path: Path,
) -> None:
    hospital = authority(tmp_path / "hospital")
    own, other = hospital.issue("node"), hospital.issue("other")
    config = tmp_path / "config.toml"
    tables = f'[dimse.tls]\ncertificate = "{own.certificate}"\nkey = '
    config.write_text(f'{tables}"{own.key}"\n')
    assert "✓ node.pem: the certificate ends on " in wetread("check", "--config", config)
    config.write_text(f'{tables}"{other.key}"\n')
    shown = wetread("check", "--config", config, expect=1)
    assert f"✗ tls: {own.certificate} with {other.key}: key values mismatch" in shown


def test_settings_that_cannot_be_used_end_with_words_and_without_a_traceback(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[node]\nae_tilte = "X"\n')
    shown = wetread("serve", "--config", config, expect=2)
    assert "did you mean 'ae_title'?" in shown
    assert "Traceback" not in shown


def test_a_taken_port_ends_with_words_and_without_a_traceback(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "config.toml"
        config.write_text(f"[dimse]\nport = {port}\n[http]\nport = 0\n")
        shown = wetread("serve", "--config", config, expect=2)
    assert str(port) in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('[storage]\ndatabase = "postgresql+psycopg://w@127.0.0.1:1/w"\n', "connection"),
        ('[storage]\ninstances = "/proc/none"\n', "the instance store failed"),
        ('[node]\ndata_dir = "/proc/none"\n', "node.data_dir"),
        ('[workers]\ndevice = "cuda:77"\n', "workers.device: cuda:77 was asked for"),
    ],
)
def test_what_keeps_the_node_from_starting_is_said_without_a_traceback(
    tmp_path: Path, settings: str, said: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"{settings}[dimse]\nport = 0\n[http]\nport = 0\n")
    shown = wetread("serve", "--config", config, expect=2)
    assert said in shown
    assert "Traceback" not in shown


@pytest.mark.timeout(200)
def test_analyze_writes_what_the_node_would_send(phantom_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("--analyzer", "gaussian_filter", "--set", "sigma_mm=4", "--out", out)
    shown = wetread("analyze", phantom_folder, *arguments)
    assert "series 2 (30 images): accepted" in shown
    assert len(list(out.glob("image-0-*.dcm"))) == 30
    assert (out / "report.dcm").exists()


def test_analyze_names_a_parameter_that_does_not_exist(
    phantom_folder: Path, tmp_path: Path
) -> None:
    arguments = ("--analyzer", "gaussian_filter", "--set", "sigma=4", "--out", tmp_path / "out")
    shown = wetread("analyze", phantom_folder, *arguments, expect=2)
    assert "gaussian_filter has no parameter 'sigma'; it has: dimensions, sigma_mm" in shown


def test_analyze_names_an_analyzer_that_is_not_installed(
    phantom_folder: Path, tmp_path: Path
) -> None:
    arguments = ("--analyzer", "lungs", "--out", tmp_path / "out")
    assert "no analyzer is called 'lungs'" in wetread(
        "analyze", phantom_folder, *arguments, expect=2
    )


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[AssociationServer]:
    store = InstanceStore(tmp_path / "instances", tmp_path / "quarantine")

    def keep(record: InstanceRecord) -> None:
        store.forget_incoming(record.placement.incoming)

    server = AssociationServer(Entity("RECEIVER", DimseSettings(port=0)), store, sink=keep)
    server.start()
    yield server
    server.drain(2)


def test_send_pushes_a_folder(receiver: AssociationServer, phantom_folder: Path) -> None:
    to = f"127.0.0.1:{receiver.port}"
    shown = wetread("send", phantom_folder, "--to", to, "--aet", "RECEIVER")
    assert "30 of 30 images stored" in shown


def test_send_says_what_is_wrong_with_an_address(phantom_folder: Path) -> None:
    shown = wetread("send", phantom_folder, "--to", "nowhere", "--aet", "X", expect=2)
    assert "write it as HOST:PORT" in shown


def test_status_where_no_node_has_worked_says_so_and_makes_nothing(
    config: Path, tmp_path: Path
) -> None:
    said = wetread("status", "--json", "--config", config, expect=2)
    assert said.startswith("no node here: there is no database")
    assert not (tmp_path / "var").exists()


def test_a_study_is_deleted_by_its_number_with_a_reason(
    config: Path, phantom_paths: list[Path], tmp_path: Path
) -> None:
    var = tmp_path / "var"
    store = InstanceStore(var / "instances", var / "quarantine")
    for path in phantom_paths[:3]:
        with store.open_incoming() as file:
            whole = path.read_bytes()
            start = 144 + int.from_bytes(whole[140:144], "little")
            file.write_header(whole[:start])
            file.write(whole[start:])
            file.place(str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID))
    store.ready.forget()
    rebuilt = wetread("reindex", "--config", config)
    assert rebuilt.index("The index is empty. Files bring back") < rebuilt.index("3 files")
    assert "3 new in the index" in rebuilt
    assert "The index is empty" not in wetread("reindex", "--config", config)
    database = open_database(f"sqlite:///{var / 'wetread.db'}")
    assert "still arriving" in wetread("delete", 1, "--config", config, expect=2)
    with database.write() as tx:
        study = index.get_study(tx, 1)
        index.complete(tx, 1, study.last_received_at, study.last_received_at)
    database.close()
    assert "a reason is needed" in wetread("delete", 1, "--config", config, expect=2)
    assert "would delete study 1" in wetread("delete", 1, "--dry-run", "--config", config)
    gone = wetread("delete", 1, "--reason", "no consent", "--config", config)
    assert "deleted study 1 (1 series, 3 images, 0 results): 3 images and 0 results" in gone
    assert list(store.iterate()) == []
    assert "there is no study 1" in wetread("delete", 1, "--config", config, expect=2)
    assert "nothing would be deleted now" in wetread("retention", "--config", config)
