"""How associations are accepted, and what is answered over them: the node as SCP."""

from __future__ import annotations

from pydicom.uid import UID

from node.config.dimse import DimseSettings
from node.conformance import queries
from node.conformance.writing import in_order, name_of, statuses, table
from node.dimse import contexts
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
from node.dimse.wire import rejections
from node.dimse.wire.negotiation import APPLICATION_CONTEXT, USER_NAME_AND_PASSCODE
from node.dimse.wire.pdus import MAX_REQUEST_BYTES
from node.dimse.wire.rejections import Rejection
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.statuses import NOT_AUTHORISED

NEWLINE = "\n"


def policies() -> str:
    return f"""#### Association policies

##### General and number of associations

{
        table(
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
                ("The same, fetching: of a source", 1, "`archives`, `web_archives`"),
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

##### Asynchronous nature

Not supported: one operation at a time; the negotiation item is not answered.

##### Extended negotiation

SOP class extended negotiation: answered for Query/Retrieve (see
[Queries](#queries-ps34-c)); common extended negotiation: not supported, and not answered. Role
selection: accepted as it is proposed for the services of DIMSE-N. User identity negotiation: type {
        USER_NAME_AND_PASSCODE
    } (user name and passcode) where `dimse.identity` is set;
other types are accepted as if they had not been sent, or refused where a user is required. As
requestor the node proposes role selection alone: for storage commitment, and for the storage SOP
classes of a C-GET.

##### Implementation identifying information

{
        table(
            ("Name", "Value"),
            [
                ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
                ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"),
                ("Application Context Name", f"`{APPLICATION_CONTEXT.decode()}`"),
            ],
        )
    }"""


def text() -> str:
    return NEWLINE.join((_sop_classes(), _acceptance(), _services()))


def _sop_classes() -> str:
    syntaxes = [(name_of(one), f"`{one}`") for one in in_order(contexts.TRANSFER_SYNTAXES)]
    native = ", ".join(UID(one).name for one in in_order(contexts.NATIVE))
    services = [(one.name, f"`{one.sop_class_uid}`", "SCP, SCU or both") for one in OFFERED]
    services += [(name_of(uid), f"`{uid}`", "SCP") for one in COMPOSITES for uid in one.sop_classes]
    return f"""#### Association acceptance policy

##### Presentation contexts that are accepted

###### Services without pixels

{table(("SOP class", "UID", "Role of the node"), services)}
Transfer syntaxes: {native}.

###### Verification and storage

{table(("SOP class", "UID"), [(name_of(one), f"`{one}`") for one in _stored()])}
Beside these: every private SOP class, and every SOP class below `1.2.840.10008.5.1.4.1.1.` that is
newer than this list. Refused are SOP classes of no study (palettes, hanging protocols, implant
templates, defined procedure protocols, inventories, the DICOMDIR) and of all other services.

Transfer syntaxes of all of them:

{table(("Transfer syntax", "UID"), syntaxes)}
Of the proposed transfer syntaxes of a context the first that is listed is accepted, so that what is
compressed stays so; only Explicit VR Little Endian goes before Implicit VR and Big Endian. An
instance is kept in the transfer syntax in which it came: the node never transcodes what it keeps.
"""


def _acceptance() -> str:
    rows = [
        (one.reason, f"{one.result}, {one.source}, {one.diagnostic}") for one in _all_rejections()
    ]
    return f"""##### Who is accepted, and what each may

A request is accepted from every calling AE title with `dimse.accept_any_peer`, else from those in
`peers` (with the host and the certificate that stand there). With `dimse.require_called_ae_title`
the called AE title has to be the node's. A request is refused with:

{table(("Reason", "Result, source, reason/diag."), rows)}

Beyond C-ECHO each peer has the rights that the settings give it; what it asks without them is
answered 0x{NOT_AUTHORISED:04X} (Refused: Not authorized):

{
        table(
            ("Right", "What it lets a peer do"),
            [
                ("`store`", "C-STORE, storage commitment, MPPS, instance availability"),
                ("`query`", "C-FIND"),
                ("`retrieve`", "C-GET, and C-MOVE to the AE titles of `peers.retrieve_to`"),
            ],
        )
    }
`peers.may` names those of a peer, `dimse.any_peer_may` those of all others: left out, all where
the node listens on its own machine alone, else `store`.

What is no PDU, is longer than announced to be, or does not belong where it comes, is answered with
A-ABORT.
"""


def _services() -> str:
    composite = [*map(_composite, ON_THE_LANE), *map(_composite, COMPOSITES)]
    parts = [*composite, queries.text(), *map(_service, OFFERED)]
    return f"""##### SOP specific conformance as SCP

{NEWLINE.join(parts)}
Any other operation of DIMSE-N is answered 0x{UNSERVED.code:04X} ({UNSERVED.meaning}), or the
association is aborted.
"""


def _composite(one: OnTheLane | OfferedComposite) -> str:
    return f"###### {one.name} ({one.source})\n\n{one.operation}:\n\n{statuses(one.table)}"


def _service(one: Offered) -> str:
    tables = "\n".join(
        f"{operation.value}:\n\n{statuses(rows)}" for operation, rows in one.tables.items()
    )
    return f"###### {one.name} ({one.source})\n\nSOP class `{one.sop_class_uid}`.\n\n{tables}"


def _stored() -> list[str]:
    """Verification, and the storage SOP classes."""
    return [uid for one in ON_THE_LANE for uid in one.sop_classes]


def _all_rejections() -> list[Rejection]:
    return [one for one in vars(rejections).values() if isinstance(one, Rejection)]


def _setting(name: str) -> tuple[str, str]:
    return str(DimseSettings.model_fields[name].default), f"`dimse.{name}`"
