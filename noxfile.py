"""The project's jobs. Each makes its own environment and needs Python and pip, nothing else.

``python3 -m nox -s replay`` runs the main job, ``python3 -m nox -s tests`` the tests; arguments after ``--`` are passed on.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["replay", "tests"]

ROOT = Path(__file__).resolve().parent
OLDEST_PYTHON = "3.11"
RUNTIME, DEVELOPMENT = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
SUPERSET = ROOT / "deploy" / "superset" / "requirements.txt"
PIN_NOTE = "Renew all files of requirements: `python3 -m nox -s pin`, then run the tests."


def _install(session: nox.Session, requirements: str) -> None:
    # every file by its hash; what builds the project itself comes by itself, into an environment of its own
    session.install("--require-hashes", "-r", requirements)
    session.install("--no-deps", "-e", ".")


@nox.session
def replay(session: nox.Session) -> None:
    """The main job, on the bundled recording unless another is named."""
    _install(session, "requirements.txt")
    session.run("sports-market", "replay", *session.posargs)


# each worker has a server of its own, and each file one worker: what its tests share is made once
PYTEST = (
    "python",
    "-m",
    "pytest",
    "-n",
    "auto",
    "--maxprocesses",
    "4",
    "--dist",
    "loadfile",
    "--no-loadscope-reorder",
    "--durations=10",
)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, slow proofs with few cases; ``-- tests/cli/test_cli.py -k help`` runs some, ``-- --proofs=all`` all cases."""
    _install(session, "requirements-dev.txt")
    session.run(*PYTEST, "--proofs=some", *session.posargs)


