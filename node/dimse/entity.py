"""The node as others meet it: what the settings say of it to whoever listens and answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.config.destinations import DimseDestinationSettings
from node.config.dimse import DimseSettings, PeerSettings
from node.config.tables import QuerySettings


@dataclass(frozen=True, slots=True)
class Entity:
    """The node as others meet it: its table of the settings, and what other tables say of it."""

    ae_title: str
    dimse: DimseSettings = field(default_factory=DimseSettings)
    peers: tuple[PeerSettings, ...] = ()
    destinations: tuple[DimseDestinationSettings, ...] = ()
    """C-MOVE may send there too."""
    min_free_mb: int = 0
    """With less room on the disk, instances are refused."""
    query: QuerySettings = field(default_factory=QuerySettings)
    probe_ae_title: str = ""
    """The node's own calls: let in whatever the limits say. To be secret."""
