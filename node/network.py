"""From the settings to what the DICOM side takes: the listener's settings, and whom to call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from node.config.dimse import DestinationSettings
from node.config.settings import Settings
from node.dimse import tls
from node.dimse.association.admission import Peer
from node.dimse.association.connections import DimseSettings, TlsSettings
from node.dimse.scu import sender
from node.dimse.tls import TlsFiles
from node.errors import SettingsError

MIB = 2**20


def dimse_settings(settings: Settings, probe_ae_title: str) -> DimseSettings:
    """How the association server listens; ``probe_ae_title`` is the node's own, and secret."""
    dimse = settings.dimse
    return DimseSettings(
        ae_title=settings.node.ae_title,
        host=dimse.host,
        port=dimse.port,
        accept_any_peer=dimse.accept_any_peer,
        peers=tuple(Peer(one.ae_title, one.host, one.certificate) for one in settings.peers),
        require_called_ae_title=dimse.require_called_ae_title,
        max_associations=dimse.max_associations,
        max_associations_per_peer=dimse.max_associations_per_peer,
        max_contexts=dimse.max_contexts,
        max_pdu_bytes=dimse.max_pdu_bytes,
        max_instance_bytes=dimse.max_instance_mb * MIB,
        network_timeout_s=dimse.network_timeout_s,
        pdu_timeout_s=dimse.pdu_timeout_s,
        negotiation_timeout_s=dimse.negotiation_timeout_s,
        min_free_bytes=settings.storage.min_free_mb * MIB,
        tls=_tls(settings),
        users_file=dimse.identity.users_file if dimse.identity else None,
        require_user=bool(dimse.identity and dimse.identity.required),
        probe_ae_title=probe_ae_title,
    )


def _tls(settings: Settings) -> TlsSettings | None:
    given = settings.dimse.tls
    if given is None:
        return None
    files = TlsFiles(given.certificate, given.key, given.ca, given.key_password_file, given.crl)
    host = settings.dimse.host if given.host is None else given.host
    return TlsSettings(files, host, given.port, given.only)


def tls_files(destination: DestinationSettings) -> TlsFiles | None:
    """What an encrypted association with a destination needs; None where it is plain.

    Raises
    ------
    SettingsError
        A file is missing or no PEM file: said at start, not at the first result.
    """
    if not destination.tls:
        return None
    return _checked(TlsFiles(destination.certificate, destination.key, destination.ca))


def tls_paths(settings: Settings) -> list[Path]:
    """The files of certificates and revocation lists that the settings name."""
    own = settings.dimse.tls
    named = [own.certificate, own.ca, own.crl] if own else []
    named += [one.ca for one in settings.peers]
    named += [path for one in settings.destinations for path in (one.certificate, one.ca)]
    return [path for path in dict.fromkeys(named) if path is not None]


def tls_faults(settings: Settings) -> list[str]:
    """Why the node would not start with its TLS files as they are now; empty where it would.

    A listener goes on with what it loaded before: nobody notices.
    """
    own = _tls(settings)
    loads: list[Callable[[], object]] = [partial(tls.server_context, own.files)] if own else []
    loads += [partial(tls_files, one) for one in settings.destinations]
    loads += [partial(report_peers, settings)]
    faults = []
    for load in loads:
        try:
            load()
        except SettingsError as error:
            faults.append(str(error))
    return list(dict.fromkeys(faults))


def peer_of(destination: DestinationSettings, ae_title: str) -> sender.Peer:
    """How a destination is called. ae_title: the node's own, unless the destination has one.

    Raises
    ------
    SettingsError
        As ``tls_files``.
    """
    return sender.Peer(
        destination.name,
        destination.ae_title,
        destination.host,
        destination.port,
        destination.calling_ae_title or ae_title,
        tls_files(destination),
        destination.tls_name,
    )


def report_peers(settings: Settings) -> Callable[[str, str], sender.Peer | None]:
    """Where a peer (AE title, host it came from) takes storage commitment reports.

    Over TLS it is shown the node's own certificate.

    Raises
    ------
    SettingsError
        As ``tls_files``.
    """
    title, own = settings.node.ae_title, settings.dimse.tls
    shown = TlsFiles(own.certificate, own.key, None, own.key_password_file) if own else TlsFiles()
    peers = {one.ae_title: one for one in reversed(settings.peers) if one.port}  # the first counts
    files = {name: _checked(replace(shown, ca=one.ca)) for name, one in peers.items() if one.tls}
    others = {one.ae_title: peer_of(one, title) for one in reversed(settings.destinations)}

    def find(ae_title: str, host: str) -> sender.Peer | None:
        known = peers.get(ae_title)
        if known is None or known.port is None:
            return others.get(ae_title)
        where = known.host or host
        return sender.Peer(
            ae_title, ae_title, where, known.port, title, files.get(ae_title), known.tls_name
        )

    return find


def _checked(files: TlsFiles) -> TlsFiles:
    tls.client_context(files)
    return files
