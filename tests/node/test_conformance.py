"""The conformance statement says what the code does, and the server does what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from node.conformance import DOCUMENT, statement
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.node.dimse.commitments import Ward, running_ward

ROOT = Path(__file__).parents[2]
CT = "1.2.840.10008.5.1.4.1.1.2"
UNLISTED = (
    "1.2.840.10008.5.1.4.1.2.3.1",  # Patient/Study Only Query/Retrieve FIND (retired)
    "1.2.840.10008.5.1.4.31",  # Modality Worklist
    "1.2.840.10008.5.1.4.39.1",  # Color Palette Storage
    "1.2.840.10008.1.3.10",  # Media Storage Directory
)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with running_ward(tmp_path / "ward") as one:
        yield one


def section(title: str) -> list[str]:
    """The UIDs that stand below a heading or sentence, up to the next one."""
    _, _, rest = statement().partition(title)
    table = re.search(r"\n(\|.*\n)+", rest)
    assert table is not None, title
    return re.findall(r"`([0-9.]+)`", table[0])


@contextmanager
def associated(ward: Ward, contexts: Sequence[PresentationContext]) -> Iterator[Association]:
    port = ward.server.port
    association = AE().associate("127.0.0.1", port, list(contexts), ae_title="WETREAD")
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def accepted(ward: Ward, contexts: list[PresentationContext]) -> set[tuple[str, str]]:
    """What the server accepts of a proposal: (SOP class, transfer syntax)."""
    found: set[tuple[str, str]] = set()
    for some in (contexts[start : start + 128] for start in range(0, len(contexts), 128)):
        with associated(ward, some) as association:
            found |= {
                (str(one.abstract_syntax), str(one.transfer_syntax[0]))
                for one in association.accepted_contexts
            }
    return found


def test_the_statement_is_the_one_that_the_code_makes() -> None:
    written = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    assert written == statement(), "the statement is not of this code: make docs writes it"


def test_every_sop_class_that_is_listed_is_accepted_and_no_other(ward: Ward) -> None:
    listed = section(" Services without pixels\n") + section(" Verification and storage\n")
    assert len(listed) > 150
    proposed = [build_context(uid, ExplicitVRLittleEndian) for uid in (*listed, *UNLISTED)]
    assert {uid for uid, _ in accepted(ward, proposed)} == set(listed)


def test_every_transfer_syntax_that_is_listed_is_accepted_and_no_other(ward: Ward) -> None:
    listed = section("Transfer syntaxes of all of them")
    known = {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}
    assert len(listed) > 40
    proposed = [build_context(CT, uid) for uid in sorted(known | set(listed))]
    assert accepted(ward, proposed) == {(CT, uid) for uid in listed}


def test_the_server_calls_itself_what_the_statement_says(ward: Ward) -> None:
    with associated(ward, [build_context(CT)]) as association:
        told = association.acceptor
        assert told.implementation_class_uid in section(" Implementation identifying information\n")
        assert told.implementation_class_uid == IMPLEMENTATION_CLASS_UID
        assert told.implementation_version_name == IMPLEMENTATION_VERSION_NAME
        assert f"| {told.maximum_length} | `dimse.max_pdu_bytes` |" in statement()
        assert told.asynchronous_operations == (1, 1)


def test_a_private_sop_class_is_accepted_as_the_statement_says(ward: Ward) -> None:
    private = build_context("1.3.12.2.1107.5.9.1", ExplicitVRLittleEndian)
    assert accepted(ward, [private]) == {("1.3.12.2.1107.5.9.1", str(ExplicitVRLittleEndian))}


def test_headings_are_numbered_as_in_ps3_2_and_every_link_leads_to_one() -> None:
    text = statement()
    assert "## 4 Networking\n" in text and "### 4.2 AE specifications\n" in text
    assert "- [7 Security](#7-security)" in text
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_the_rights_and_the_settings_of_the_network_stand_in_it() -> None:
    text = statement()
    for word in ("`may`", "`retrieve_to`", "`any_peer_may`", "`web_archives`", "0x0124"):
        assert word in text
