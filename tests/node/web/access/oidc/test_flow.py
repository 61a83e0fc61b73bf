"""Login at a provider: what is right is believed, and what is wrong in any one thing is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt

from node.config.oidc import OidcSettings
from node.web.access.oidc.attempt import Attempt
from node.web.access.oidc.errors import LoginFailed, NotAllowed, NotBelieved, ProviderAway
from node.web.access.oidc.flow import Flow, Identified
from node.web.access.oidc.provider import KEYS_EVERY_S, KEYS_S, METADATA_S, Provider
from storage.people.users import Role
from tests.node.web.access.oidc.hostile import CLIENT, Hostile, serving

NOW = datetime(2030, 5, 4, 12, 0, tzinfo=UTC)
BACK = "http://localhost:8080/login/oidc/back"
ROLES = {"radiologists": "viewer", "physicists": "operator", "admins": "administrator"}


class Clocks:
    """``now``: the moment. ``seconds``: of a clock that only goes forward."""

    now = NOW
    seconds = 0.0


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with serving(Hostile(NOW)) as one:
        yield one


def settings(issuer: str, **more: Any) -> OidcSettings:
    return OidcSettings.model_validate(
        {"issuer": issuer, "client_id": CLIENT, "roles": ROLES, **more}
    )


@pytest.fixture
def flow(hostile: Hostile, clocks: Clocks) -> Flow:
    return flow_of(settings(hostile.issuer), clocks)


def flow_of(chosen: OidcSettings, clocks: Clocks) -> Flow:
    return Flow(Provider(chosen, lambda: clocks.seconds), lambda: clocks.now)


def log_in(flow: Flow, hostile: Hostile) -> Identified:
    attempt = Attempt.begun(NOW, "/")
    return flow.end(attempt, hostile.log_in(flow.begin(attempt, BACK)), BACK)


# --- what is right --------------------------------------------------------------------------------


def test_who_logs_in_has_the_highest_role_of_the_groups(flow: Flow, hostile: Hostile) -> None:
    hostile.claims = {"groups": ["others", "physicists", "radiologists"]}
    found = log_in(flow, hostile)
    assert (found.subject, found.name, found.role) == ("s-1", "ann", Role.OPERATOR)
    assert found.groups == ("others", "physicists", "radiologists")


def test_the_provider_is_asked_with_state_nonce_and_a_challenge(
    flow: Flow, hostile: Hostile
) -> None:
    attempt = Attempt.begun(NOW, "/")
    asked = dict(parse_qsl(urlsplit(flow.begin(attempt, BACK)).query))
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid profile"
    assert asked["redirect_uri"] == BACK
    secrets = {asked["state"], asked["nonce"], asked["code_challenge"], attempt.secret}
    assert len(secrets) == 4
    assert attempt.secret not in flow.begin(attempt, BACK)


def test_a_client_with_a_secret_shows_it_and_one_without_says_its_name(
    hostile: Hostile, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(flow_of(settings(hostile.issuer), clocks), hostile)
    assert hostile.bodies[-1]["client_id"] == CLIENT
    monkeypatch.setenv("OIDC_SECRET", "s3cret")
    chosen = settings(hostile.issuer, client_secret_env="OIDC_SECRET")
    log_in(flow_of(chosen, clocks), hostile)
    assert "client_secret" not in hostile.bodies[-1]  # it goes in a header
    hostile.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    log_in(flow_of(chosen, clocks), hostile)
    assert hostile.bodies[-1]["client_secret"] == "s3cret"


def test_groups_may_lie_deeper_or_be_told_of_the_user_alone(
    hostile: Hostile, clocks: Clocks
) -> None:
    hostile.claims = {"groups": None, "realm_access": {"roles": ["admins"]}}
    deep = flow_of(settings(hostile.issuer, groups_claim="realm_access.roles"), clocks)
    assert log_in(deep, hostile).role is Role.ADMINISTRATOR
    hostile.user = {"sub": "s-1", "groups": ["physicists"]}
    assert log_in(flow_of(settings(hostile.issuer), clocks), hostile).role is Role.OPERATOR


def test_what_is_told_of_another_user_is_not_believed(flow: Flow, hostile: Hostile) -> None:
    hostile.claims = {"groups": None}
    hostile.user = {"sub": "s-2", "groups": ["admins"]}
    with pytest.raises(NotBelieved):
        log_in(flow, hostile)


@pytest.mark.parametrize("groups", [None, [], ["others"], "others", 7, {"admins": True}])
def test_who_is_in_no_group_with_a_role_is_not_let_in(
    flow: Flow, hostile: Hostile, groups: object
) -> None:
    hostile.claims = {"groups": groups}
    hostile.user = {"sub": "s-1"}
    with pytest.raises(NotAllowed, match="no role here"):
        log_in(flow, hostile)


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example.org"},
        {"iss": None},
        {"aud": "another"},
        {"aud": [CLIENT, "another"], "azp": CLIENT},
        {"aud": None},
        {"azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int(NOW.timestamp()) - 61},
        {"exp": None},
        {"iat": int(NOW.timestamp()) + 61},
        {"iat": None},
        {"nbf": int(NOW.timestamp()) + 61},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"at_hash": "another"},
    ],
    ids=str,
)
def test_a_token_that_is_wrong_in_one_claim_is_not_believed(
    flow: Flow, hostile: Hostile, claims: dict[str, Any]
) -> None:
    hostile.claims = claims
    with pytest.raises(NotBelieved):
        log_in(flow, hostile)


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = ({**header, "alg": "none"}, claims)
    texts = (base64.urlsafe_b64encode(json.dumps(one).encode()).decode() for one in parts)
    return ".".join([*(one.rstrip("=") for one in texts), ""])


def _signed_by(key: Any, **header: Any) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    return lambda own, claims: jwt.encode(
        {**own, **header}, claims, key, algorithms=[header.get("alg", "RS256")]
    )


def test_a_token_without_signature_is_not_believed(flow: Flow, hostile: Hostile) -> None:
    hostile.signed = _unsigned
    with pytest.raises(NotBelieved) as caught:
        log_in(flow, hostile)
    assert "algorithm" in caught.value.detail


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_token_signed_with_the_public_key_as_a_shared_one_is_not_believed(
    flow: Flow, hostile: Hostile
) -> None:
    for public in (hostile.key.as_pem(private=False), hostile.key.as_der(private=False)):
        shared = jwk.OctKey.import_key(base64.b64encode(public))
        hostile.signed = _signed_by(shared, alg="HS256")
        with pytest.raises(NotBelieved) as caught:
            log_in(flow, hostile)
        assert "algorithm" in caught.value.detail


def test_a_token_signed_by_somebody_else_is_not_believed(flow: Flow, hostile: Hostile) -> None:
    hostile.rotate("k2")
    other = hostile.key
    hostile.rotate("k1")
    hostile.signed = _signed_by(other, kid="k1")
    with pytest.raises(NotBelieved):
        log_in(flow, hostile)
    own = {"kid": "k1", "jwk": other.as_dict(private=False), "jku": "http://127.0.0.1/keys"}
    hostile.signed = _signed_by(other, **own)  # a key that the token brings itself
    with pytest.raises(NotBelieved):
        log_in(flow, hostile)


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c", "e30.e30.e30", "W10.W10.W10", "x" * 99999]
)
def test_what_is_no_token_is_not_believed(flow: Flow, hostile: Hostile, token: str) -> None:
    hostile.signed = lambda header, claims: token
    with pytest.raises(NotBelieved):
        log_in(flow, hostile)


def test_elliptic_curves_are_believed_with_their_own_key_only(flow: Flow, hostile: Hostile) -> None:
    hostile.key = jwk.ECKey.generate_key("P-256", {"kid": "e1"})
    hostile.published = [hostile.key]
    hostile.header = {"alg": "ES256"}
    assert log_in(flow, hostile).name == "ann"


# --- replayed, forged, late -----------------------------------------------------------------------


def test_an_answer_is_used_once_and_a_code_too(flow: Flow, hostile: Hostile) -> None:
    attempt = Attempt.begun(NOW, "/")
    answer = hostile.log_in(flow.begin(attempt, BACK))
    flow.end(attempt, answer, BACK)
    with pytest.raises(NotBelieved, match="used already"):
        flow.end(attempt, answer, BACK)
    other = Attempt.begun(NOW, "/")
    with pytest.raises(NotBelieved) as caught:
        flow.end(other, {"code": answer["code"], "state": other.state}, BACK)
    assert caught.value.detail == "the code was refused: invalid_grant"


def test_the_answer_to_anothers_login_is_not_believed(flow: Flow, hostile: Hostile) -> None:
    theirs, ours = Attempt.begun(NOW, "/"), Attempt.begun(NOW, "/")
    answer = hostile.log_in(flow.begin(theirs, BACK))
    with pytest.raises(NotBelieved, match="another login"):
        flow.end(ours, answer, BACK)
    with pytest.raises(NotBelieved, match="has not begun a login"):
        flow.end(None, answer, BACK)
    with pytest.raises(NotBelieved) as caught:  # a code that was injected: PKCE
        flow.end(ours, {"code": answer["code"], "state": ours.state}, BACK)
    assert caught.value.detail == "the code was refused: invalid_grant"


def test_an_answer_that_comes_too_late_is_not_believed(
    flow: Flow, hostile: Hostile, clocks: Clocks
) -> None:
    attempt = Attempt.begun(NOW, "/")
    answer = hostile.log_in(flow.begin(attempt, BACK))
    clocks.now = NOW + timedelta(seconds=601)
    with pytest.raises(NotBelieved, match="too long"):
        flow.end(attempt, answer, BACK)


def test_an_answer_that_names_another_provider_is_not_believed(
    flow: Flow, hostile: Hostile
) -> None:
    attempt = Attempt.begun(NOW, "/")
    answer = hostile.log_in(flow.begin(attempt, BACK)) | {"iss": "https://elsewhere.example.org"}
    with pytest.raises(NotBelieved, match="another provider"):
        flow.end(attempt, answer, BACK)


def test_what_the_provider_says_of_a_refusal_is_not_repeated(flow: Flow) -> None:
    attempt = Attempt.begun(NOW, "/")
    answer = {"state": attempt.state, "error": "<b>x</b>", "error_description": "Doe^Jane"}
    with pytest.raises(LoginFailed) as caught:
        flow.end(attempt, answer, BACK)
    said = f"{caught.value} {caught.value.detail}"
    assert "<b>" not in said
    assert "Doe" not in said


def test_a_cookie_says_what_was_begun_or_nothing() -> None:
    attempt = Attempt.begun(NOW, "/studies/7?page=2.5")
    assert Attempt.of_cookie(attempt.cookie) == attempt
    for text in ("", "x", "1.2.3", f"-1.{attempt.secret}.%2F", f"x.{attempt.secret}.%2F"):
        assert Attempt.of_cookie(text) is None


@pytest.mark.parametrize(
    "place",
    ["//elsewhere", "/\\elsewhere", "https://elsewhere", "elsewhere", "/a\nb", "/login", "/logout"],
)
def test_no_place_leads_elsewhere_after_the_login(place: str) -> None:
    assert Attempt.begun(NOW, place).place == "/"


# --- keys and metadata ----------------------------------------------------------------------------


def test_a_key_that_is_not_known_is_looked_for_again_with_a_limit(
    flow: Flow, hostile: Hostile, clocks: Clocks
) -> None:
    log_in(flow, hostile)
    hostile.rotate("k2")
    with pytest.raises(NotBelieved):  # asked a moment ago
        log_in(flow, hostile)
    clocks.seconds += KEYS_EVERY_S
    assert log_in(flow, hostile).name == "ann"
    assert hostile.asked.count("/keys") == 2
    for number in range(5):  # tokens with made-up keys cost the provider nothing
        hostile.signed = _signed_by(hostile.key, kid=f"made-up-{number}")
        with pytest.raises(NotBelieved):
            log_in(flow, hostile)
    assert hostile.asked.count("/keys") == 2


def test_a_key_that_was_withdrawn_is_not_believed_for_ever(
    flow: Flow, hostile: Hostile, clocks: Clocks
) -> None:
    log_in(flow, hostile)
    stolen = hostile.key
    hostile.rotate("k2")
    hostile.signed = _signed_by(stolen, kid="k1")
    clocks.seconds += KEYS_S
    with pytest.raises(NotBelieved):
        log_in(flow, hostile)


def test_metadata_are_kept_for_a_while(flow: Flow, hostile: Hostile, clocks: Clocks) -> None:
    for _ in range(2):
        flow.begin(Attempt.begun(NOW, "/"), BACK)
    assert len(hostile.asked) == 1
    clocks.seconds += METADATA_S
    flow.begin(Attempt.begun(NOW, "/"), BACK)
    assert len(hostile.asked) == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://elsewhere.example.org"},
        {"issuer": None},
        {"jwks_uri": None},
        {"token_endpoint": "http://elsewhere.example.org/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": 7},
    ],
    ids=str,
)
def test_metadata_that_lead_elsewhere_are_refused(
    flow: Flow, hostile: Hostile, metadata: dict[str, Any]
) -> None:
    hostile.metadata = metadata
    with pytest.raises(ProviderAway, match="does not answer as a provider does"):
        flow.begin(Attempt.begun(NOW, "/"), BACK)


def test_a_provider_that_is_away_is_named(clocks: Clocks) -> None:
    with serving(Hostile(NOW)) as gone:
        pass
    with pytest.raises(ProviderAway, match=r"^127\.0\.0\.1 does not answer$"):
        flow_of(settings(gone.issuer), clocks).begin(Attempt.begun(NOW, "/"), BACK)


def test_logging_out_there_names_the_login_and_where_to_come_back(
    flow: Flow, hostile: Hostile
) -> None:
    found = log_in(flow, hostile)
    url = urlsplit(flow.goodbye(found.id_token, "http://localhost:8080/login"))
    assert url.path == "/logout"
    assert parse_qs(url.query) == {
        "client_id": [CLIENT],
        "id_token_hint": [found.id_token],
        "post_logout_redirect_uri": ["http://localhost:8080/login"],
    }


# --- a provider that nobody here wrote ------------------------------------------------------------

THEIRS = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("OIDC_SECRET", "s3cret")
    return {"client_secret_env": "OIDC_SECRET"}


def _answer_of(url: str, subject: str) -> dict[str, str]:
    """What a browser comes back with in which somebody chose an account."""
    answer = httpx.post(url, data={"sub": subject}, follow_redirects=False)
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@THEIRS
def test_a_login_at_oidc_provider_mock_works_once(clocks: Clocks, secret: dict[str, str]) -> None:
    import oidc_provider_mock as theirs

    claims = {"preferred_username": "bob", "groups": ["physicists"]}
    user = theirs.User(sub="b-1", claims=claims)
    clocks.now = datetime.now(UTC)
    with theirs.run_server_in_thread(user_claims=[user], require_nonce=True) as server:
        flow = flow_of(settings(f"http://localhost:{server.server_port}", **secret), clocks)
        attempt = Attempt.begun(clocks.now, "/")
        answer = _answer_of(flow.begin(attempt, BACK), "b-1")
        found = flow.end(attempt, answer, BACK)
        assert (found.name, found.role) == ("bob", Role.OPERATOR)
        other = Attempt.begun(clocks.now, "/")
        with pytest.raises(NotBelieved):  # the code again
            flow.end(other, {**answer, "state": other.state}, BACK)
        assert "/oauth2/end_session" in flow.goodbye(found.id_token, "http://localhost:8080/")


@THEIRS
def test_an_expired_token_of_oidc_provider_mock_is_not_believed(
    clocks: Clocks, secret: dict[str, str]
) -> None:
    import oidc_provider_mock as theirs

    clocks.now = datetime.now(UTC)
    with theirs.run_server_in_thread(access_token_max_age=timedelta(seconds=30)) as server:
        flow = flow_of(settings(f"http://localhost:{server.server_port}", **secret), clocks)
        attempt = Attempt.begun(clocks.now, "/")
        answer = _answer_of(flow.begin(attempt, BACK), "somebody")
        clocks.now += timedelta(seconds=300)
        with pytest.raises(NotBelieved) as caught:
            flow.end(attempt, answer, BACK)
        assert "expired" in caught.value.detail
