from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SetupError, UsageError
from pipeline.secret import Secret
from pipeline.settings import DEFAULT_API_BASE_URL, SECRET_VARIABLES, Settings, check_role_prefix


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.database_url is None
    assert settings.state_dir == Path(".sports-market")
    assert settings.role_prefix == "sports_market_"
    assert settings.role_password is None
    assert settings.api_key is None
    assert settings.api_base_url == "https://api.the-odds-api.com"


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "SPORTS_MARKET_DATABASE_URL": "postgresql://u:p@h/d",
            "SPORTS_MARKET_STATE_DIR": "/var/lib/market",
            "SPORTS_MARKET_ROLE_PREFIX": "mine_",
            "SPORTS_MARKET_ROLE_PASSWORD": "rp",
            "SPORTS_MARKET_INGESTER_PASSWORD": "ip",
            "SPORTS_MARKET_TRANSFORMER_PASSWORD": "tp",
            "SPORTS_MARKET_READER_PASSWORD": "vp",
            "SPORTS_MARKET_LOCK_SECONDS": "90",
            "ODDS_API_KEY": "k",
            "SPORTS_MARKET_API_BASE_URL": "http://localhost:8000/",
            "SPORTS_MARKET_RECORDINGS_DIR": "recordings",
            "SPORTS_MARKET_SPARK_MASTER": "spark://host:7077",
            "SPORTS_MARKET_PLAN": "plan.yml",
            "SPORTS_MARKET_SIMULATED": "1",
            "SPORTS_MARKET_WEBHOOK_URL": "https://hooks.example/token",
        }
    )
    assert settings == Settings(
        database_url="postgresql://u:p@h/d",
        state_dir=Path("/var/lib/market"),
        role_prefix="mine_",
        role_password=Secret("rp"),
        ingester_password=Secret("ip"),
        transformer_password=Secret("tp"),
        reader_password=Secret("vp"),
        lock_seconds=90,
        api_key=Secret("k"),
        api_base_url="http://localhost:8000",
        recordings_dir=Path("recordings"),
        spark_master="spark://host:7077",
        plan_file=Path("plan.yml"),
        simulated=True,
        webhook_url=Secret("https://hooks.example/token"),
    )


def test_every_secret_may_stand_in_a_file_and_the_variable_itself_comes_first(tmp_path: Path) -> None:
    for name in SECRET_VARIABLES:
        (tmp_path / name).write_text(f"postgresql://u:{name}@h/d\n")
    files = {f"{name}_FILE": str(tmp_path / name) for name in SECRET_VARIABLES}
    written = {name: f"postgresql://u:{name}@h/d" for name in SECRET_VARIABLES}
    assert Settings.from_env(files) == Settings.from_env(written) != Settings()
    assert Settings.from_env(files | {"SPORTS_MARKET_API_KEY": "k"}).api_key == Secret("k")
    # ours in a file comes before the other name of the key
    assert Settings.from_env(files | {"ODDS_API_KEY": "k"}).api_key == Secret(written["SPORTS_MARKET_API_KEY"])
    assert Settings.from_env({f"{name}_FILE": " " for name in SECRET_VARIABLES}) == Settings()


@pytest.mark.parametrize("content", [None, b" \n", b"\xff\xfe"])
def test_a_secret_file_that_gives_nothing_is_named_with_its_variable(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SetupError) as caught:
        Settings.from_env({"SPORTS_MARKET_ROLE_PASSWORD_FILE": str(file)})
    assert caught.value.code == "SECRET_FILE_UNREADABLE"
    assert str(file) in caught.value.message and "SPORTS_MARKET_ROLE_PASSWORD_FILE" in caught.value.message


def test_the_key_has_two_names_and_ours_comes_first() -> None:
    assert Settings.from_env({"SPORTS_MARKET_API_KEY": "a", "ODDS_API_KEY": "b"}).api_key == Secret("a")
    assert Settings.from_env({"SPORTS_MARKET_API_KEY": " ", "ODDS_API_KEY": "b"}).api_key == Secret("b")


def test_empty_and_blank_variables_count_as_unset() -> None:
    names = ["DATABASE_URL", "STATE_DIR", "ROLE_PREFIX", "ROLE_PASSWORD", "API_BASE_URL", "RECORDINGS_DIR", "WEBHOOK_URL"]
    environ = {f"SPORTS_MARKET_{name}": " " for name in names} | {"ODDS_API_KEY": ""}
    assert Settings.from_env(environ) == Settings()


@pytest.mark.parametrize("text", ["0", "-1", "86401", "1.5", "2m", "９"])
def test_a_time_to_wait_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="LOCK_SECONDS_INVALID"):
        Settings.from_env({"SPORTS_MARKET_LOCK_SECONDS": text})
    assert Settings.from_env({"SPORTS_MARKET_LOCK_SECONDS": "86400"}).lock_seconds == 86400


@pytest.mark.parametrize("prefix", ["Upper_", "1st_", "pg_", "pg_x", "a-b", 'a"', "a b", "x" * 41, ""])
def test_a_prefix_that_cannot_start_a_role_name_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_role_prefix(prefix)
    assert caught.value.code == "ROLE_PREFIX_INVALID"


def test_the_longest_prefix_leaves_room_for_every_role() -> None:
    assert len(Settings(role_prefix="x" * 40).role_prefix + "transformer") <= 63


@pytest.mark.parametrize("url", ["ftp://host", "host:80", "https://", "https://host/?apiKey=hidden", "https://host/#hidden"])
def test_a_base_url_that_cannot_be_meant_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings.from_env({"SPORTS_MARKET_API_BASE_URL": url})
    assert caught.value.code == "API_BASE_URL_INVALID"
    assert "hidden" not in str(caught.value)
    assert DEFAULT_API_BASE_URL in str(caught.value)


# Texts that "***", the class name or a setting's name could hold by chance prove nothing.
secrets = st.text(min_size=8).map(lambda text: f"§{text}§")


@given(secrets)
def test_no_way_of_printing_shows_a_secret(text: str) -> None:
    secret = Secret(text)
    settings = Settings(database_url=f"postgresql://u:{text}@h/d", role_password=secret, api_key=secret)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{secret:>20}",
        repr(settings),
        str(settings),
        repr([secret]),
    ]
    assert not [one for one in shown if text in one]
    assert secret.reveal() == text


def test_a_secret_is_frozen_not_empty_and_never_pickled() -> None:
    secret = Secret("x")
    with pytest.raises(AttributeError):
        secret._value = "y"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secret)
    with pytest.raises(ValueError, match="empty"):
        Secret("")


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret("ä") == Secret("ä")
    assert Secret("ä") != Secret("a")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
