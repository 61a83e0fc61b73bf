"""The settings: what is accepted, and what a person is told when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config.faults import line_of
from node.config.load import load
from node.config.rules import RangeCondition
from node.config.settings import Settings
from node.errors import SettingsError
from storage.records import Priority

REPOSITORY = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(written(folder, text))
    return str(caught.value)


def test_the_shipped_file_states_every_default_as_it_is_in_the_code() -> None:
    shipped = load(REPOSITORY / "config.toml")
    defaults = Settings()
    assert shipped.node.model_copy(update={"data_dir": Path("var")}) == defaults.node
    assert (shipped.dimse, shipped.http) == (defaults.dimse, defaults.http)
    assert (shipped.completion, shipped.workers) == (defaults.completion, defaults.workers)
    assert shipped.results == defaults.results


def test_paths_are_relative_to_the_file_and_the_stores_follow_the_data_folder(
    tmp_path: Path,
) -> None:
    settings = load(written(tmp_path, '[node]\ndata_dir = "here"\n'))
    assert settings.node.data_dir == tmp_path / "here"
    assert settings.storage.instances == tmp_path / "here" / "instances"
    assert settings.storage.database == f"sqlite:///{tmp_path}/here/wetread.db"


def test_a_relative_database_path_is_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '[storage]\ndatabase = "sqlite:///var/x.db"\n'))
    assert settings.storage.database == f"sqlite:///{tmp_path}/var/x.db"


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[node]\n\nae_tilte = "X"\n')
    assert ":3: node.ae_tilte: unknown key; did you mean 'ae_title'?" in message


def test_an_unknown_table_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    assert "did you mean 'dimse'?" in refusal(tmp_path, "[dimsee]\nport = 1\n")


def test_a_wrong_type_names_key_and_line_but_not_the_value(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[dimse]\nport = "s3cret"\n')
    assert ":2: dimse.port:" in message
    assert "s3cret" not in message


def test_an_ae_title_longer_than_sixteen_characters_is_refused(tmp_path: Path) -> None:
    assert "node.ae_title" in refusal(tmp_path, f'[node]\nae_title = "{"A" * 17}"\n')


RULE = '[[rules]]\nname = "r"\nanalyzers = ["lung_segmentation"]\n'


def test_an_unknown_analyzer_is_named_with_the_nearest_installed_one(tmp_path: Path) -> None:
    message = refusal(tmp_path, RULE.replace("segmentation", "segmentaton"))
    assert ":3: rules[0].analyzers" in message
    assert "did you mean 'lung_segmentation'?" in message


def test_an_unknown_destination_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    pacs = '[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "h"\nport = 104\n'
    message = refusal(tmp_path, RULE + 'destinations = ["pcas"]\n' + pacs)
    assert ":4: rules[0].destinations: no destination is called 'pcas'" in message
    assert "did you mean 'pacs'?" in message


def test_an_unknown_dicom_keyword_in_a_rule_is_named_with_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, RULE + 'when = { Modaliti = "CT" }\n')
    assert "Modaliti is no DICOM keyword; did you mean 'Modality'?" in message


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("{ mni = 3 }", "did you mean 'min'?"),
        ('{ matches = "(" }', "no regular expression"),
        ("{}", "min, max or both"),
    ],
)
def test_a_condition_that_cannot_work_is_refused(
    tmp_path: Path, condition: str, complaint: str
) -> None:
    assert complaint in refusal(tmp_path, RULE + f"when = {{ Rows = {condition} }}\n")


def test_a_parameter_that_the_analyzer_does_not_have_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "[analyzers.gaussian_filter]\nsigma = 3\n")
    assert "gaussian_filter has no parameter 'sigma'" in message


def test_the_parameters_of_a_rule_are_checked_as_those_of_all_are(tmp_path: Path) -> None:
    rule = '[[rules]]\nname = "a"\nanalyzers = ["gaussian_filter"]\n'
    message = refusal(tmp_path, rule + "[rules.parameters.gaussian_filter]\nsigma_mm = 500\n")
    assert "rules[0].parameters.gaussian_filter" in message
    assert "from 0.1 to 20 mm is accepted" in message
    message = refusal(tmp_path, rule + "[rules.parameters.gaussian]\nsigma_mm = 1\n")
    assert "parameters.gaussian: the rule runs no such analyzer" in message
    assert "gaussian_filter" in message


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "stands there twice" in refusal(tmp_path, RULE + RULE)


def test_a_file_that_is_not_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    assert "line 2" in refusal(tmp_path, "[node]\nae_title = \n")


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--config"):
        load(tmp_path / "absent.toml")


def test_conditions_and_priority_come_typed(tmp_path: Path) -> None:
    text = RULE + 'when = { Rows = { min = 64 } }\npriority = "stat"\n'
    rule = load(written(tmp_path, text)).rules[0]
    assert rule.when == {"Rows": RangeCondition(min=64)}
    assert rule.priority is Priority.STAT


def test_the_environment_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WETREAD_DIMSE__PORT", "4104")
    settings = load(written(tmp_path, '[dimse]\nport = 1\nhost = "0.0.0.0"\n'))
    assert (settings.dimse.port, settings.dimse.host) == (4104, "0.0.0.0")


POSTGRES = '[storage]\ndatabase = "postgresql+psycopg://wetread@db/wetread"\n'


def test_the_database_password_comes_from_the_named_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p@ss/word\n")
    settings = load(written(tmp_path, POSTGRES + 'database_password_file = "secret"\n'))
    assert settings.database_url() == "postgresql+psycopg://wetread:p%40ss%2Fword@db/wetread"


def test_a_password_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    settings = load(written(tmp_path, POSTGRES + 'database_password_env = "NOT_SET_HERE"\n'))
    with pytest.raises(SettingsError, match="NOT_SET_HERE is not set"):
        settings.database_url()


def test_a_password_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    message = refusal(tmp_path, POSTGRES.replace("wetread@", "wetread:s3cret@"))
    assert "storage.database: holds a password" in message
    assert "s3cret" not in message


def test_a_key_is_found_in_its_own_table_only() -> None:
    text = "[a]\nname = 1\n[[b]]\nname = 2\n[[b]]\nx = 1\nname = 3\n"
    assert line_of(text, ("a", "name")) == 2
    assert line_of(text, ("b", 1, "name")) == 7
    assert line_of(text, ("c", "name")) is None


def test_a_page_on_localhost_answers_to_its_own_names_only(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")).http.names == (
        "localhost",
        "127.0.0.1",
        "[::1]",
        "127.0.0.1",
    )
    assert load(written(tmp_path, '[http]\nhost = "0.0.0.0"\n')).http.names == ("*",)
    named = load(written(tmp_path, '[http]\nallowed_hosts = ["wetread.local"]\n'))
    assert named.http.names == ("wetread.local", "localhost", "127.0.0.1", "[::1]"), "probes"


def test_a_node_that_had_no_login_is_told_what_to_do_when_it_is_upgraded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"http\.without_login: is gone: .*\[http\.tls\]"):
        load(written(tmp_path, '[http]\nhost = "0.0.0.0"\nwithout_login = "accepted"\n'))


TLS = '[dimse.tls]\ncertificate = "tls/node.pem"\nca = "tls/ca.pem"\n'


def test_the_files_of_tls_and_users_are_relative_to_the_file_of_settings(tmp_path: Path) -> None:
    users = '[dimse.identity]\nusers_file = "users.txt"\n'
    out = '[[destinations]]\nname = "p"\nae_title = "P"\nhost = "h"\nport = 1\ntls = true\n'
    settings = load(written(tmp_path, TLS + users + out + 'ca = "pacs.pem"\n'))
    assert settings.dimse.tls is not None
    assert settings.dimse.tls.certificate == tmp_path / "tls" / "node.pem"
    assert settings.dimse.tls.key is None
    assert settings.dimse.tls.port == 2762
    assert settings.dimse.identity is not None
    assert settings.dimse.identity.users_file == tmp_path / "users.txt"
    assert settings.destinations[0].ca == tmp_path / "pacs.pem"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TLS.replace("ca =", "cA ="), "unknown key; did you mean 'ca'?"),
        (TLS.replace("ca =", "crl ="), "crl needs ca"),
        ('[[peers]]\nae_title = "A"\ncertificate = "CN=a"\n', "needs dimse.tls.ca"),
        (TLS + '[[peers]]\nae_title = "A"\ncertificate = "a"\n', "write a SHA-256 fingerprint"),
        (
            '[[destinations]]\nname = "p"\nae_title = "P"\nhost = "h"\nport = 1\nca = "x"\n',
            "need tls = true",
        ),
        ('[[peers]]\nae_title = "A"\nport = 1\nca = "x"\n', "need tls = true"),
        ('[[peers]]\nae_title = "A"\ntls = true\n', "give its port too"),
    ],
)
def test_settings_of_tls_that_mean_nothing_are_named(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_a_peer_is_bound_to_a_certificate_where_certificates_are_asked_for(tmp_path: Path) -> None:
    text = TLS + '[[peers]]\nae_title = "A"\ncertificate = "CN=a, O=Hospital"\n'
    assert load(written(tmp_path, text)).peers[0].certificate == "CN=a, O=Hospital"


# --- values that would only fail later ------------------------------------------------------------

OIDC = '[http.oidc]\nissuer = "https://x"\nclient_id = "w"\nroles = {a="viewer"}\n'
PACS = '[[destinations]]\nname = "p"\nae_title = "P"\nhost = "h"\nport = 1\n'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[node]\nae_title = "WÉT"\n', "node.ae_title"),
        ('[node]\nae_title = "WET\\\\READ"\n', "node.ae_title"),
        ('[node]\nae_title = "WET\\u0007READ"\n', "node.ae_title"),
        ('[node]\nae_title = "   "\n', "node.ae_title"),
        ('[[peers]]\nae_title = "ＣＴ１"\n', "peers[0].ae_title"),
        (PACS.replace('"P"', '"PÄCS"'), "destinations[0].ae_title"),
        (PACS + 'calling_ae_title = "nœud"\n', "destinations[0].calling_ae_title"),
        (PACS.replace('"h"', '""'), "destinations[0].host"),
        (PACS.replace('"h"', '"10.0.0.1:104"'), "destinations[0].host"),
        (PACS.replace('"h"', '"pacs hospital"'), "destinations[0].host"),
        (PACS.replace('"h"', '"dicom://pacs"'), "destinations[0].host"),
        (f'[dimse]\nhost = "{"é" * 70}"\n', "dimse.host"),
        ('[dimse]\nhost = "a..b"\n', "dimse.host"),
        ('[http]\nhost = "[::1]"\n', "http.host"),
        ('[http]\nallowed_hosts = ["wet*read"]\n', "http.allowed_hosts"),
        ('[http]\nallowed_hosts = [""]\n', "http.allowed_hosts"),
        ('[http]\nallowed_hosts = ["wetread:8080"]\n', "http.allowed_hosts"),
        ('[node]\ndata_dir = "a\\u0000b"\n', "node.data_dir"),
        ('[completion]\nquiet_period_s = inf\n', "completion.quiet_period_s"),
        ('[completion]\ngap_alarm_s = 1e300\n', "completion.gap_alarm_s"),
        ('[dimse]\nnetwork_timeout_s = inf\n', "dimse.network_timeout_s"),
        ('[dimse]\npdu_timeout_s = nan\n', "dimse.pdu_timeout_s"),
        ('[retention]\nimages_days = 1e9\n', "retention.images_days"),
        ('[workers]\nretry_delay_s = inf\n', "workers.retry_delay_s"),
        ('[storage]\ndatabase = "postgresql+psycopg://u@h:port/db"\n', "storage.database"),
        ('[dimse]\nport = 8080\n', "http.port"),
        ('[dimse.tls]\ncertificate = "c"\nport = 11112\n', "dimse.tls.port"),
        ('[[restrictions]]\nrole = "viewer"\nae_titles = ["CT1"]\n', "restrictions: needs"),
        (OIDC, "http.oidc"),
        ('[[restrictions]]\nrole = "viewer"\n', "restrictions[0]"),
        ('[[restrictions]]\nrole = "administrator"\nae_titles = ["X"]', "restrictions[0].role"),
        (OIDC.replace("https", "http"), "http.oidc.issuer"),
        ('[http.oidc]\nissuer = "https://x"\nclient_id = "w"\nroles = {}\n', "http.oidc.roles"),
        (RULE + "when = { Rows = { min = 5, max = 1 } }\n", "rules[0].when.Rows"),
        (RULE + "when = { Rows = { min = nan } }\n", "rules[0].when.Rows"),
    ],
)  # fmt: skip
def test_a_value_that_would_only_fail_later_is_refused_by_name_when_the_file_is_read(
    tmp_path: Path, text: str, key: str
) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith(str(tmp_path / "config.toml")), message
    assert f": {key}" in message, message


@pytest.mark.parametrize(
    "text",
    ['[node]\nae_title = "A B-1.~"\n', '[dimse]\nhost = "::1"\n',
     '[dimse]\nhost = "ct.münchen.example"\n',
     '[http]\nallowed_hosts = ["*.example.org", "[::1]", "*", "Wetread.local"]\n',
     '[dimse]\nport = 0\n[http]\nport = 0\n', '\ufeff[node]\n'],
)  # fmt: skip
def test_what_can_work_is_taken(tmp_path: Path, text: str) -> None:
    load(written(tmp_path, text))


# --- faults of the environment --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WETREAD_DIMSE__PORT", "none", "valid integer"),
        ("wetread_dimse__port", "-1", "greater than or equal to 0"),
        ("WETREAD_NODE__AE_TITLE", "WÉT", "plain ASCII"),
        ("WETREAD_DIMSE__PROT", "104", "unknown key; did you mean 'port'?"),
        ("WETREAD_DIMSE", '{"port": "x"}', "valid integer"),
        ("WETREAD_DIMSE", "{port", "is no JSON"),
        ("WETREAD_RULES", "chest", "is no JSON"),
        ("WETREAD_DESTINATIONS", '[{"name": "p"}]', "Field required"),
        ("WETREAD_STORAGE__DATABASE", "mysql://x", "sqlite:///"),
        ("WETREAD_DIMSE_PORT", "104", "did you mean WETREAD_DIMSE__PORT?"),
        ("WETREAD_DMSE__PORT", "104", "there is no table 'dmse'"),
    ],
)  # fmt: skip
def test_a_fault_of_the_environment_names_the_variable_and_no_line_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    message = refusal(tmp_path, '[dimse]\nport = 1\n[node]\nae_title = "X"\n')
    assert message.startswith(f"environment variable {name}: ")
    assert said in message
    assert "config.toml" not in message


def test_a_fault_of_the_file_is_not_blamed_on_a_variable_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WETREAD_DIMSE__PORT", "104")
    monkeypatch.setenv("WETREAD_DIMSE", '{"host": "10.0.0.1"}')
    message = refusal(tmp_path, "[dimse]\nmax_contexts = 0\n")
    assert "config.toml:2: dimse.max_contexts" in message
    assert "environment" not in message
