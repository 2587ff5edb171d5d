"""The containers, as far as a machine without an image registry can tell: what their files name is there, and is kept safe."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import WarehouseError
from pipeline.orchestration.home import CONFIGURATION, DATABASE, main
from pipeline.secret import Secret
from pipeline.settings import SECRET_VARIABLES
from pipeline.warehouse.connect import PIPELINE_ROLES, Role, Warehouse, from_url
from pipeline.warehouse.database import Server
from tests.conftest import ROLE_PREFIX, address

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"bootstrap", "code", "webserver", "daemon"}
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
READER_PASSWORD = "what BI tools know"
BECOME = ["python", "-m", "pipeline.orchestration.home"]
# An image is named with a version down to the patch, else a rebuild is another thing than what was tried.
PINNED = re.compile(r"[a-z]+:\d+\.\d+(\.\d+)?-[a-z-]+")


SPARK: dict[str, Any] = yaml.safe_load((FOLDER / "spark.yaml").read_text(encoding="utf-8"))
SPARK_DOCKERFILE = (FOLDER / "Dockerfile.spark").read_text(encoding="utf-8")


def instructions(name: str, dockerfile: str = DOCKERFILE) -> list[str]:
    lines = re.sub(r"\\\n", " ", dockerfile).splitlines()
    return [line.removeprefix(name).strip() for line in lines if line.startswith(f"{name} ")]


def program(name: str) -> list[str]:
    """How a command of the image is started here; the project itself need not be installed."""
    if name == "sports-market":
        assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"] == {name: "pipeline.cli:main"}
        return [sys.executable, "-m", "pipeline.cli"]
    script = Path(sys.executable).parent / name
    assert script.is_file()
    return [str(script)]


def is_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def test_the_services() -> None:
    assert SERVICES.keys() == {"postgres", *OURS}
    for name in OURS:
        assert SERVICES[name]["image"] == "sports-market:local"
    assert SERVICES["bootstrap"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert (FOLDER / SERVICES["bootstrap"]["build"]["context"]).resolve() == REPOSITORY
    assert (REPOSITORY / SERVICES["bootstrap"]["build"]["dockerfile"]).is_file()
    for name in OURS - {"bootstrap"}:
        assert SERVICES[name]["depends_on"] == {"bootstrap": {"condition": "service_completed_successfully"}}
        assert SERVICES[name]["restart"] == "unless-stopped"
    assert {name for name, each in SERVICES.items() if "healthcheck" in each} == SERVICES.keys() - {"bootstrap"}


@pytest.mark.parametrize("service", sorted(OURS))
@pytest.mark.parametrize("what", ["command", "healthcheck"])
def test_what_a_service_starts_is_there_and_takes_these_options(service: str, what: str) -> None:
    given = SERVICES[service].get(what)
    if given is None:
        assert (service, what) == ("bootstrap", "healthcheck")
        return
    command = given if what == "command" else given["test"][1:]
    if what == "healthcheck":
        assert given["test"][0] == "CMD"
    if command[: len(BECOME)] == BECOME:
        command = command[len(BECOME) :]
    if command[:2] == ["python", "-c"]:
        compile(command[2], "healthcheck", "exec")
        assert f":{SERVICES['webserver']['command'][4]}/server_info" in command[2]
        return
    # an option that it does not know ends in 2 all the same
    line = [*program(command[0]), *command[1:], "--help"]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "--module-name" in command:
        assert is_module(command[command.index("--module-name") + 1])


def test_the_parts_find_each_other() -> None:
    code = SERVICES["code"]["command"]
    port = code[code.index("--port") + 1]
    for name in ("webserver", "daemon"):
        command = SERVICES[name]["command"]
        assert command[command.index("--grpc-host") + 1] == "code"
        assert command[command.index("--grpc-port") + 1] == port
    assert port in SERVICES["code"]["healthcheck"]["test"]
    # Dagster's home is one folder for all of them
    [state] = {volume for name in OURS for volume in SERVICES[name]["volumes"]}
    assert f"SPORTS_MARKET_STATE_DIR={state.partition(':')[2]}" in DOCKERFILE


def test_what_the_readme_backs_up_is_there() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    docker compose (?:exec(?: -T)?|cp) (.+)$", text, re.M)
    assert len(commands) >= 9
    for command in commands:
        service = re.match(r"(?:recordings )?(\w+)", command)
        assert service is not None and service[1] in SERVICES, command
    settings = SERVICES["postgres"]["environment"]
    told = re.findall(r"--username=(\w+)", text)
    assert set(told) == {settings["POSTGRES_USER"]} and len(told) >= 7
    dumped = re.findall(r"pg_dump .* (\w+) > \w+\.dump", text)
    assert dumped == re.findall(r"pg_restore .*--dbname=(\w+) < ", text) == [settings["POSTGRES_DB"], DATABASE]
    # all that ours keep, in the one folder that they share
    [state] = {volume.partition(":")[2] for name in OURS for volume in SERVICES[name]["volumes"]}
    assert set(re.findall(r"code:(\S+)/recordings", text)) == {state}


def test_ports_are_on_the_loopback_only() -> None:
    ports = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert ports.keys() == {"postgres", "webserver"}
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)


def test_every_secret_is_a_file_outside_of_git_and_the_image() -> None:
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
    for name, service in SERVICES.items():
        named = {
            value.removeprefix("/run/secrets/")
            for variable, value in service["environment"].items()
            if variable.endswith("_FILE")
        }
        assert named == set(service["secrets"]), name
        assert not [variable for variable in service["environment"] if variable in SECRET_VARIABLES]
        assert not [variable for variable in service["environment"] if re.search(r"PASSWORD$|KEY$|TOKEN$", variable)]
    assert {f"{name}_FILE" for name in SECRET_VARIABLES} >= SERVICES["code"]["environment"].keys()
    assert "/deploy/secrets/" in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    allowed = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert allowed[1] == "*" and "!deploy" not in allowed


def test_no_password_stands_in_any_file() -> None:
    for path in FOLDER.iterdir():
        if path.is_file():
            found = re.findall(r"://[^\s:/@]*:([^\s@]+)@", path.read_text(encoding="utf-8"))
            assert set(found) <= {"%s"}, path  # where the README says how to write it


def test_images_are_pinned_and_nobody_is_root() -> None:
    images = [*instructions("FROM"), SERVICES["postgres"]["image"]]
    assert [image for image in images if not PINNED.fullmatch(image)] == []
    assert instructions("USER") == ["market"]
    assert f"useradd --system --uid 10001 --home-dir {SERVICES['code']['volumes'][0].partition(':')[2]}" in DOCKERFILE
    for name in OURS:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


def test_the_image_is_made_of_what_is_there() -> None:
    sources = [source for line in instructions("COPY") for source in line.split()[:-1]]
    assert {"requirements.txt", "pyproject.toml", "setup.py", "pipeline", "init_db", "contracts", "dbt", "fixtures"} <= set(
        sources
    )
    allowed = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for source in sources:
        assert (REPOSITORY / source).exists(), source
        assert f"!{source}" in allowed
    assert "pip install --no-cache-dir --require-hashes -r requirements.txt" in instructions("RUN")
    [entry] = instructions("ENTRYPOINT")
    assert yaml.safe_load(entry) == BECOME
    assert is_module(BECOME[2])
    pinned = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
    for package in ("dagster", "dagster-postgres", "dagster-webserver"):
        assert f"\n{package}==" in pinned


def test_telemetry_is_off() -> None:
    assert CONFIGURATION["telemetry"] == {"enabled": False}
    [environment] = instructions("ENV")
    assert {"DAGSTER_DISABLE_TELEMETRY=1", "DBT_SEND_ANONYMOUS_USAGE_STATS=false", "GX_ANALYTICS_ENABLED=false"} <= set(
        environment.split()
    )


def test_a_spark_of_a_master_and_two_workers() -> None:
    """That its commands work is shown by processes: tests/compute/test_deployed_spark.py."""
    services = SPARK["services"]
    assert services.keys() == {"master", "worker", "compute"}
    assert services["worker"]["deploy"] == {"replicas": 2}
    host, port = (services["master"]["command"][services["master"]["command"].index(name) + 1] for name in ("--host", "--port"))
    assert host == "master"
    for name in ("worker", "compute"):
        assert f"spark://{host}:{port}" in services[name]["command"]
        assert services[name]["depends_on"] == {"master": {"condition": "service_healthy"}}
    # no password is asked for, so nobody else reaches it
    assert {name: each["ports"] for name, each in services.items() if "ports" in each} == {"master": ["127.0.0.1:8080:8080"]}
    assert [volume for volume in services["compute"]["volumes"] if volume.endswith(":/data/recordings:ro")]
    for each in services.values():
        assert each["image"] == "sports-market-spark:local"
        assert (each["cap_drop"], each["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert each["volumes"] == services["compute"]["volumes"]
        assert not [name for name in each["environment"] if re.search("PASSWORD|KEY|TOKEN|SECRET", name)]
    from pipeline.cli import main as command

    with pytest.raises(SystemExit) as ended:
        command([*services["compute"]["command"][1:], "--help"])
    assert ended.value.code == 0


def test_the_image_of_spark_is_that_of_dagster_with_what_the_extra_needs() -> None:
    assert instructions("FROM", SPARK_DOCKERFILE) == [SERVICES["bootstrap"]["image"]]
    assert instructions("USER", SPARK_DOCKERFILE)[-1] == "market"
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert instructions("COPY", SPARK_DOCKERFILE) == []
    assert (FOLDER / "Dockerfile.spark.dockerignore").read_text(encoding="utf-8").splitlines()[1:] == ["*"]
    [run] = instructions("RUN", SPARK_DOCKERFILE)
    packages = dict(each.split("==") for each in re.findall(r"\S+==\S+", run))
    assert packages.keys() == {"pyspark", "duckdb", "pyarrow"}
    assert f"pyspark=={packages['pyspark']}" in extras["spark"]
    pinned = (REPOSITORY / "requirements-dev.txt").read_text(encoding="utf-8")
    for name in ("duckdb", "pyarrow"):
        assert f"\n{name}=={packages[name]} " in pinned
    assert "openjdk-17-jre-headless" in run
    made = re.search(r"install --directory --owner=market (\S+) (\S+)", run)
    assert made is not None
    volumes = SPARK["services"]["worker"]["volumes"]
    assert made[1] == SPARK["services"]["worker"]["environment"]["SPARK_LOCAL_DIRS"] == volumes[0]
    assert volumes[2] == f"lake:{made[2]}"


@pytest.mark.parametrize("file", ["compose.yaml", "spark.yaml"])
def test_compose_reads_the_file(file: str) -> None:
    if shutil.which("docker") is None:
        pytest.skip("there is no docker client")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("the docker client has no compose")
    command = ["docker", "compose", "--file", FOLDER / file, "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def deployed(server: Server, empty_database: Warehouse, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a container: its address in a file. Dagster's database goes again if the test made it."""
    (tmp_path / "database_url").write_text(address(empty_database))
    (tmp_path / "reader_password").write_text(READER_PASSWORD)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPORTS_MARKET_", "DAGSTER_"))}
    stood = server.exists(DATABASE)
    yield {
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "SPORTS_MARKET_STATE_DIR": str(tmp_path / "state"),
        "SPORTS_MARKET_ROLE_PREFIX": ROLE_PREFIX,
        **{name: str(tmp_path / Path(value).name) for name, value in SERVICES["bootstrap"]["environment"].items()},
    }
    if not stood:
        with server.home.connect_unchecked(Role.OWNER) as connection:
            connection.execute(f"drop database if exists {DATABASE}".encode())


