"""User identity negotiation: names and passcodes against a file of hashes. PS3.7 D.3.3.7."""

from __future__ import annotations

from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from typer.testing import CliRunner

from node import cli
from node.config.dimse import IdentitySettings
from node.dimse.association import identity
from node.dimse.association.identity import Users
from node.dimse.wire.negotiation import UserIdentity
from node.errors import SettingsError
from tests.node.dimse.raw_peer import RawPeer, associate_rq, image, user_identity
from tests.node.dimse.receiving import running_node

NOT_VERIFIED = (2, 2, 1)


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.txt"
    lines = [identity.line_for("müller", "geheim"), identity.line_for("ct1", "secret:$1")]
    path.write_text("# users of the node\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def claimed(name: str, passcode: str = "", kind: int = 2, answer: bool = False) -> bytes:
    item = user_identity(kind, name.encode(), passcode.encode(), answer)
    return associate_rq(extra=item)


@pytest.mark.parametrize(
    ("name", "passcode", "known"),
    [
        ("müller", "geheim", True),
        ("ct1", "secret:$1", True),
        ("ct1", "secret", False),
        ("ct1", "", False),
        ("nobody", "geheim", False),
        ("", "", False),
        ("# users of the node", "", False),
    ],
)
def test_a_user_is_known_by_name_and_passcode_alone(
    users: Path, name: str, passcode: str, known: bool
) -> None:
    assert Users(users).knows(UserIdentity(2, name.encode(), passcode.encode())) is known


@pytest.mark.parametrize("kind", [0, 1, 3, 4, 5, 99])
def test_other_kinds_of_identity_prove_nothing(users: Path, kind: int) -> None:
    assert not Users(users).knows(UserIdentity(kind, b"ct1", b"secret:$1"))


def test_a_name_that_is_not_there_takes_as_much_work_as_a_wrong_passcode(
    users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, made = Users(users), []
    real = identity.hashlib.scrypt
    monkeypatch.setattr(
        identity.hashlib,
        "scrypt",
        lambda *values, **options: made.append(options["n"]) or real(*values, **options),
    )
    known.knows(UserIdentity(2, b"ct1", b"wrong"))
    known.knows(UserIdentity(2, b"nobody", b"wrong"))
    assert made == [identity.SCRYPT_N] * 2


def test_no_passcode_stands_in_the_file_nor_in_a_text_of_the_identity(users: Path) -> None:
    assert "geheim" not in users.read_text()
    assert "geheim" not in repr(UserIdentity(2, b"x", b"geheim"))
    first, second = identity.line_for("a", "b"), identity.line_for("a", "b")
    assert first != second  # salted


def test_a_changed_file_counts_without_a_restart_and_a_broken_one_not(
    users: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    known = Users(users)
    users.write_text(identity.line_for("new", "one") + "\n")
    assert known.knows(UserIdentity(2, b"new", b"one"))
    assert not known.knows(UserIdentity(2, b"ct1", b"secret:$1"))
    users.write_text("new:plain text\n")
    assert known.knows(UserIdentity(2, b"new", b"one"))
    assert "users_file_not_read" in capfd.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        "ct1:secret", "ct1", "ct1:scrypt$16384$8$1$00$00",
        "ct1:md5$1$1$1$" + "00" * 8 + "$" + "0" * 64,
        "ct1:scrypt$3$8$1$" + "00" * 16 + "$" + "00" * 32, "ct1:scrypt$a$8$1$zz$zz",
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_named_at_start(tmp_path: Path, line: str) -> None:
    path = tmp_path / "users.txt"
    path.write_text(f"# one\n{line}\n")
    with pytest.raises(SettingsError, match=r"users.txt:2.*wetread password"):
        Users(path)


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "#a"])
def test_a_name_that_no_line_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="user name"):
        identity.line_for(name, "x")


def test_the_command_prints_a_line_that_the_node_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.observe.logs.configure", lambda *settings: None)  # process-wide
    done = CliRunner().invoke(cli.app, ["password", "ct1"], input="open\nopen\n")
    assert done.exit_code == 0
    path = tmp_path / "users.txt"
    path.write_text(done.stdout.strip().splitlines()[-1] + "\n")
    assert Users(path).knows(UserIdentity(2, b"ct1", b"open"))
    assert "open" not in path.read_text()


# --- on the wire ----------------------------------------------------------------------------------


def test_where_users_are_required_only_they_come_in(
    tmp_path: Path, users: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        associate_rq(),
        claimed("ct1", "wrong"),
        claimed("ct1", kind=1),
        claimed("ct1", "secret:$1", kind=3),
        claimed("nobody", "secret:$1"),
    ]
    with running_node(tmp_path / "node", identity=IdentitySettings(users_file=users)) as node:
        for request in wrong:
            with RawPeer(node.port) as peer:
                assert peer.rejection(request) == NOT_VERIFIED
        with RawPeer(node.port) as peer:
            peer.associate(claimed("ct1", "secret:$1"))
            assert peer.store(image()) == 0x0000
    output = capfd.readouterr().out
    assert "user identity missing or not verified" in output
    assert "secret" not in output
    assert "wrong" not in output


def test_where_users_are_not_required_only_what_is_given_is_checked(
    tmp_path: Path, users: Path
) -> None:
    with running_node(
        tmp_path / "node", identity=IdentitySettings(users_file=users, required=False)
    ) as node:
        for request in (associate_rq(), claimed("ct1", "secret:$1"), claimed("someone", kind=1)):
            with RawPeer(node.port) as peer:
                peer.associate(request)
        with RawPeer(node.port) as peer:
            assert peer.rejection(claimed("ct1", "wrong")) == NOT_VERIFIED


def test_without_users_an_identity_is_accepted_and_not_confirmed(tmp_path: Path) -> None:
    with running_node(tmp_path) as node, RawPeer(node.port) as peer:
        assert b"\x59\0" not in peer.associate(claimed("ct1", "any", answer=True))


def test_a_positive_response_is_given_where_it_was_asked_for(tmp_path: Path, users: Path) -> None:
    with running_node(tmp_path / "node", identity=IdentitySettings(users_file=users)) as node:
        with RawPeer(node.port) as peer:
            body = peer.associate(claimed("ct1", "secret:$1", answer=True))
            assert b"\x59\0\0\x02\0\0" in body  # sub-item, length 2, empty server response
        with RawPeer(node.port) as peer:
            assert b"\x59\0" not in peer.associate(claimed("ct1", "secret:$1"))


def test_the_nodes_own_call_needs_no_user(tmp_path: Path, users: Path) -> None:
    options = {"identity": IdentitySettings(users_file=users), "probe_ae_title": "SECRET"}
    with running_node(tmp_path / "node", **options) as node, RawPeer(node.port) as peer:
        peer.associate(associate_rq(calling=b"SECRET"))


def test_pynetdicom_as_a_requestor_understands_the_answer(tmp_path: Path, users: Path) -> None:
    item = UserIdentityNegotiation()
    item.user_identity_type = 2
    item.primary_field, item.secondary_field = "müller".encode(), b"geheim"
    item.positive_response_requested = True
    ae = AE(ae_title="CT1")
    ae.add_requested_context("1.2.840.10008.1.1")
    with running_node(tmp_path / "node", identity=IdentitySettings(users_file=users)) as node:
        association = ae.associate("127.0.0.1", node.port, ae_title="WETREAD", ext_neg=[item])
        try:
            assert association.is_established
            assert association.send_c_echo().Status == 0
        finally:
            association.release()
