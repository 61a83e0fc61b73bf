"""The files for TLS that the settings name: which they are, and whether they can be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from node.config.settings import Settings
from node.config.tables import HttpTlsSettings
from node.dimse.scu import peers
from node.dimse.tls import TlsFiles, client_context, server_context
from node.errors import SettingsError


def paths(settings: Settings) -> list[Path]:
    """Those of certificates and revocation lists."""
    own = settings.dimse.tls
    named = [own.certificate, own.ca, own.crl] if own else []
    named += [settings.http.tls.certificate] if settings.http.tls else []
    named += [one.ca for one in settings.peers]
    named += [path for one in settings.entities for path in (one.certificate, one.ca)]
    web = settings.web_services
    named += [path for one in web for path in (one.certificate, one.ca, one.token_ca)]
    named += [path for one in settings.audit.syslog for path in (one.certificate, one.ca)]
    return [path for path in dict.fromkeys(named) if path is not None]


def files_of_web(own: HttpTlsSettings) -> TlsFiles:
    """Those that the web server shows."""
    return TlsFiles(own.certificate, own.key, key_password_file=own.key_password_file)


def faults(settings: Settings) -> list[str]:
    """Why the node would not start with its files as they are now; empty where it would.

    A listener goes on with what it loaded before: nobody notices.
    """
    title, own = settings.node.ae_title, settings.dimse.tls
    loads: list[Callable[[], object]] = []
    if own:
        loads.append(partial(server_context, TlsFiles.shown_by(own)))
    if settings.http.tls:
        loads.append(partial(server_context, files_of_web(settings.http.tls)))
    loads += [partial(peers.destination_peer, one, title) for one in settings.entities]
    shown = [TlsFiles(one.certificate, one.key, one.ca) for one in settings.web_services]
    shown += [TlsFiles(ca=one.token_ca) for one in settings.web_services]
    shown += [
        TlsFiles(one.certificate, one.key, one.ca, one.key_password_file)
        for one in settings.audit.syslog
    ]
    loads += [partial(client_context, one) for one in shown if one.paths()]
    whom = settings.dimse_destinations
    loads.append(partial(peers.report_peers, title, own, settings.peers, whom))
    found = []
    for load in loads:
        try:
            load()
        except SettingsError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))
