"""The audit trail of the real process, which is killed before anything of it could be written."""

from __future__ import annotations

import base64
import re
import stat
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import fromstring

import httpx

from node.dimse.scu.sender import Peer, send
from tests.instances import make_dataset, write_instance
from tests.node_process import Node

SEARCHES = 20


def messages(path: Path) -> list[str]:
    """Of the file, as they follow on the head of syslog."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.partition("\ufeff")[2] for line in lines]


def test_nothing_that_was_answered_before_a_kill_is_missing_or_twice_in_the_trail(
    tmp_path: Path,
) -> None:
    node = Node(
        tmp_path, '[audit]\nsite = "St. Elsewhere"\n[audit.file]\npath = "trail/audit.log"\n'
    )
    node.start()
    images = [write_instance(tmp_path / f"{seed}.dcm", make_dataset(seed)) for seed in (1, 2, 3)]
    send(images, Peer("node", "WETREAD", "127.0.0.1", node.port, "CT1"), lambda index, result: None)
    for number in range(SEARCHES):
        asked = {"PatientID": f"P{number}"}
        page = f"http://127.0.0.1:{node.http_port}/dicom-web/studies"
        assert httpx.get(page, params=asked, timeout=60).status_code == 200
    node.kill()
    node.start()
    assert node.stop() == 0

    trail = tmp_path / "trail" / "audit.log"
    assert stat.S_IMODE(trail.stat().st_mode) == 0o600
    found = messages(trail)
    queries = re.findall(r"<ParticipantObjectQuery>([^<]*)<", "".join(found))
    asked_for = Counter(base64.b64decode(one).decode() for one in queries)
    assert asked_for == Counter(f"PatientID=P{number}" for number in range(SEARCHES))
    kinds = Counter(
        fromstring(one).find("EventIdentification/EventID").get("originalText") for one in found
    )  # type: ignore[union-attr]
    assert kinds["DICOM Instances Transferred"] == 1
    assert kinds["Application Activity"] == 3
    received = next(one for one in found if "DICOM Instances Transferred" in one)
    assert 'NumberOfInstances="3"' in received and "SECRET-ID" in received
    log = "".join(path.read_text() for path in (tmp_path / "var" / "logs").iterdir())
    assert "SECRET-ID" not in log
    assert list((tmp_path / "var" / "audit").iterdir()) == []
