"""Which presentation contexts the node accepts (PS3.8 7.1.1.13, PS3.4 B.3).

Verification, and every storage SOP class of a patient's study: the standard's, retired ones,
private ones, and ones newer than the libraries. All other known SOP classes are refused, and so
are transfer syntaxes in which the header cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import sop_class
from pynetdicom.presentation import PresentationContext, build_context

_NO_DATA_SET = re.compile(
    r"1\.2\.840\.10008\.1\.2\.(4\.(94|95|204|205)|6\.[12]|7\.[123])|1\.2\.840\.10008\.1\.20"
)
"""JPIP and SMPTE ST 2110 leave the pixels elsewhere: such an instance would be incomplete.
MIME, XML and Papyrus 3 (all retired) are no data sets of PS3.5."""

TRANSFER_SYNTAXES = frozenset(
    UID(uid)
    for uid, entry in UID_dictionary.items()
    if entry[1] == "Transfer Syntax" and not _NO_DATA_SET.fullmatch(uid)
)
"""Native, deflated, big endian, and all encapsulated ones: JPEG (also the retired processes),
JPEG-LS, JPEG 2000, HTJ2K, JPEG XL, RLE, MPEG-2, H.264, HEVC, deflated and uncompressed frames."""

VERIFICATION = UID("1.2.840.10008.1.1")

NATIVE = frozenset((ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian))
"""Of messages without pixels."""

_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
_RETIRED_STORAGE = frozenset(
    (
        "1.2.840.10008.5.1.1.27",
        "1.2.840.10008.5.1.1.29",
        "1.2.840.10008.5.1.1.30",
        "1.2.840.10008.5.1.4.34.1",
    )
)
"""Outside the root: stored prints, hardcopies, RT beams delivery instruction (trial)."""
_DICOM_ROOT = "1.2.840.10008."


def is_storage(abstract_syntax: str) -> bool:
    """Whether instances of a SOP class can be taken.

    Not those that belong to no study: palettes, hanging protocols, implant templates, defined
    procedure protocols, inventories and the DICOMDIR.
    """
    uid = UID(abstract_syntax)
    if not uid.startswith(_DICOM_ROOT):
        return True
    if uid in _RETIRED_STORAGE or uid in sop_class._STORAGE_CLASSES.values():
        return True
    known = uid.keyword
    if not known:
        return uid.startswith(_STORAGE_ROOT)
    if hasattr(sop_class, known):
        return False
    return uid.startswith(_STORAGE_ROOT) and "Storage" in known


def storage_classes() -> tuple[str, ...]:
    """The storage SOP classes that the libraries know; beside them there are those nobody knows."""
    known = (uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class")
    return tuple(sorted(uid for uid in known if is_storage(uid)))


def supported(
    proposed: Iterable[PresentationContext],
    services: Collection[str] = (),
    queried: Collection[str] = (),
    returned: Collection[str] = (),
) -> list[PresentationContext]:
    """What to accept of a proposal: for each SOP class its transfer syntaxes, best first.

    The requestor's order counts, so that what is compressed stays so; only Explicit VR goes before
    Implicit VR, which loses the VRs of private elements. ``services`` are the SOP classes of
    DIMSE-N that the node serves; a peer may be their SCU, their SCP, or both. ``queried`` are those
    of Query/Retrieve, of which the node is the SCP. Of the ``returned`` storage classes the peer is
    the SCP, for C-GET: there an uncompressed syntax goes first, because all can be sent in one.
    """
    offers: dict[str, list[UID]] = {}
    for context in proposed:
        abstract = context.abstract_syntax
        if abstract is None or not (
            abstract == VERIFICATION
            or abstract in services
            or abstract in queried
            or is_storage(abstract)
        ):
            continue
        known = NATIVE if abstract in services or abstract in queried else TRANSFER_SYNTAXES
        offers.setdefault(abstract, []).extend(
            syntax for syntax in context.transfer_syntax if syntax in known
        )
    accepted = []
    for sop_class_uid, syntaxes in offers.items():
        # With nothing acceptable proposed, naming one gets "transfer syntaxes not supported".
        is_returned = sop_class_uid in returned and is_storage(sop_class_uid)
        ordered = _plain_first(syntaxes) if is_returned else _ranked(syntaxes)
        ranked: list[str | UID] = [*ordered] or [ExplicitVRLittleEndian]
        context = build_context(sop_class_uid, ranked)
        if sop_class_uid in services or is_returned:
            context.scu_role = context.scp_role = True  # whichever the requestor proposes
        accepted.append(context)
    return accepted


def _ranked(syntaxes: list[UID]) -> list[UID]:
    ranked = list(dict.fromkeys(syntaxes))
    for late in (ImplicitVRLittleEndian, ExplicitVRBigEndian):
        if late in ranked and ExplicitVRLittleEndian in ranked:
            ranked.remove(late)
            ranked.insert(ranked.index(ExplicitVRLittleEndian) + 1, late)
    return ranked


def _plain_first(syntaxes: list[UID]) -> list[UID]:
    plain = [one for one in (ExplicitVRLittleEndian, ImplicitVRLittleEndian) if one in syntaxes]
    return list(dict.fromkeys([*plain, *syntaxes]))
