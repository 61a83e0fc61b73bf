"""The settings: what is accepted, and what a person is told when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import RangeCondition, Settings, load
from node.config_faults import line_of
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
    assert named.http.names == ("wetread.local",)


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
