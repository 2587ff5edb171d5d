"""The same on Spark: a local cluster of two workers, with one of them killed while it works."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from pipeline.cli import main
from pipeline.compute import spark_extra
from pipeline.compute.spark_extra import has_java
from pipeline.export import extra
from pipeline.export.verify_export import verify_export
from pipeline.recording.store import Recording
from pipeline.replay.snapshots import SnapshotStore
from pipeline.resources import resource
from tests.compute.test_computing import proven
from tests.recordings import BUNDLED, bundled_part

RECORDING = resource(BUNDLED)
MASTER = "local-cluster[2,1,1024]"

needs_spark = pytest.mark.skipif(find_spec("pyspark") is None or not has_java(), reason="needs pyspark and a Java")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """What becomes of all temporary files is seen here."""
    folder = Path("/tmp") / f"sm-spark-{os.getpid()}"
    folder.mkdir(mode=0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def command(out: Path, temporary: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline.cli", "compute", "--master", MASTER, "--recordings", str(RECORDING)),
            *("--out", str(out), "--shards", "4", "--json", *more),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(spark_extra.__file__).parents[2])},
    )


def servers_below(folder: Path) -> list[psutil.Process]:
    """PostgreSQL's processes whose data are in a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.endswith("/postgres") for word in words[:1]) and any(str(folder) in word for word in words):
            found.append(process)
    return found


def leaves_nothing(folder: Path) -> bool:
    for _ in range(150):
        left = [path for path in folder.iterdir() if path.name.startswith("sports-market-")]
        if not servers_below(folder) and not left:
            return True
        time.sleep(0.1)
    return False


@needs_spark
@pytest.mark.proof(cases=1)
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_local_cluster(tmp_path: Path, temporary: Path, is_killed: bool) -> None:
    """An executor that is killed while a task has its server: the same digests, and nothing of it is left."""
    running = command(tmp_path / "lake", temporary)
    killed: list[int] = []
    ended = threading.Event()

    def kill_one() -> None:
        while not ended.wait(0.2):
            # once a task's server is there, and what clears up after it
            for process in psutil.process_iter(["cmdline"]):
                words = process.info["cmdline"] or []
                if words[:2] != ["/bin/sh", "-c"] or not any(str(temporary) in word for word in words[4:]):
                    continue
                with contextlib.suppress(psutil.Error):
                    above = [parent for parent in process.parents() if parent.name() == "java"]
                    if above and "CoarseGrainedExecutorBackend" in " ".join(above[0].cmdline()):
                        os.kill(above[0].pid, signal.SIGKILL)
                        killed.append(above[0].pid)
                        return

    thread = threading.Thread(target=kill_one)
    if is_killed:
        thread.start()
    try:
        output, told = running.communicate(timeout=600)
    finally:
        ended.set()
        if running.poll() is None:
            running.kill()
    if is_killed:
        thread.join()
        assert len(killed) == 1
    assert running.returncode == 0, told
    assert json.loads(output)["digests"] == proven()
    check = verify_export(tmp_path / "lake")
    assert check.faults == () and check.digests == proven()
    assert leaves_nothing(temporary)


# In the executors' Python: the first two attempts fail once they have done all their work.
FAILING = """
import os, time
from pathlib import Path
from pipeline.compute import shard_task

done, run_shard = Path({folder!r}), shard_task.run_shard

def failing(*arguments):
    result = run_shard(*arguments)
    if len(list(done.iterdir())) < 2:
        (done / f"{{os.getpid()}}-{{time.time_ns()}}").touch()
        raise RuntimeError("a test lets it fail")
    return result

shard_task.run_shard = failing
"""


@needs_spark
@pytest.mark.proof
def test_a_task_that_fails_twice(tmp_path: Path, temporary: Path) -> None:
    """What its attempts wrote is named by nothing, and is gone; the third one counts."""
    recording = bundled_part(tmp_path / "recording", 2)
    attempts, code = tmp_path / "attempts", tmp_path / "code"
    attempts.mkdir()
    code.mkdir()
    (code / "sitecustomize.py").write_text(FAILING.format(folder=str(attempts)))
    path = os.pathsep.join([str(code), str(Path(spark_extra.__file__).parents[2])])
    conf = ("--conf", f"spark.executorEnv.PYTHONPATH={path}")
    with command(tmp_path / "lake", temporary, "--recordings", str(recording), "--shards", "1", *conf) as running:
        output, told = running.communicate(timeout=500)
    assert running.returncode == 0, told
    assert len(list(attempts.iterdir())) == 2
    snapshot = SnapshotStore(recording).read(Recording.open(recording).batch_ids[-1])
    assert snapshot is not None
    check = verify_export(tmp_path / "lake")
    assert check.faults == () and check.digests == json.loads(output)["digests"]
    assert snapshot.digests.items() <= check.digests.items()
    assert leaves_nothing(temporary)


@needs_spark
def test_an_error_in_a_task_is_told_as_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A body that is not what its index says: nothing is written."""
    shutil.copytree(RECORDING, tmp_path / "broken")
    body = sorted((tmp_path / "broken").glob("batches/*/*.odds.json"))[0]
    body.write_bytes(body.read_bytes()[:-7])
    code = main(
        [
            "compute",
            "--master",
            "local[1]",
            "--recordings",
            str(tmp_path / "broken"),
            "--out",
            str(tmp_path / "lake"),
            "--quiet",
        ]
    )
    assert code == 3
    assert "error RECORDING_" in capsys.readouterr().err
    assert not (tmp_path / "lake" / "manifest.json").exists()


def test_without_spark_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "pyspark" else find_spec(name))
    out = str(tmp_path / "lake")
    assert main(["compute", "--master", "local[1]", "--recordings", str(RECORDING), "--out", out]) == 3
    error = capsys.readouterr().err
    assert "error EXTRA_MISSING: What is asked for needs pyspark, which is not installed." in error
    assert "[spark]" in error
    assert not (tmp_path / "lake").exists()


def test_a_setting_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "lake")
    given = ["compute", "--master", "local[1]", "--recordings", str(RECORDING), "--out", out, "--conf", "spark.executor.memory"]
    assert main(given) == 2
    assert "is no NAME=VALUE" in capsys.readouterr().err