@nox.session
def proofs(session: nox.Session) -> None:
    """The slow proofs with all their cases."""
    _install(session, "requirements-dev.txt")
    session.run(*PYTEST, "-m", "proof", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Dagster's pages in a real Chromium, which must be on the machine (Debian: apt-get install chromium); none is fetched."""
    _install(session, "requirements-dev.txt")
    session.run("python", "-m", "pytest", "tests/browser", *session.posargs, env={"SPORTS_MARKET_BROWSER": "required"})


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, and the bans on clocks and chance."""
    _install(session, "requirements-dev.txt")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("python", "-m", "pytest", "-q", "tests/lint", "tests/test_house.py")


@nox.session
def docs(session: nox.Session) -> None:
    """The pages of docs/ as a site in site/, with search; warnings are errors."""
    _install(session, "requirements-dev.txt")
    session.run("mkdocs", "build", "--strict", "--quiet", *session.posargs)


@nox.session
def bi(session: nox.Session) -> None:
    """Every chart of deploy/superset, asked of a Superset in an environment of its own; ``-- --serve`` leaves it running."""
    _install(session, "requirements.txt")
    venv = ROOT / ".nox" / "superset"
    session.run("python", "-m", "venv", str(venv))
    session.run(str(venv / "bin" / "pip"), "install", "--quiet", "--require-hashes", "-r", str(SUPERSET), external=True)
    session.run("python", "-m", "tests.bi.run", str(venv), *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Speed and memory, as ratios within one run."""
    _install(session, "requirements-dev.txt")
    session.run("python", "-m", "tests.benchmarks.run", *session.posargs)


@nox.session
def season(session: nox.Session) -> None:
    """A season of 6,500 batches, loaded and proven: its time, growth and disk; ``-- --batches 600`` for a smaller one."""
    _install(session, "requirements-dev.txt")
    session.run("python", "-m", "tests.benchmarks.season", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Broken answers and indices at random, all the way into gold; ``-- --minutes 2``. What it finds becomes a test."""
    _install(session, "requirements-dev.txt")
    session.run("python", "-m", "tests.fuzz.run", *session.posargs)


@nox.session
def crashes(session: nox.Session) -> None:
    """Kill each command at its steps and at any moment; ``-- --points 1000`` at every step, ``-- -k load`` one command."""
    _install(session, "requirements-dev.txt")
    words, env = _settings(session.posargs, "points")
    session.run("python", "-m", "pytest", "-n", "auto", "--maxprocesses", "4", "tests/runs/test_crashes.py", *words, env=env)


@nox.session
def machine(session: nox.Session) -> None:
    """Do anything to a warehouse, and see that its gold is that of the admitted answers; ``-- --steps 10000 --seed 7``."""
    _install(session, "requirements-dev.txt")
    words, env = _settings(session.posargs, "steps", "seed")
    session.run("python", "-m", "pytest", "-s", "tests/machine", *words, env=env)


def _settings(words: list[str], *names: str) -> tuple[list[str], dict[str, str]]:
    """The words without options of these names, and these as the settings that tests read."""
    left, env = list(words), {}
    for name in names:
        if f"--{name}" in left:
            place = left.index(f"--{name}")
            env[f"SPORTS_MARKET_{name.upper()}"] = left[place + 1]
            del left[place : place + 2]
    return left, env


@nox.session
def sabotage(session: nox.Session) -> None:
    """Put known bugs back in, one at a time in a copy, and say what finds each; ``-- --most 6 --seed 3`` draws some."""
    _install(session, "requirements-dev.txt")
    session.run("python", "-m", "tests.sabotage.run", *session.posargs)


@nox.session
def spark(session: nox.Session) -> None:
    """Gold on a cluster of Spark on this machine, which needs a Java; Spark is large, and not in the requirements."""
    _install(session, "requirements-dev.txt")
    session.install("-e", ".[spark]")
    session.run("python", "-m", "pytest", "tests/compute", "tests/orchestration/test_compute_job.py", *session.posargs)


@nox.session
def lineage(session: nox.Session) -> None:
    """Write dbt/lineage.json anew: what each column of a model comes from. A test says when it is due."""
    _install(session, "requirements.txt")
    session.run("python", "-m", "pipeline.transform.lineage")


@nox.session
def program(session: nox.Session) -> None:
    """Write dbt/program.json anew, the statements of a batch, and the lists that follow from the models. A test says when."""
    _install(session, "requirements.txt")
    session.run("python", "-m", "pipeline.transform.render")


@nox.session
def mutation(session: nox.Session) -> None:
    """The mutation score: every rule of the contracts fires on what is broken, and on nothing good."""
    _install(session, "requirements-dev.txt")
    session.run("python", "-m", "tests.contracts.mutations.run", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel by way of the source archive, install it elsewhere, and use it outside of the checkout."""
    session.install("build")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session.run("python", "-m", "build", "--outdir", str(folder / "dist"), str(ROOT))
        session.run("python", "-m", "venv", str(folder / "venv"))
        python = str(folder / "venv" / "bin" / "python")
        wheel = str(next((folder / "dist").glob("*.whl")))
        session.run(python, "-m", "pip", "install", "--require-hashes", "-r", str(ROOT / "requirements.txt"), external=True)
        session.run(python, "-m", "pip", "install", "--no-deps", wheel, external=True)
        session.run(python, "-m", "pip", "check", external=True)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        session.chdir(elsewhere)
        command = str(folder / "venv" / "bin" / "sports-market")
        session.run(command, "replay", "--batches", "2", external=True)
        session.run(command, "plan", "cost", "example", external=True)


@nox.session
def licences(session: nox.Session) -> None:
    """List what the command stands on, with versions and licences."""
    _install(session, "requirements.txt")
    session.run("python", "-m", "pipeline.licences", *session.posargs)


@nox.session
def pin(session: nox.Session) -> None:
    """Write all requirements.txt and requirements-dev.txt anew: the newest releases that are allowed, and their hashes.

    ``-- --keep`` keeps the pins that still fit.
    """
    session.install("uv>=0.8")
    keep = "--keep" in session.posargs
    project, superset = ROOT / "pyproject.toml", SUPERSET.with_suffix(".in")
    runtime = _compiled(session, project, RUNTIME, keep)
    RUNTIME.write_text("\n".join((f"# What the command needs, pinned. {PIN_NOTE}", *runtime)) + "\n")
    extras = [word for extra in ("export", "test", "lint", "docs") for word in ("--extra", extra)]
    both = _compiled(session, project, DEVELOPMENT, keep, *extras, "--constraint", str(RUNTIME))
    extra = [entry for entry in both if entry not in runtime]
    note = f"# What files of gold, tests, lint and docs need beside it, pinned. {PIN_NOTE}"
    DEVELOPMENT.write_text("\n".join((note, f"-r {RUNTIME.name}", *extra)) + "\n")
    note = f"# What a look at gold by Superset needs, pinned. {PIN_NOTE}"
    SUPERSET.write_text("\n".join((note, *_compiled(session, superset, SUPERSET, keep))) + "\n")


def _compiled(session: nox.Session, needs: Path, known: Path, keep: bool, *arguments: str) -> list[str]:
    """An entry per package: its pin, and the hashes of all files of that release, for whatever Python and machine."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out.txt"
        # uv prefers the pins that it finds where it writes
        out.write_text(known.read_text().replace(f"-r {RUNTIME.name}\n", "") if known.exists() else "")
        session.run(
            *("uv", "pip", "compile", str(needs), *arguments, "--output-file", str(out), "--quiet", "--no-config"),
            *("--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-header", "--no-annotate"),
            *("--no-emit-index-url", "--no-emit-find-links", "--no-strip-extras", *([] if keep else ["--upgrade"])),
        )
        return re.findall(r"^\w[^\\\n]*(?:\\\n[^\\\n]*)*", out.read_text(), re.MULTILINE)
