"""The DICOM conformance statement (PS3.2), made from the tables by which the node works.

``python -m node.conformance`` writes it to ``docs/conformance.md``; a test holds the two together.
What stands here in words alone is what no table says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom.uid import UID

from node import query_statement, web_statement
from node.config.dimse import TLS_PORT, DestinationSettings, DimseSettings, PeerSettings
from node.dimse import contexts, tls
from node.dimse.scu.answers import MEANINGS
from node.dimse.scu.caller import MAX_PDU_BYTES
from node.dimse.scu.sender import DEFAULT_TIMEOUTS
from node.dimse.services.offered import (
    COMPOSITES,
    OFFERED,
    ON_THE_LANE,
    Offered,
    OfferedComposite,
    OnTheLane,
)
from node.dimse.services.requests import UNSERVED
from node.dimse.services.used import USED
from node.dimse.wire import rejections
from node.dimse.wire.negotiation import APPLICATION_CONTEXT, USER_NAME_AND_PASSCODE
from node.dimse.wire.pdus import MAX_REQUEST_BYTES
from node.dimse.wire.rejections import Rejection
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.receive import failure_reasons
from node.results.gate.required import REQUIRED
from node.statuses import StatusRow

DOCUMENT = Path("docs/conformance.md")
NEWLINE = "\n"


def statement() -> str:
    """The whole text, in Markdown."""
    parts = (
        _overview(),
        _model(),
        _sop_classes(),
        _association_policies(),
        _acceptance(),
        _services(),
        _store_over_the_web(),
        _initiation(),
        web_statement.text(),
        _configuration(),
        _rest(),
    )
    return NEWLINE.join(parts)


# --- the parts, in the order of PS3.2 -------------------------------------------------------------


def _overview() -> str:
    rows = [
        *((one.name, "no", "yes", one.source) for one in (*ON_THE_LANE, *COMPOSITES, *OFFERED)),
        *((f"{one.name} ({one.operation})", "yes", "no", one.source) for one in USED),
    ]
    return f"""# DICOM conformance statement

This text is made from the tables in the code by `make docs`; a test refuses a statement that is
not what the code does, and proposes to the real server everything that is listed here.

Wetread is a DICOM node that receives images, runs analyzers on them, and sends what they find to
other nodes as DICOM objects. It is no archive and no display.

## Overview

