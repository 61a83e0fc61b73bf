"""Results by STOW-RS: each object's fate is read from the answer, or asked for; nothing is lost,
and nothing is stored twice."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.config.destinations import StowDestinationSettings
from node.delivery.delivery import FOUND
from node.delivery.targets import stow
from node.delivery.targets.letters import Body, Unreadable, read_letter
from node.delivery.targets.made import target_of
from node.delivery.targets.port import Telling
from node.delivery.targets.stow import StowTarget
from node.dimse.errors import PeerUnavailable
from node.errors import SettingsError
from storage.files.blobs import Blob
from storage.records import DeliveryState
from tests.certificates import authority
from tests.node.delivery.outboxes import KINDS, Outbox, courier_of
from tests.node.delivery.test_doubt import die_before_recording, reasons
from tests.node.delivery.web_pacs import Fault, WebPacs, running_web_pacs
from tests.peers import free_port, running_orthanc

PENDING, SENT, FAILED = DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.FAILED
SEG, SR = str(KINDS["seg"]), str(KINDS["sr"])
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@pytest.fixture
def pacs() -> Iterator[WebPacs]:
    with running_web_pacs() as one:
        yield one


def settings_of(pacs: WebPacs, **given: object) -> StowDestinationSettings:
    return StowDestinationSettings(name="pacs", kind="stow", url=pacs.url, **given)  # type: ignore[arg-type]


def target_at(pacs: WebPacs, **given: object) -> StowTarget:
    return StowTarget(settings_of(pacs, **given))


def finish_pair(box: Outbox) -> None:
    """Two objects of which neither refers to the other: they may go with one request."""
    box.finish_job(("seg",))
    box.finish_job(("sr",))


def deliver(box: Outbox, target: StowTarget, rounds: int = 1) -> None:
    """Whatever is due, with pauses that end every back-off."""
    courier = courier_of(box, target)
    for number in range(rounds):
        if number:
            box.clock.advance(1000)
        courier.deliver_once()


# --- what goes out --------------------------------------------------------------------------------


def test_objects_of_several_jobs_go_in_one_request_as_they_are(box: Outbox, pacs: WebPacs) -> None:
    finish_pair(box)
    deliver(box, target_at(pacs))
    sent = box.deliveries()
    assert box.states() == [SENT, SENT]
    uids = [sent[kind].object.sop_instance_uid for kind in ("seg", "sr")]
    assert pacs.requests == [uids]
    for one in sent.values():
        assert one.status == 0x0000
        file = box.results.path(one.object.key).read_bytes()
        assert pacs.stored[one.object.sop_instance_uid] == [file]
    (headers,) = pacs.headers
    assert headers.get("Transfer-Encoding") is None
    assert int(headers["Content-Length"]) > 0
    assert "application/dicom+json" in headers["Accept"]


def test_a_request_has_so_many_objects_and_bytes_and_a_larger_one_goes_alone(
    box: Outbox, pacs: WebPacs
) -> None:
    for _ in range(3):
        finish_pair(box)
    deliver(box, target_at(pacs, max_request_objects=4))
    assert [len(one) for one in pacs.requests] == [4, 2]
    pacs.requests.clear()
    finish_pair(box)
    tiny = settings_of(pacs).model_copy(update={"max_request_mb": 0})
    deliver(box, StowTarget(tiny))
    assert [len(one) for one in pacs.requests] == [1, 1]
    assert set(box.states()) == {SENT}


def test_a_web_service_tells_nothing_beforehand_and_is_probed_without_storing(
    pacs: WebPacs,
) -> None:
    target = target_at(pacs)
    assert target.abilities([SEG]).telling is Telling.UNTOLD
    assert target.probe() > 0
    assert not pacs.stored
    away = StowTarget(settings_of(replace(pacs, port=free_port())))
    with pytest.raises(PeerUnavailable, match="no connection"):
        away.probe()


# --- what is answered -----------------------------------------------------------------------------


@pytest.mark.parametrize("says_xml", [False, True])
def test_of_a_request_that_was_stored_in_part_each_object_has_its_own_fate(
    box: Outbox, pacs: WebPacs, says_xml: bool
) -> None:
    pacs.says_xml, pacs.failures, pacs.warnings = says_xml, {SEG: 0xA700}, {SR: 0xB000}
    finish_pair(box)
    deliver(box, target_at(pacs))
    found = box.deliveries()
    assert (found["sr"].state, found["sr"].status) == (SENT, 0xB000)
    assert (found["seg"].state, found["seg"].status) == (PENDING, 0xA700)
    pacs.failures = {}
    deliver(box, target_at(pacs), rounds=2)
    assert box.states() == [SENT, SENT]
    assert pacs.times() == [1, 1]


def test_what_would_be_refused_again_fails_for_good_and_a_class_that_is_not_taken_is_left_out(
    box: Outbox, pacs: WebPacs
) -> None:
    pacs.failures = {SEG: 0x0122, SR: 0xC122}
    finish_pair(box)
    deliver(box, target_at(pacs))
    found = box.deliveries()
    assert (found["seg"].state, found["sr"].state) == (DeliveryState.LEFT_OUT, FAILED)
    assert "SOP class not supported" in found["seg"].reason
    assert found["sr"].status == 0xC122
    assert "transfer syntax not supported" in found["sr"].reason
    assert len(box.alarms()) == 1


def test_what_is_there_already_counts_as_sent(box: Outbox, pacs: WebPacs) -> None:
    pacs.failures = {SR: 0x0111}
    box.finish_job(("sr",))
    deliver(box, target_at(pacs))
    assert box.states() == [SENT]


def test_a_failure_without_a_reason_is_tried_again(box: Outbox, pacs: WebPacs) -> None:
    pacs.failures = {SR: 0}
    box.finish_job(("sr",))
    deliver(box, target_at(pacs))
    assert box.states() == [PENDING]
    assert "no reason is given" in box.deliveries()["sr"].reason


def test_one_bad_object_of_a_refused_request_is_found_and_the_others_are_stored(
    box: Outbox, pacs: WebPacs
) -> None:
    pacs.failures = {SEG: -1}
    finish_pair(box)
    deliver(box, target_at(pacs))
    found = box.deliveries()
    assert (found["sr"].state, found["seg"].state) == (SENT, FAILED)
    assert "answers 400" in found["seg"].reason


def test_a_status_that_says_stored_without_naming_anything_is_verified_by_a_query(
    box: Outbox, pacs: WebPacs
) -> None:
    finish_pair(box)
    pacs.faults.append(Fault(mute=200))
    deliver(box, target_at(pacs))
    assert box.states() == [SENT, SENT]
    assert pacs.times() == [1, 1]
    assert len(pacs.queries) == 2


def test_a_page_of_a_proxy_is_no_answer_whatever_its_status(box: Outbox, pacs: WebPacs) -> None:
    finish_pair(box)
    pacs.faults.append(Fault(status=200, body=b"<html>please log in</html>"))
    target = target_at(pacs)
    deliver(box, target)
    assert box.states() == [PENDING, PENDING]
    deliver(box, target, rounds=2)
    assert box.states() == [SENT, SENT]
    assert pacs.times() == [1, 1]


def test_an_answer_that_leaves_an_object_out_leaves_it_in_doubt(box: Outbox, pacs: WebPacs) -> None:
    box.finish_job(("sr",))
    pacs.faults.append(Fault(status=202, body=b'{"00081199": {"vr": "SQ"}}'))
    target = target_at(pacs)
    deliver(box, target)
    assert box.deliveries()["sr"].in_doubt
    deliver(box, target, rounds=2)
    assert box.states() == [SENT]
    assert pacs.queries


# --- when nothing is stored for now ---------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_is_busy_is_left_alone_as_long_as_it_asks_and_that_is_no_attempt(
    box: Outbox, pacs: WebPacs, status: int
) -> None:
    finish_pair(box)
    pacs.faults.append(Fault(status=status, headers={"Retry-After": "120"}))
    courier = courier_of(box, target_at(pacs))
    courier.deliver_once()
    finish_pair(box)
    for _ in range(11):
        box.clock.advance(10)
        assert not courier.deliver_once()
    assert len(pacs.headers) == 1
    box.clock.advance(10)
    assert courier.deliver_once()
    assert box.states() == [SENT] * 4
    assert {one.attempts for one in box.deliveries().values()} == {1}


def test_after_five_minutes_it_is_an_alarm_that_says_why(box: Outbox, pacs: WebPacs) -> None:
    pacs.tokens = set()
    finish_pair(box)
    courier = courier_of(box, target_at(pacs))
    for _ in range(12):
        courier.deliver_once()
        box.clock.advance(30)
    assert set(box.states()) == {PENDING}
    (alarm,) = box.alarms()
    assert "destination pacs does not answer since 2026-01-05 09:00" in alarm.reason
    assert alarm.reason.endswith("does not let this node in (401)")
    pacs.tokens = None
    box.clock.advance(600)
    courier.deliver_once()
    assert box.states() == [SENT, SENT]


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    said = ("30", "Mon, 05 Jan 2026 09:02:00 GMT", "Mon, 05 Jan 2026 08:00:00 GMT", "soon", "")
    assert [stow._seconds(one, now) for one in said] == [30, 120, 0, 0, 0]
    assert stow._seconds("999999999", now) == stow.LONGEST_WAIT_S


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (302, "sends elsewhere"),
        (401, "does not let this node in"),
        (403, "does not let this node in"),
        (404, "takes nothing at its url"),
        (502, "is not ready"),
    ],
)
def test_what_is_wrong_with_the_service_or_the_settings_fails_no_object(
    box: Outbox, pacs: WebPacs, status: int, why: str
) -> None:
    finish_pair(box)
    pacs.faults.append(Fault(status=status, headers={"Location": f"{pacs.url}/elsewhere/studies"}))
    target = target_at(pacs)
    deliver(box, target)
    assert box.states() == [PENDING, PENDING]
    with pytest.raises(PeerUnavailable, match=why):
        pacs.faults.append(Fault(status=status))
        target.probe()
    assert len(pacs.headers) == 2, "no redirect is followed"
    deliver(box, target, rounds=2)
    assert box.states() == [SENT, SENT]
    assert pacs.times() == [1, 1]


def test_a_fault_of_the_service_with_one_object_is_tried_again_and_counted(
    box: Outbox, pacs: WebPacs
) -> None:
    box.finish_job(("sr",))
    pacs.faults.append(Fault(status=500))
    target = target_at(pacs)
    deliver(box, target)
    assert box.deliveries()["sr"].attempts == 1
    deliver(box, target, rounds=2)
    assert box.states() == [SENT]


# --- connections that end -------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["request", "stored", "answer"])
def test_what_was_under_way_when_the_connection_ended_is_asked_for_before_it_is_sent_again(
    box: Outbox, pacs: WebPacs, cut: str
) -> None:
    finish_pair(box)
    pacs.faults.append(Fault(cut=cut))
    target = target_at(pacs)
    deliver(box, target)
    assert box.states() == [PENDING, PENDING]
    assert all(one.in_doubt for one in box.deliveries().values())
    deliver(box, target, rounds=2)
    assert box.states() == [SENT, SENT]
    assert pacs.queries
    assert pacs.times() == [1, 1], "nothing is lost, and nothing comes twice"
    assert set(reasons(box)) == {"" if cut == "request" else FOUND}


def test_what_a_killed_node_had_sent_is_found_and_not_sent_again(
    box: Outbox, pacs: WebPacs
) -> None:
    finish_pair(box)
    die_before_recording(box, courier_of(box, target_at(pacs)))
    deliver(box, target_at(pacs))
    assert box.states() == [SENT, SENT]
    assert pacs.times() == [1, 1]
    assert reasons(box) == [FOUND, FOUND]


def test_a_service_that_takes_no_queries_is_sent_to_again_and_the_log_says_so(
    box: Outbox, pacs: WebPacs
) -> None:
    pacs.answers_queries = False
    box.finish_job(("sr",))
    pacs.faults.append(Fault(cut="stored"))
    with capture_logs() as lines:
        deliver(box, target_at(pacs), rounds=2)
    assert box.states() == [SENT]
    (line,) = [one for one in lines if one["event"] == "objects_sent_again"]
    assert "QIDO-RS" in line["reason"]
    uid = box.deliveries()["sr"].object.sop_instance_uid
    assert uid not in str(lines)


def test_what_a_fault_of_the_service_may_have_stored_is_in_doubt_though_not_begun_again(
    box: Outbox, pacs: WebPacs
) -> None:
    finish_pair(box)
    pacs.faults.extend([Fault(status=500), Fault(cut="request")])
    deliver(box, target_at(pacs))
    found = box.deliveries()
    assert [found[kind].in_doubt for kind in ("seg", "sr")] == [True, True]


def test_what_may_be_stored_is_in_doubt_where_no_token_is_had_to_ask_for_it(
    box: Outbox, pacs: WebPacs, tmp_path: Path
) -> None:
    box.finish_job(("sr",))
    pacs.token_answers.append(token("one", 1e-9))
    pacs.faults.append(Fault(mute=200))
    target = oauth(pacs, tmp_path)
    deliver(box, target)
    assert box.deliveries()["sr"].in_doubt
    pacs.token_answers.append(token("two"))
    deliver(box, target)
    box.clock.advance(1000)
    deliver(box, target)
    assert box.states() == [SENT]
    assert pacs.times() == [1]


# --- as whom --------------------------------------------------------------------------------------


def oauth(pacs: WebPacs, folder: Path, **given: object) -> StowTarget:
    (folder / "secret").write_text("s3cret/+\n")
    return target_at(
        pacs,
        token_url=pacs.token_url,
        client_id="wetread",
        client_secret_file=folder / "secret",
        **given,
    )


def token(name: str, life_s: object = 3600) -> tuple[int, object]:
    return 200, {"access_token": name, "token_type": "Bearer", "expires_in": life_s}


def test_a_token_is_fetched_once_and_used_until_it_is_refused_then_renewed_once(
    box: Outbox, pacs: WebPacs, tmp_path: Path
) -> None:
    pacs.tokens, target = {"one"}, oauth(pacs, tmp_path, scope="dicom.write")
    pacs.token_answers.extend([token("one"), token("two")])
    with capture_logs() as lines:
        for _ in range(2):
            finish_pair(box)
            deliver(box, target)
        assert len(pacs.asked_tokens) == 1
        pacs.tokens = {"two"}
        finish_pair(box)
        deliver(box, target)
    assert box.states() == [SENT] * 6
    assert pacs.times() == [1] * 6
    assert [one[0] for one in pacs.asked_tokens] == ["Basic d2V0cmVhZDpzM2NyZXQlMkYlMkI="] * 2
    assert pacs.asked_tokens[0][1] == "grant_type=client_credentials&scope=dicom.write"
    shown = [one.get("Authorization") for one in pacs.headers]
    assert shown == ["Bearer one", "Bearer one", "Bearer one", "Bearer two"]
    assert not [one for one in ("s3cret", "one", "two") if f"'{one}" in str(lines)]


def test_a_token_that_ends_is_renewed_before_it_is_refused(pacs: WebPacs, tmp_path: Path) -> None:
    from node.web_client.authorization import ClientCredentials

    now = [1000.0]
    (tmp_path / "secret").write_text("s")
    given = settings_of(
        pacs,
        token_url=pacs.token_url,
        client_id="wetread",
        client_secret_file=tmp_path / "secret",
    )
    tokens = ClientCredentials(given, now=lambda: now[0])
    pacs.token_answers.extend([token("one", "300"), token("two", 20), token("three")])
    assert [tokens.current(), tokens.current()] == ["one", "one"]
    now[0] += 269
    assert tokens.current() == "one"
    now[0] += 2
    assert tokens.current() == "two"
    now[0] += 11
    assert tokens.current() == "three"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((400, {"error": "invalid_client"}), "token_url answered 400 (invalid_client)"),
        ((401, {"error": "DOE^JOHN"}), "token_url answered 401"),
        ((200, {"token_type": "Bearer"}), "gives no bearer token"),
        ((200, {"access_token": "x", "token_type": "mac"}), "gives no bearer token"),
        ((200, "?"), "gives no bearer token"),
    ],
)
def test_without_a_token_nothing_is_sent_and_everything_waits(
    box: Outbox, pacs: WebPacs, tmp_path: Path, answer: tuple[int, object], why: str
) -> None:
    finish_pair(box)
    pacs.token_answers.append(answer)
    deliver(box, oauth(pacs, tmp_path))
    found = box.deliveries()["seg"]
    assert (found.state, found.attempts) == (PENDING, 0)
    assert why in found.reason
    assert "DOE" not in found.reason
    assert not pacs.headers


def test_a_user_or_a_given_token_is_shown_and_a_file_that_is_kept_fresh_is_read_again(
    box: Outbox, pacs: WebPacs, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("one\n")
    pacs.tokens, target = {"one"}, target_at(pacs, token_file=tmp_path / "token")
    box.finish_job(("sr",))
    deliver(box, target)
    pacs.tokens = {"two"}
    (tmp_path / "token").write_text("two\n")
    box.finish_job(("sr",))
    deliver(box, target)
    assert box.states() == [SENT, SENT]
    pacs.tokens = {"Basic d2V0cmVhZDpvbmU="}
    (tmp_path / "password").write_text("one\n")
    box.finish_job(("sr",))
    deliver(box, target_at(pacs, user="wetread", password_file=tmp_path / "password"))
    assert box.states() == [SENT] * 3


def test_over_tls_both_sides_prove_who_they_are(box: Outbox, tmp_path: Path) -> None:
    hospital, other = authority(tmp_path / "a"), authority(tmp_path / "b")
    server, node = hospital.issue("localhost"), hospital.issue("wetread")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    context.load_verify_locations(hospital.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    finish_pair(box)
    shown = {"certificate": node.certificate, "key": node.key}
    with running_web_pacs(ssl_context=context) as pacs:
        deliver(box, target_at(pacs, ca=other.ca, **shown))
        assert "certificate verify failed" in box.deliveries()["seg"].reason.lower()
        box.clock.advance(1000)
        deliver(box, target_at(pacs, ca=hospital.ca))
        assert box.states() == [PENDING, PENDING]
        assert not pacs.stored
        box.clock.advance(1000)
        deliver(box, target_at(pacs, ca=hospital.ca, **shown))
    assert box.states() == [SENT, SENT]
    assert pacs.times() == [1, 1]


def test_a_secret_or_a_certificate_that_is_missing_is_said_at_the_start(
    pacs: WebPacs, tmp_path: Path
) -> None:
    missing = settings_of(pacs, token_file=tmp_path / "gone")
    with pytest.raises(SettingsError, match="pacs: token_file"):
        target_of(missing, "WETREAD")
    shown = missing.model_copy(update={"token_file": None, "certificate": tmp_path / "gone.pem"})
    with pytest.raises(SettingsError, match=r"gone\.pem"):
        target_of(shown, "WETREAD")


# --- a real one -----------------------------------------------------------------------------------


@pytest.mark.interop
def test_orthanc_holds_everything_once_whatever_goes_wrong_on_the_way(
    box: Outbox, tmp_path: Path
) -> None:
    if not PLUGIN.exists():
        pytest.skip("Orthanc's DICOMweb plugin is not installed")
    faults = [
        Fault(cut="request"),
        Fault(cut="stored"),
        Fault(cut="answer"),
        Fault(status=503, headers={"Retry-After": "5"}),
        Fault(status=409, body=b"<html>"),
        Fault(status=202, body=b"{}"),
        Fault(status=401),
        Fault(mute=200),
    ]
    with running_orthanc(tmp_path, plugins=[PLUGIN]) as orthanc:
        upstream = str(orthanc.rest.base_url).rstrip("/") + "/dicom-web"
        with running_web_pacs(upstream=upstream) as pacs:
            target = target_at(pacs)
            for fault in faults:
                finish_pair(box)
                pacs.faults.append(fault)
                deliver(box, target, rounds=3)
            finish_pair(box)
            die_before_recording(box, courier_of(box, target))
            deliver(box, target, rounds=2)
            passed_on = [uid for request in pacs.requests for uid in request]
        held = orthanc.sop_instance_uids()
    assert set(box.states()) == {SENT}
    with box.database.read() as tx:
        from storage import outbox

        owed = {one.object.sop_instance_uid for one in outbox.list_deliveries(tx)}
    assert held == owed
    assert len(held) == 2 * (len(faults) + 1)
    assert sorted(passed_on) == sorted(held), "each was passed on once"


def test_a_body_is_read_piece_by_piece_has_the_length_it_says_and_can_be_read_again(
    box: Outbox,
) -> None:
    box.finish_job(("sr",))
    key = box.deliveries()["sr"].object.key
    with box.results.path(key).open("ab") as file:
        file.write(bytes(3_000_000))
    letter = read_letter(0, Blob(box.results.blobs, key))
    body = Body([letter, letter])
    pieces = list(body)
    assert max(map(len, pieces)) <= 1 << 18
    assert sum(map(len, pieces)) == int(body.headers["Content-Length"]) > 6_000_000
    assert list(body) == pieces
    box.results.path(key).write_bytes(b"short")
    with pytest.raises(Unreadable, match="has become shorter"):
        list(body)
