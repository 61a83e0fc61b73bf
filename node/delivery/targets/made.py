"""From a destination's table of the settings to its target."""

from __future__ import annotations

from node.config.destinations import (
    AnyDestination,
    DimseDestinationSettings,
    FolderDestinationSettings,
    StowDestinationSettings,
)
from node.delivery.targets.dimse import DimseTarget
from node.delivery.targets.folder import FolderTarget
from node.delivery.targets.port import Target
from node.dimse.scu import peers
from node.dimse.tls import TlsFiles, client_context


def target_of(destination: AnyDestination, ae_title: str) -> Target:
    """What a courier sends to. ``ae_title``: the node's own.

    Raises
    ------
    SettingsError
        A file for TLS or of a secret cannot be used: said at start, not at the first result.
    """
    match destination:
        case DimseDestinationSettings():
            return DimseTarget(peers.destination_peer(destination, ae_title))
        case FolderDestinationSettings():
            return FolderTarget(destination.name, destination.path, destination.template)
        case StowDestinationSettings():
            from node.delivery.targets.stow import StowTarget
            from node.web_client.authorization import check_secrets

            check_secrets(destination)
            client_context(TlsFiles(destination.certificate, destination.key, destination.ca))
            return StowTarget(destination)
