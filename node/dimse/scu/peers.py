"""Whom the node calls: the destinations, and who takes storage commitment reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from node.config.destinations import DimseDestinationSettings
from node.config.dimse import CalledSettings, PeerSettings, TlsSettings
from node.dimse.scu.sender import Peer
from node.dimse.tls import TlsFiles, client_context


def destination_peer(destination: CalledSettings, ae_title: str) -> Peer:
    """How a destination or archive is called. ae_title: the node's own, unless it has one.

    Raises
    ------
    SettingsError
        A file for TLS is missing or no PEM file: said at start, not at the first result.
    """
    return Peer(
        destination.name,
        destination.ae_title,
        destination.host,
        destination.port,
        destination.calling_ae_title or ae_title,
        _files(destination),
        destination.tls_name,
    )


def report_peers(
    ae_title: str,
    own: TlsSettings | None,
    peers: tuple[PeerSettings, ...],
    destinations: tuple[DimseDestinationSettings, ...],
) -> Callable[[str, str], Peer | None]:
    """Where a peer (AE title, host it came from) takes storage commitment reports.

    Over TLS it is shown the node's ``own`` certificate.

    Raises
    ------
    SettingsError
        As ``destination_peer``.
    """
    shown = TlsFiles(own.certificate, own.key, None, own.key_password_file) if own else TlsFiles()
    called = {one.ae_title: one for one in reversed(peers) if one.port}  # the first counts
    files = {name: _checked(replace(shown, ca=one.ca)) for name, one in called.items() if one.tls}
    others = {one.ae_title: destination_peer(one, ae_title) for one in reversed(destinations)}

    def find(title: str, host: str) -> Peer | None:
        known = called.get(title)
        if known is None or known.port is None:
            return others.get(title)
        where = known.host or host
        return Peer(title, title, where, known.port, ae_title, files.get(title), known.tls_name)

    return find


def move_destinations(
    ae_title: str,
    own: TlsSettings | None,
    peers: tuple[PeerSettings, ...],
    destinations: tuple[DimseDestinationSettings, ...],
) -> Callable[[str], Peer | None]:
    """Where C-MOVE sends what is to go to an AE title; None: nobody has an address for it.

    Raises
    ------
    SettingsError
        As ``destination_peer``.
    """
    placed = tuple(one for one in peers if one.host)
    find = report_peers(ae_title, own, placed, destinations)
    return lambda title: find(title.strip(), "")


def _files(destination: CalledSettings) -> TlsFiles | None:
    if not destination.tls:
        return None
    return _checked(TlsFiles(destination.certificate, destination.key, destination.ca))


def _checked(files: TlsFiles) -> TlsFiles:
    client_context(files)
    return files
