"""Makes ``docs/interoperability.md``: every client that is installed, against the real node.

    python -m tests.interoperability.make [--write] [CLIENT...]

The clients' environments lie below ``INTEROP_PEERS``; ``install.sh`` beside this makes them.
Without ``--write`` the table is only printed. Exit code 1: something failed that is not known to.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.interoperability import orthanc_client
from tests.interoperability.clients import CLIENTS, PEERS, Client, debian
from tests.interoperability.judge import SERVICES, Verdict, judged
from tests.interoperability.target import Target, running_target

PAGE = Path("docs") / "interoperability.md"
ALL = (
    *CLIENTS,
    Client(
        "Orthanc as requestor, its DICOMweb client",
        debian("orthanc"),
        orthanc_client.run,
        orthanc_client.is_installed,
    ),
)
_CRASHES = "it crashes behind its release, with every archive, before it writes what came"
LIMITS: MappingProxyType[tuple[str, str], str] = MappingProxyType(
    {
        ("gdcmscu", "find"): _CRASHES,
        ("gdcmscu", "move"): _CRASHES,
        ("dcmjs-dimse", "get"): "all images; it proposes no context for a SEG or a 3D SR",
    }
)
"""What does not work because of the client, by its name and the service: the reason."""


@dataclass(frozen=True, slots=True)
class Row:
    """One client and what became of each of its services."""

    client: Client
    verdicts: dict[str, Verdict]

    @property
    def unknown_failures(self) -> list[str]:
        """Services that failed though they are not known to."""
        return [
            service
            for service, verdict in self.verdicts.items()
            if not verdict.is_right and (self.client.name, service) not in LIMITS
        ]

    def cells(self) -> list[str]:
        return [self.client.name, self.client.version(), *(self._cell(one) for one in SERVICES)]

    def _cell(self, service: str) -> str:
        verdict = self.verdicts.get(service)
        if verdict is None:
            return ""
        limit = LIMITS.get((self.client.name, service))
        return verdict.text if verdict.is_right else f"**no**: {limit or verdict.text}"


def rows(there: Target, folder: Path, clients: tuple[Client, ...]) -> list[Row]:
    """Each client in turn."""
    found = []
    for number, client in enumerate(clients):
        told = client.run(there, folder / f"client{number}")
        verdicts = {service: judged(service, one, there) for service, one in told.items()}
        found.append(Row(client, verdicts))
        for service, verdict in verdicts.items():
            print(f"{client.name}: {service}: {verdict.is_right}: {verdict.text}", file=sys.stderr)
    return found


_HEAD = """# Clients that were written elsewhere

`python -m tests.interoperability.make --write` makes this table. The node holds a synthetic chest
CT of 60 images in one study and what it made of them itself, a SEG and a TID 1500 report: 62
instances in 3 series. Each client finds and fetches all of it: *unaltered* means that every element
of every image it wrote to a file is as it was sent, *pixels as sent* that the frame's bytes are. An
empty cell: the client has no such service.

"""
_NAMES = {
    "find": "C-FIND",
    "get": "C-GET",
    "move": "C-MOVE",
    "qido": "QIDO-RS",
    "wado": "WADO-RS",
    "uri": "WADO-URI",
    "metadata": "metadata",
    "frames": "frames",
    "rendered": "rendered",
    "stow": "STOW-RS",
}
_TAIL = """
Viewers: a stock OHIF 3.13.2 (npm's `@ohif/app`, in headless Chromium), with `/dicom-web` as its
data source, lists the study by QIDO-RS, shows the CT by metadata and frames, lays the SEG over it
(Dice 0.97 with the file's mask on the slice shown), draws the report's outline and measurements.

Of single clients: `gdcmscu` connects to no port above 32767. odil binds its port twice, and gives
up, unless the connection of a C-MOVE waits at once: asked again, it takes everything. pynetdicom2
wants to be told which classes it stores. dicomweb-mcp-server reads Basic Text, Enhanced and
Comprehensive SR, not the node's Comprehensive 3D SR. dicomtrolley asks series by series.

How 500 generated queries are answered beside two other archives:
[query_differences.md](query_differences.md).
"""


def page(found: list[Row]) -> str:
    """A row a client."""
    head = ["client", "version", *(_NAMES[one] for one in SERVICES)]
    lines = [head, ["---"] * len(head), *(row.cells() for row in found)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{_HEAD}{table}\n{_TAIL}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clients", nargs="*", help="beginnings of names; none: all installed")
    parser.add_argument("--write", action="store_true", help=f"make {PAGE}")
    given = parser.parse_args()
    names = tuple(given.clients) or ("",)
    chosen = tuple(one for one in ALL if one.name.startswith(names))
    missing = [one.name for one in chosen if not one.is_installed()]
    if missing:
        print(f"not installed below {PEERS} or by the system: {missing}", file=sys.stderr)
    there_are = tuple(one for one in chosen if one.is_installed())
    warnings.simplefilter("ignore")  # pydicom's, of what clients send
    with (
        tempfile.TemporaryDirectory(prefix="wetread-interop-") as folder,
        running_target(Path(folder)) as there,
    ):
        found = rows(there, Path(folder), there_are)
    text = page(found)
    print(text)
    if given.write:
        PAGE.write_text(text)
    failed = [f"{row.client.name}: {one}" for row in found for one in row.unknown_failures]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