{_table(("Network service", "As SCU", "As SCP", "Source"), rows)}
Media interchange is not supported. All results are written by the node itself: see
[Objects that are written](#objects-that-are-written).
"""


def _model() -> str:
    return f"""## Networking

### Implementation model

One application entity, by default with the title of `node.ae_title`. It receives instances and
keeps them byte by byte as they came; a study that is complete is analyzed; results are validated
and sent to every destination of its rule. With `dimse.processes` above 1 several processes receive
behind one port: for peers they are one application entity.

Sequencing: an instance is answered with success only when its bytes are on disk; results of a study
are sent when the analysis has ended; storage commitment is requested for what was sent.

### Implementation identifying information

{
        _table(
            ("Name", "Value"),
            [
                ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
                ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"),
                ("Application Context Name", f"`{APPLICATION_CONTEXT.decode()}`"),
            ],
        )
    }"""


def _sop_classes() -> str:
    syntaxes = [(_name(one), f"`{one}`") for one in _sorted(contexts.TRANSFER_SYNTAXES)]
    native = ", ".join(UID(one).name for one in _sorted(contexts.NATIVE))
    services = [(one.name, f"`{one.sop_class_uid}`", "SCP, SCU or both") for one in OFFERED]
    services += [(_name(uid), f"`{uid}`", "SCP") for one in COMPOSITES for uid in one.sop_classes]
    return f"""### Presentation contexts that are accepted

#### Services without pixels

{_table(("SOP class", "UID", "Role of the node"), services)}
Transfer syntaxes: {native}.

#### Verification and storage

{_table(("SOP class", "UID"), [(_name(one), f"`{one}`") for one in _stored()])}
Beside these: every private SOP class, and every SOP class below `1.2.840.10008.5.1.4.1.1.` that is
newer than this list. Refused are SOP classes of no study (palettes, hanging protocols, implant
templates, defined procedure protocols, inventories, the DICOMDIR) and of all other services.

Transfer syntaxes of all of them:

{_table(("Transfer syntax", "UID"), syntaxes)}
Of the proposed transfer syntaxes of a context the first that is listed is accepted, so that what is
compressed stays so; only Explicit VR Little Endian goes before Implicit VR and Big Endian. An
instance is kept in the transfer syntax in which it came: the node never transcodes it.
"""


def _association_policies() -> str:
    return f"""### Association policies

{
        _table(
            ("Policy", "Value", "Setting"),
            [
                ("Associations at one time, as acceptor", *_setting("max_associations")),
                ("The same of one host", *_setting("max_associations_per_peer")),
                ("Presentation contexts of one association", *_setting("max_contexts")),
                ("Longest PDU that is taken, in bytes", *_setting("max_pdu_bytes")),
                ("Longest A-ASSOCIATE-RQ, in bytes", MAX_REQUEST_BYTES, ""),
                ("Largest instance, in MiB (0: any)", *_setting("max_instance_mb")),
                ("Silence of a peer, in seconds", *_setting("network_timeout_s")),
                ("From a PDU's first byte to its last, in seconds", *_setting("pdu_timeout_s")),
                (
                    "From the connection to the whole A-ASSOCIATE-RQ, in seconds (ARTIM)",
                    *_setting("negotiation_timeout_s"),
                ),
                ("Associations at one time, as requestor, with results: of a destination", 1, ""),
                (
                    "The same, asking a destination to commit to results",
                    1,
                    "`destinations.commitment`",
                ),
                ("The same, with reports of storage commitment: of who asked", 1, ""),
                ("Longest PDU that is announced as requestor, in bytes", MAX_PDU_BYTES, ""),
                ("Connecting, as requestor, in seconds", DEFAULT_TIMEOUTS.connect_s, ""),
                ("Answer to an A-ASSOCIATE-RQ, in seconds", DEFAULT_TIMEOUTS.negotiation_s, ""),
                (
                    "Answer to a message, in seconds",
                    DEFAULT_TIMEOUTS.response_s,
                    "longer for large objects",
                ),
            ],
        )
    }
Asynchronous operations: not supported; one operation at a time, and the negotiation item is not
answered. SOP class extended negotiation: answered for Query/Retrieve (see
[Queries](#queries-ps34-c)); common extended negotiation: not supported, and not answered. Role
selection: accepted as it is proposed for the services of DIMSE-N. User identity negotiation: type {
        USER_NAME_AND_PASSCODE
    } (user name and passcode) where `dimse.identity` is set;
other types are accepted as if they had not been sent, or refused where a user is required.
"""


def _acceptance() -> str:
    rows = [
        (one.reason, f"{one.result}, {one.source}, {one.diagnostic}") for one in _all_rejections()
    ]
    return f"""### Association acceptance

A request is accepted from every calling AE title with `dimse.accept_any_peer`, else from those in
`peers` (with the host and the certificate that stand there). With `dimse.require_called_ae_title`
the called AE title has to be the node's. A request is refused with:

{_table(("Reason", "Result, source, reason/diag."), rows)}
What is no PDU, is longer than announced to be, or does not belong where it comes, is answered with
A-ABORT.
"""


def _services() -> str:
    composite = [*map(_composite, ON_THE_LANE), *map(_composite, COMPOSITES)]
    parts = [*composite, query_statement.text(), *map(_service, OFFERED)]
    return f"""### Services as SCP

{NEWLINE.join(parts)}
Any other operation of DIMSE-N is answered 0x{UNSERVED.code:04X} ({UNSERVED.meaning}), or the
association is aborted.
"""


def _store_over_the_web() -> str:
    return f"""### Store over the web (STOW-RS, PS3.18 10.5)

`POST` to `/dicom-web/studies` and `/dicom-web/studies/{{study}}`: `multipart/related;
type="application/dicom"`, or one instance as `application/dicom`. Metadata apart from bulk data
(`application/dicom+json`, `application/dicom+xml`) is not taken: 415. SOP classes and transfer
syntaxes are those of C-STORE, and so are durability, limits, duplicates and quarantine. Nothing is
coerced. The answer, `application/dicom+json` or `application/dicom+xml`, comes when all that it
names as stored is on disk: 200 (all), 202 (some), 409 (none); 413 (too large), 503 with
`Retry-After` (out of resources). The Warning header says in words why something was not stored.

Failure Reason (0008,1197):

{_statuses(failure_reasons.TABLE)}"""


def _initiation() -> str:
    used = [
        (
            one.name,
            one.operation,
            ", ".join(f"`{uid}`" for uid in one.sop_classes) or "of what is sent",
            one.when,
        )
        for one in USED
    ]
    meanings = [
        (_range(one.first, one.last), one.text, one.outcome.value.replace("_", " "))
        for one in MEANINGS
    ]
    return f"""### Services as SCU

{_table(("Service", "Operation", "SOP classes", "When"), used)}
An object is proposed in the transfer syntax of its file; one that is not compressed also in
Explicit VR Little Endian and Implicit VR Little Endian. Its pixel data is never encoded anew.

What an answer to a C-STORE means; the first line that fits counts:

{_table(("Status", "Meaning", "What becomes of the object"), meanings)}
*transient* is tried again, with growing pauses; *refused* is shown and waits for somebody. A
duplicate counts as sent: UIDs of results derive from all that enters their bytes. The peer away is
no attempt: its objects wait until it answers.
"""


def _configuration() -> str:
    return f"""### Network interfaces and configuration

TCP/IP over IPv4 or IPv6, the port of `dimse.port` ({_default("port")}); for TLS
`dimse.tls.port` ({TLS_PORT}). The settings stand in one TOML file.

{
        _table(
            ("Table", "What it says of the network", "Fields"),
            [
                (
                    "`[node]`, `[dimse]`",
                    "the node's own AE title, address, port and limits",
                    _fields(DimseSettings),
                ),
                ("`[[peers]]`", "who may send, and where they take reports", _fields(PeerSettings)),
                ("`[[destinations]]`", "where results go", _fields(DestinationSettings)),
            ],
        )
    }"""


def _rest() -> str:
    made = [(_name(one), f"`{one}`") for one in _sorted(REQUIRED)]
    ciphers = tls.TLS_1_2_CIPHERS.replace(":", ", ")
    return f"""## Media interchange

Not supported.

## Character sets

What is received keeps its Specific Character Set (0008,0005); all that PS3.3 C.12.1.1.2 defines are
read. Results repeat the character set of the images where it holds their texts, else they are
written in ISO_IR 192 (UTF-8).

## Security

The BCP 195 RFC 8996, 9325 TLS Profile (PS3.15 B.12): TLS 1.2 or newer, on a port of its own. Of TLS
1.2 the suites {ciphers}. With `ca` the other side has to show a certificate; a peer may be bound to
one. Revocation lists are read where `crl` is given. Without TLS the node listens on the local
address unless the settings say otherwise.

## Objects that are written

Each result names the analyzer and its version in Contributing Equipment Sequence (0018,A001),
belongs to the study of the images, and is validated before it leaves. UIDs are derived from inputs,
analyzer, version and parameters: the same run gives the same objects.

{_table(("SOP class", "UID"), made)}
They are written in Explicit VR Little Endian; compressed images in the transfer syntax that the
analyzer names. No Standard Extended, Specialized or Private SOP classes are made. Attributes of
private groups in received instances are kept and never interpreted.
"""


# --- services -------------------------------------------------------------------------------------


def _composite(one: OnTheLane | OfferedComposite) -> str:
    return f"#### {one.name} ({one.source})\n\n{one.operation}:\n\n{_statuses(one.table)}"


def _service(one: Offered) -> str:
    tables = "\n".join(
        f"{operation.value}:\n\n{_statuses(rows)}" for operation, rows in one.tables.items()
    )
    return f"#### {one.name} ({one.source})\n\nSOP class `{one.sop_class_uid}`.\n\n{tables}"


def _statuses(rows: Sequence[StatusRow]) -> str:
    return _table(
        ("Status", "Meaning", "When", "Source"),
        [(f"0x{row.code:04X}", row.meaning, row.when, row.source) for row in rows],
    )


# --- small things ---------------------------------------------------------------------------------


def _stored() -> list[str]:
    """Verification, and the storage SOP classes."""
    return [uid for one in ON_THE_LANE for uid in one.sop_classes]


def _all_rejections() -> list[Rejection]:
    return [one for one in vars(rejections).values() if isinstance(one, Rejection)]


def _setting(name: str) -> tuple[str, str]:
    return _default(name), f"`dimse.{name}`"


def _default(name: str) -> str:
    return str(DimseSettings.model_fields[name].default)


def _fields(settings: type[DimseSettings | PeerSettings | DestinationSettings]) -> str:
    return ", ".join(f"`{name}`" for name in settings.model_fields)


def _name(uid: str) -> str:
    return UID(uid).name or "(retired, without a name)"


def _range(first: int, last: int) -> str:
    return f"0x{first:04X}" if first == last else f"0x{first:04X}–0x{last:04X}"


def _sorted(uids: Iterable[str]) -> list[str]:
    return sorted(uids, key=lambda uid: [int(part) for part in uid.split(".")])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [" | ".join(map(str, row)) for row in (head, ["---"] * len(head), *rows)]
    return "".join(f"| {line} |\n" for line in lines)


def main() -> None:
    """Write the statement where it stands."""
    DOCUMENT.write_text(statement(), encoding="utf-8")


if __name__ == "__main__":
    main()
