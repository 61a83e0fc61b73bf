"""HTTPS with a certificate that changes, and what a proxy says of who asks."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from node.dimse.tls import ServerTls, TlsFiles
from node.errors import SettingsError
from node.web.server import WebServer
from tests import certificates
from tests.certificates import Authority, Certificate


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return certificates.authority(tmp_path_factory.mktemp("ca"))


@contextmanager
def served(tls: ServerTls | None = None, proxies: Sequence[str] = ()) -> Iterator[WebServer]:
    app = FastAPI()

    @app.get("/")
    def asked(request: Request) -> dict[str, str]:
        assert request.client is not None
        return {"client": request.client.host, "scheme": request.url.scheme}

    server = WebServer(lambda: app, "127.0.0.1", 0, tls, proxies)
    server.start()
    yield server
    server.stop()


def shown(server: WebServer, authority: Authority) -> str:
    """The name in the certificate that the server shows now."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    with (
        httpx.Client(verify=context) as client,
        client.stream("GET", f"https://127.0.0.1:{server.port}/") as answer,
    ):
        assert answer.status_code == 200
        connection = answer.extensions["network_stream"].get_extra_info("ssl_object")
        assert connection.selected_alpn_protocol() in (None, "http/1.1")
        (name,) = [value for group in connection.getpeercert()["subject"] for _, value in group]
        return str(name)


def put(made: Certificate, folder: Path) -> TlsFiles:
    files = TlsFiles(folder / "web.pem", folder / "web.key")
    shutil.copy(made.certificate, folder / "web.pem")
    shutil.copy(made.key, folder / "web.key")
    return files


def test_a_renewed_certificate_is_shown_without_a_restart(
    authority: Authority, tmp_path: Path
) -> None:
    old, new = authority.issue("old"), authority.issue("new")
    files = put(old, tmp_path)
    with served(ServerTls(files)) as server:
        assert server.scheme == "https"
        assert shown(server, authority) == "old"
        put(new, tmp_path)
        assert shown(server, authority) == "new"
        (tmp_path / "web.pem").write_text("half a file")
        assert shown(server, authority) == "new", "what cannot be used is not"
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{server.port}/", timeout=5)


def test_old_protocols_are_refused(authority: Authority, tmp_path: Path) -> None:
    with served(ServerTls(put(authority.issue("web"), tmp_path))) as server:
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA@SECLEVEL=0")  # CBC
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(httpx.ConnectError), httpx.Client(verify=context) as client:
            client.get(f"https://127.0.0.1:{server.port}/")


def test_files_that_cannot_be_used_are_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"web\.pem"):
        ServerTls(TlsFiles(tmp_path / "web.pem"))


FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("proxies", "client", "scheme"),
    [
        ((), "127.0.0.1", "http"),
        (("10.0.0.2",), "127.0.0.1", "http"),
        (("127.0.0.1",), "203.0.113.9", "https"),
        (("127.0.0.0/8", "::1"), "203.0.113.9", "https"),
    ],
)
def test_only_a_named_proxy_is_believed_in_who_asks(
    proxies: Sequence[str], client: str, scheme: str
) -> None:
    with served(proxies=proxies) as server:
        found = httpx.get(f"http://127.0.0.1:{server.port}/", headers=FORWARDED).json()
    assert found == {"client": client, "scheme": scheme}
