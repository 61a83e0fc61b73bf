"""Media, character sets, security, and what the node writes."""

from __future__ import annotations

from node.conformance import auditing
from node.conformance.writing import in_order, name_of, table
from node.dimse import tls
from node.results.gate.required import REQUIRED


def text() -> str:
    made = [(name_of(one), f"`{one}`") for one in in_order(REQUIRED)]
    ciphers = tls.TLS_1_2_CIPHERS.replace(":", ", ")
    return f"""## Media interchange

Not supported.

## Support of character sets

What is received keeps its Specific Character Set (0008,0005); all that PS3.3 C.12.1.1.2 defines are
read. Results repeat the character set of the images where it holds their texts, else they are
written in ISO_IR 192 (UTF-8). Of queries see [Queries](#queries-ps34-c).

## Security

The BCP 195 RFC 8996, 9325 TLS Profile (PS3.15 B.12): TLS 1.2 or newer, on a port of its own. Of TLS
1.2 the suites {ciphers}. With `ca` the other side has to show a certificate; a peer may be bound to
one. Revocation lists are read where `crl` is given. Without TLS the node listens on the local
address unless the settings say otherwise. Web services off the local
address want TLS 1.2 or newer, or a proxy that is named, and a login: by password, by an account of
an OpenID Connect provider, or, for programs, by an app password (RFC 7617).
{auditing.text()}

## Annexes

### IOD contents

#### Created SOP instances

Each result names the analyzer and its version in Contributing Equipment Sequence (0018,A001),
belongs to the study of the images, and is validated before it leaves. UIDs are derived from all
that enters the bytes: inputs, analyzer, version, trained models, parameters, node and start. The
same run gives the same objects, and no UID has two contents.

{table(("SOP class", "UID"), made)}
They are written in Explicit VR Little Endian, RT Structure Sets in Implicit VR Little Endian;
compressed images in the transfer syntax that the analyzer names.

#### Coerced and modified fields

None: what was received is kept, returned and sent as it came.

### Data dictionary of private attributes

None are written. Those of received instances are kept, can be queried, and are never interpreted.

### Coded terminology and templates

Results use SCT, DCM, UCUM and, for conclusions, the codes that a rule names; reports follow
TID 1500 (Measurement Report), with TID 1410, 1411 and 1501 as their groups and TID 320.

### Greyscale image consistency

The node shows no images for diagnosis: previews are pictures of results, and rendered images are
without a display's calibration.

### Standard extended, specialized and private SOP classes

None are made. Private SOP classes are received and given back.

### Private transfer syntaxes

None.
"""
