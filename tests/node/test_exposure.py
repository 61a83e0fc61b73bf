"""What others than this machine can reach is accepted by name, and said wherever somebody looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from node import exposure
from node.app import Node
from node.cautions import cautions
from node.commands import inspect
from node.config.load import load
from node.errors import SettingsError

FREE = '[workers]\ndevice = "cpu"\n[dimse]\nport = 0\n{dimse}\n[http]\nport = 0\n{http}\n'


def settings_file(folder: Path, http: str = "", dimse: str = "", more: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(FREE.format(http=http, dimse=dimse) + more)
    return path


def said(path: Path) -> list[str]:
    return list(exposure.cautions(load(path)))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.5", "node.hospital.example"])
def test_a_page_that_the_network_reaches_is_not_started_in_the_clear_or_without_login(
    tmp_path: Path, host: str
) -> None:
    path = settings_file(tmp_path, f'host = "{host}"')
    with pytest.raises(SettingsError, match=r"unencrypted.*http\.tls.*http\.trusted_proxy"):
        Node(load(path))
    assert not (tmp_path / "var").exists()
    tls = '[http.tls]\ncertificate = "web.pem"\n'
    open_door = settings_file(tmp_path, f'host = "{host}"\nlogin = false', more=tls)
    with pytest.raises(SettingsError, match=r"http\.login is false"):
        exposure.check(load(open_door))
    for more in (tls, 'trusted_proxy = ["10.0.0.2", "10.1.0.0/16"]'):
        right = settings_file(tmp_path, f'host = "{host}"\n{more}')
        exposure.check(load(right))
        assert load(right).http.asks_login


def test_login_is_asked_for_unless_only_this_machine_reaches_the_page(tmp_path: Path) -> None:
    assert not load(settings_file(tmp_path)).http.asks_login
    assert load(settings_file(tmp_path, "login = true")).http.asks_login
    behind = 'trusted_proxy = ["127.0.0.1"]'
    assert load(settings_file(tmp_path, behind)).http.asks_login
    accepted = settings_file(tmp_path, f"{behind}\nlogin = false")
    exposure.check(load(accepted))
    assert [one for one in said(accepted) if "is the administrator" in one]
    with pytest.raises(SettingsError, match="trusted_proxy"):
        load(settings_file(tmp_path, 'trusted_proxy = ["a proxy"]'))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "localhost", "::1"])
def test_a_page_for_this_machine_alone_needs_nothing(tmp_path: Path, host: str) -> None:
    path = settings_file(tmp_path, f'host = "{host}"')
    exposure.check(load(path))
    assert said(path) == []


def test_check_says_that_the_node_would_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect.show_settings(settings_file(tmp_path, 'host = "0.0.0.0"')) == 1
    shown = capsys.readouterr().out
    assert "✗ http.host 0.0.0.0 opens the pages" in shown
    assert "! http.allowed_hosts is left out on 0.0.0.0" in shown


def test_any_host_name_is_a_caution_wherever_it_comes_from(tmp_path: Path) -> None:
    named = settings_file(tmp_path, 'allowed_hosts = ["*"]')
    assert [one for one in said(named) if 'http.allowed_hosts holds "*"' in one]
    opened = 'host = "0.0.0.0"\ntrusted_proxy = ["10.0.0.2"]\n'
    left_out = settings_file(tmp_path, opened)
    assert [one for one in said(left_out) if "DNS rebinding" in one]
    listed = settings_file(tmp_path, opened + 'allowed_hosts = ["wetread.local"]')
    assert not [one for one in said(listed) if "DNS rebinding" in one]


TLS = '[dimse.tls]\ncertificate = "n.pem"\nca = "ca.pem"\nonly = true\n'
USERS = '[dimse.identity]\nusers_file = "users.txt"\n'


def test_taking_images_from_anybody_on_the_network_is_a_caution(tmp_path: Path) -> None:
    opened = 'host = "0.0.0.0"'
    (one,) = said(settings_file(tmp_path, dimse=opened))
    assert one.startswith("dimse.accept_any_peer on 0.0.0.0")
    assert said(settings_file(tmp_path, dimse=opened + "\naccept_any_peer = false")) == []
    assert said(settings_file(tmp_path, dimse=opened, more=TLS)) == []
    assert said(settings_file(tmp_path, dimse=opened, more=USERS)) == []
    open_too = TLS.replace("only = true\n", "")
    assert len(said(settings_file(tmp_path, dimse=opened, more=open_too))) == 1


def test_open_doors_are_among_what_is_said_at_the_start_on_the_page_and_in_health(
    tmp_path: Path,
) -> None:
    path = settings_file(tmp_path, dimse='host = "0.0.0.0"')
    settings = load(path)
    assert set(exposure.cautions(settings)) <= set(cautions(settings))


def test_a_password_that_goes_over_the_network_as_it_is_is_said(tmp_path: Path) -> None:
    stow = '[[destinations]]\nkind = "stow"\nname = "{0}"\nurl = "{1}"\nuser = "me"\n'
    oauth = 'token_url = "http://login.example/t"\nclient_id = "i"\nclient_secret_env = "S"\n'
    near, far = stow.format("near", "http://localhost:8042/w"), stow.format("far", "http://h/w")
    more = near + far + stow.format("tls", "https://h/w") + oauth
    found = said(settings_file(tmp_path, more=more))
    assert [one.partition(" ")[0] for one in found] == ["far", "tls"]
    assert "on the way to login.example reads it; use https" in found[1]


def test_an_audit_trail_that_goes_by_udp_is_a_caution(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    table = '[[audit.syslog]]\nname = "r"\nhost = "{}"\ntransport = "udp"\n'
    path.write_text(table.format("audit.example.org"))
    assert any("by UDP, with names of patients" in one for one in cautions(load(path)))
    path.write_text(table.format("127.0.0.1"))
    assert not any("by UDP" in one for one in cautions(load(path)))
