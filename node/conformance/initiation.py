"""When associations are opened, and what the answers mean: the node as SCU."""

from __future__ import annotations

from node.conformance.writing import status_range, table
from node.dimse.scu.answers import MEANINGS
from node.dimse.scu.query import CANCELLED
from node.dimse.scu.retrieve import MEANINGS as RETRIEVED
from node.dimse.scu.retrieve import MOST_CLASSES, USUAL_CLASSES
from node.dimse.services.used import USED
from node.fetch.agreeing import described
from node.fetch.dimse_source import UIDS_AT_ONCE
from storage.fetches import Wanted


def text() -> str:
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
        (status_range(one.first, one.last), one.text, one.outcome.value.replace("_", " "))
        for one in MEANINGS
    ]
    return f"""#### Association initiation policy

Each row is an activity; the association is released when it is done.

{table(("Service", "Operation", "SOP classes", "When"), used)}
##### Storage

Before results are sent a destination is asked, by an association over which nothing is sent, which
of their SOP classes it takes; what it says is used for ten minutes, or until an object is refused.
An object is proposed in the transfer syntax of its file, and in Explicit VR Little Endian and
Implicit VR Little Endian: what is compressed leaves decompressed, where it is taken so alone.
Nothing is ever compressed anew.

What an answer to a C-STORE means; the first line that fits counts:

{table(("Status", "Meaning", "What becomes of the object"), meanings)}
*transient* is tried again, with growing pauses; *refused* is shown and waits for somebody. A
duplicate counts as sent: UIDs of results derive from all that enters their bytes. The peer away is
no attempt: its objects wait until it answers.

##### Query and retrieve

Study Root where the source accepts it, else Patient Root. No extended negotiation is proposed.
Queries go level by level, STUDY, SERIES, IMAGE, with these keys:

{
        table(
            ("Level", "Matching keys", "Return keys"),
            [
                (
                    "STUDY",
                    ", ".join(key for key in described(Wanted())),
                    "the same",
                ),
                ("SERIES", "StudyInstanceUID", "SeriesInstanceUID, Modality"),
                ("IMAGE", "StudyInstanceUID, SeriesInstanceUID", "SOPInstanceUID, SOPClassUID"),
            ],
        )
    }
With series alone they are asked for at SERIES level, without their study (a relational query).
A match whose values are not those asked for is left out. C-GET and C-MOVE are asked at SERIES
level, or at IMAGE level with lists of at most {UIDS_AT_ONCE} UIDs. In a C-GET the node is SCP of
the storage SOP classes that were found (at most {MOST_CLASSES}); each is proposed in contexts of
one usual transfer syntax each, and one of others, so that an archive can send what it has
as it has it. Where it told no SOP classes, {len(USUAL_CLASSES)} usual ones are proposed.

{
        table(
            ("Status", "Of", "What follows"),
            [
                ("0x0000", "C-FIND, C-GET, C-MOVE", "done"),
                ("0xFF00, 0xFF01", "C-FIND", "a match"),
                ("0xFF00", "C-GET, C-MOVE", "waited on, as long as something is heard"),
                (f"0x{CANCELLED:04X}", "C-FIND, C-GET, C-MOVE", "the node has cancelled"),
                ("any other", "C-FIND", "the fetch fails, and says so"),
                ("any other", "C-GET", "what is missing is asked for by C-MOVE"),
                ("any other", "C-MOVE", "what is missing is counted, and said"),
            ],
        )
    }
Those of C-GET and C-MOVE that are told in words:

{
        table(
            ("Status", "Meaning"),
            [(status_range(low, high), words) for low, high, words in RETRIEVED],
        )
    }"""
