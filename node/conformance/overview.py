"""Overview, introduction and implementation model."""

from __future__ import annotations

from node.conformance.writing import table
from node.dimse.services.offered import COMPOSITES, OFFERED, ON_THE_LANE
from node.dimse.services.used import USED

_WEB = (
    ("QIDO-RS, WADO-RS, WADO-URI, STOW-RS", "no", "yes", "PS3.18"),
    ("QIDO-RS, WADO-RS (of `web_archives`)", "yes", "no", "PS3.18 10.4, 10.6"),
    ("STOW-RS, QIDO-RS (of `destinations`)", "yes", "no", "PS3.18 10.5, 10.6"),
)


def text(contents: str) -> str:
    rows = [
        *((one.name, "no", "yes", one.source) for one in (*ON_THE_LANE, *COMPOSITES, *OFFERED)),
        *((f"{one.name} ({one.operation})", "yes", "no", one.source) for one in USED),
    ]
    return f"""# DICOM conformance statement

This text is made from the tables in the code by `make docs`; a test refuses a statement that is
not what the code does, and proposes to the real server everything that is listed here.

## Conformance statement overview

Wetread is a DICOM node that receives images, runs analyzers on them, and sends what they find to
other nodes as DICOM objects. What it holds, images and results, can be asked for and fetched; what
other archives hold it can fetch. It is no long-term archive and no display.

{table(("Network service", "As SCU", "As SCP", "Source"), rows)}
{table(("Web service", "As user agent", "As origin server", "Source"), _WEB)}
Media interchange is not supported. All results are written by the node itself: see
[IOD contents](#iod-contents).

## Table of contents

{contents}

## Introduction

### Audience

Whoever connects the node to modalities, archives and viewers, and knows DICOM. Two statements that
agree are no proof that two systems work together: that has to be tried.

### Remarks

Wetread is for research, and no medical device. Names of settings are those of `config.toml`:
`dimse.port` stands in its table `[dimse]`. [Configuration](configuration.md) lists them all,
[Operation](operation.md) says how the node behaves when something fails.

### Terms and abbreviations

Words of the standard are used as PS3.1 to PS3.18 define them. *Own*: made by the node itself.
*Peer*: another application entity.
"""


def model() -> str:
    return """## Networking

### Implementation model

#### Application data flow

```text
modalities, PACS ──C-STORE, STOW-RS──▶ ┌─────────┐ ──C-STORE, STOW-RS, files──▶ destinations
modalities ──MPPS, IAN, commitment───▶ │ Wetread │ ◀─commitment─▶ destinations
viewers ──C-FIND, C-GET, C-MOVE──────▶ │         │ ──C-STORE──▶ where C-MOVE wants it
viewers ──QIDO-RS, WADO-RS───────────▶ └─────────┘ ──C-FIND, C-GET, C-MOVE, DICOMweb──▶ archives
```

#### Functional definition of the application entity

One application entity, by default with the title of `node.ae_title`. It receives instances and
keeps them byte by byte as they came; a study that is complete is analyzed; results are validated
and sent to every destination of its rule. Instances and results are found by queries and retrieved
alike. At a person's wish it fetches studies from archives. With `dimse.processes` above 1 several
processes receive behind one port: for peers they are one application entity.

#### Sequencing of real-world activities

An instance is answered with success only when its bytes are on disk. Results of a study are sent
when the analysis has ended; storage commitment is requested for what was sent. What is to be
fetched is looked for first, then brought, then counted against what was found.

### AE specifications
"""
