"""The files for TLS that the settings name: which they are, and whether they can be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from node.config.settings import Settings
from node.dimse.scu import peers
from node.dimse.tls import TlsFiles, client_context, server_context
from node.errors import SettingsError


def paths(settings: Settings) -> list[Path]:
    """Those of certificates and revocation lists."""
    own = settings.dimse.tls
    named = [own.certificate, own.ca, own.crl] if own else []
    named += [one.ca for one in settings.peers]
    called = (*settings.destinations, *settings.archives)
    named += [path for one in called for path in (one.certificate, one.ca)]
    named += [one.ca for one in settings.web_archives]
    return [path for path in dict.fromkeys(named) if path is not None]


def faults(settings: Settings) -> list[str]:
    """Why the node would not start with its files as they are now; empty where it would.

    A listener goes on with what it loaded before: nobody notices.
    """
    title, own = settings.node.ae_title, settings.dimse.tls
    loads: list[Callable[[], object]] = []
    if own:
        loads.append(partial(server_context, TlsFiles.shown_by(own)))
    called = (*settings.destinations, *settings.archives)
    loads += [partial(peers.destination_peer, one, title) for one in called]
    authorities = [TlsFiles(ca=one.ca) for one in settings.web_archives if one.ca]
    loads += [partial(client_context, one) for one in authorities]
    loads.append(partial(peers.report_peers, title, own, settings.peers, settings.destinations))
    found = []
    for load in loads:
        try:
            load()
        except SettingsError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))