def test_the_bootstrap_makes_roles_and_home_from_an_address_in_a_file(deployed: dict[str, str], tmp_path: Path) -> None:
    first, *others = SERVICES["bootstrap"]["command"]
    for _ in range(2):  # a second `up` changes nothing
        done = subprocess.run(
            [sys.executable, *BECOME[1:], *program(first), *others], env=deployed, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    own = ((Role.READER, Secret(READER_PASSWORD)),)
    warehouse = from_url((tmp_path / "database_url").read_text(), ROLE_PREFIX, own_passwords=own)
    for role in PIPELINE_ROLES:
        with warehouse.connect(role) as connection:
            assert connection.execute("select current_user").fetchone() == (f"{ROLE_PREFIX}{role}",)
        with pytest.raises(WarehouseError, match="permission denied for database"):
            replace(warehouse, dbname=DATABASE).connect(role)
    written = (tmp_path / "state" / "dagster" / "dagster.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(written) == CONFIGURATION
    # what it becomes finds Dagster's storage
    script = "import dagster; print(type(dagster.DagsterInstance.get().event_log_storage).__name__)"
    done = subprocess.run(
        [sys.executable, *BECOME[1:], sys.executable, "-c", script], env=deployed, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "PostgresEventLogStorage", done.stderr


def test_what_cannot_be_started_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in os.environ if name.startswith("SPORTS_MARKET_")]:
        monkeypatch.delenv(name)
    assert main(["dagster-daemon", "run"]) == 2
    assert "COMMAND_OR_URL_MISSING" in capsys.readouterr().err
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL_FILE", "/nowhere")
    assert main(["dagster-daemon", "run"]) == 3
    assert "SECRET_FILE_UNREADABLE: The file /nowhere, which SPORTS_MARKET_DATABASE_URL_FILE names" in capsys.readouterr().err
