"""The three kinds of destination in the settings, and what is said of a mistake in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config.destinations import (
    DimseDestinationSettings,
    FolderDestinationSettings,
    StowDestinationSettings,
)
from node.config.load import load
from node.config.settings import Settings
from node.errors import SettingsError
from node.fetch.asked import source_names

DIMSE = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "10.0.0.9"\nport = 104\n'
STOW = '[[destinations]]\nkind = "stow"\nname = "cloud"\nurl = "https://h/dicom-web"\n'
FOLDER = '[[destinations]]\nkind = "folder"\nname = "export"\npath = "out"\n'
RULE = '[[rules]]\nname = "r"\nanalyzers = ["gaussian_filter"]\n'


def read(folder: Path, text: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(text)
    return load(path)


def faults(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(folder, text)
    return str(refused.value).replace(str(folder / "config.toml"), "config.toml")


def test_each_kind_is_read_as_its_own_and_one_without_a_kind_is_called_by_dimse(
    tmp_path: Path,
) -> None:
    rule = RULE + 'destinations = ["export", "cloud", "pacs"]\n'
    found = read(tmp_path, DIMSE + STOW + FOLDER + rule)
    pacs, cloud, export = found.destinations
    assert isinstance(pacs, DimseDestinationSettings)
    assert isinstance(cloud, StowDestinationSettings)
    assert isinstance(export, FolderDestinationSettings)
    assert export.path == tmp_path / "out"
    assert [one.kind for one in found.destinations] == ["dimse", "stow", "folder"]
    assert [one.name for one in found.dimse_destinations] == ["pacs"]
    assert source_names(found) == ("pacs", "cloud"), "nothing is fetched from a folder"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (STOW.replace('"stow"', '"web"'), 'kind is "dimse", "stow" or "folder"'),
        (STOW + "max_request_md = 5\n", "did you mean 'max_request_mb'"),
        (STOW + "commitment = true\n", "config.toml:5: destinations[0].commitment: unknown key"),
        (FOLDER + 'ae_title = "X"\n', "config.toml:5: destinations[0].ae_title: unknown key"),
        (FOLDER + 'template = "{PatientName}.dcm"\n', "{PatientName} does not enter a file name"),
        (DIMSE + "max_per_minute = 0\n", "destinations[0].max_per_minute"),
        (STOW.replace("https:", "ftp:"), "destinations[0].url: is no address of a web service"),
        (STOW.replace("https://h", "https://h:99999"), "destinations[0].url: Port out of range"),
        (STOW.replace("https://h", "https://h:0"), "destinations[0].url: names port 0"),
        (STOW + 'token_url = "https://l/t"\n', "token_url and client_id need each other"),
        (STOW + 'token_url = "https://l/t"\nclient_id = "n"\n', "token_url needs client_secret"),
        (STOW + 'scope = "s"\n', "client_secret, scope and token_ca need token_url"),
        (STOW + 'key = "k.pem"\n', "key needs certificate"),
        (STOW.replace("https", "http") + 'ca = "c.pem"\n', "need a url that begins with https:"),
        (STOW + FOLDER.replace("export", "cloud"), "'cloud' stands there twice"),
    ],
)
def test_a_mistake_is_named_with_its_key_and_what_to_do(
    tmp_path: Path, text: str, said: str
) -> None:
    assert said in faults(tmp_path, text)


def test_the_scheme_of_an_address_is_read_however_it_is_written(tmp_path: Path) -> None:
    found = read(tmp_path, STOW.replace("https:", "HTTPS:") + 'ca = "c.pem"\n')
    assert found.stow_destinations[0].ca == tmp_path / "c.pem"


def test_a_file_of_a_secret_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    (cloud,) = read(tmp_path, STOW + 'token_file = "token"\n').stow_destinations
    with pytest.raises(SettingsError, match=r"token_file: .* is no text in UTF-8"):
        cloud.token()


def test_no_message_holds_a_secret(tmp_path: Path) -> None:
    with_user = STOW.replace("https://h", "https://me:s3cret@h")
    assert "s3cret" not in faults(tmp_path, with_user)


def test_a_variable_holds_destinations_of_all_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "WETREAD_DESTINATIONS", '[{"kind": "folder", "name": "export", "path": "/mnt/x"}]'
    )
    assert read(tmp_path, "").destinations[0].kind == "folder"
    monkeypatch.setenv("WETREAD_DESTINATIONS", '[{"kind": "stow", "name": "cloud"}]')
    assert "environment variable WETREAD_DESTINATIONS: [0]: url" in faults(tmp_path, "")
