"""Network interfaces, and what of the settings concerns the network."""

from __future__ import annotations

from node.config.archives import ArchiveSettings, WebArchiveSettings
from node.config.destinations import (
    DimseDestinationSettings,
    FolderDestinationSettings,
    StowDestinationSettings,
)
from node.config.dimse import TLS_PORT, DimseSettings, PeerSettings
from node.config.table import Table
from node.config.tables import HttpSettings, NodeSettings, QuerySettings
from node.conformance.writing import table


def text() -> str:
    return f"""### Network interfaces

TCP/IP over IPv4 or IPv6; names are resolved by the operating system. HTTP/1.1 for web services.

### Configuration

The settings stand in one TOML file, and are read when the node starts.

#### AE title and presentation address mapping

{
        table(
            ("Application entity", "Default AE title", "Default port"),
            [
                (
                    "Wetread",
                    f"`{NodeSettings.model_fields['ae_title'].default}`",
                    f"{DimseSettings.model_fields['port'].default}; with TLS {TLS_PORT}",
                ),
            ],
        )
    }
Addresses of peers stand in `[[peers]]`, `[[destinations]]` and `[[archives]]`. C-MOVE finds its
destination by the AE title in `[[peers]]` (with host and port), then in `[[destinations]]`.

#### Parameters

{
        table(
            ("Table", "What it says of the network", "Fields"),
            [
                ("`[node]`, `[dimse]`", "the node's own title and limits", _fields(DimseSettings)),
                ("`[query]`", "limits of queries", _fields(QuerySettings)),
                ("`[http]`", "the web services", _fields(HttpSettings)),
                ("`[[peers]]`", "who may what, and where each listens", _fields(PeerSettings)),
                ("`[[destinations]]`", "where results go", _fields(DimseDestinationSettings)),
                ("the same of `kind` stow", "… over the web", _fields(StowDestinationSettings)),
                ("… of `kind` folder", "… as files", _fields(FolderDestinationSettings)),
                ("`[[archives]]`", "what is fetched from", _fields(ArchiveSettings)),
                ("`[[web_archives]]`", "the same by DICOMweb", _fields(WebArchiveSettings)),
            ],
        )
    }"""


def _fields(settings: type[Table]) -> str:
    return ", ".join(f"`{name}`" for name in settings.model_fields)
