"""The node's own check of its listener is no news; an association of a peer is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from node.dimse.session import Session


@pytest.mark.parametrize(("is_probe", "level"), [(True, "debug"), (False, "info")])
def test_what_happens_to_every_association_is_said_aloud_of_peers_only(
    is_probe: bool, level: str
) -> None:
    with capture_logs() as said:
        session = Session("127.0.0.1", datetime(2030, 1, 1, tzinfo=UTC))
        session.is_probe = is_probe
        session.log_of_course("association_accepted")
    assert [(one["event"], one["log_level"]) for one in said] == [("association_accepted", level)]
