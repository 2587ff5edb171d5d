"""The cluster of ``deploy/spark.yaml``, its commands as processes of this machine: what it computes is what a replay does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.compute.spark_extra import has_java
from pipeline.export.verify_export import verify_export
from pipeline.recording.store import Recording
from pipeline.replay.snapshots import SnapshotStore
from tests.conftest import REPOSITORY
from tests.recordings import bundled_part

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((REPOSITORY / "deploy" / "spark.yaml").read_text())["services"]


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


class Cluster:
    """The services, with this machine's own places in the place of the containers'."""

    def __init__(self, folder: Path, recording: Path) -> None:
        self.ui = free_port()
        self._folder = folder
        self._places = {
            "7077": free_port(),
            "8080": self.ui,
            "master": "127.0.0.1",
            "/var/lib/spark/work": str(folder / "work"),
            "/data/recordings": str(recording),
            "/data/lake": str(folder / "lake"),
            "2g": "1g",
        }
        self._places["spark://master:7077"] = f"spark://127.0.0.1:{self._places['7077']}"

    def command(self, service: str) -> list[str]:
        return [self._places.get(word, word) for word in SERVICES[service]["command"]]

    @property
    def environment(self) -> dict[str, str]:
        own = {"SPARK_LOCAL_DIRS": str(self._folder / "local"), "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(REPOSITORY)}
        return {**os.environ, **own, "PYSPARK_PYTHON": sys.executable}

    @contextmanager
    def running(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        import pyspark

        spark = Path(pyspark.__file__).parent
        first, *others = self.command(service)
        assert first == "spark-class"
        with (self._folder / f"{service}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(spark / "bin" / first), *others],
                env={**self.environment, "SPARK_HOME": str(spark)},
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)

    def wait_for_workers(self, count: int) -> None:
        """By the page that the health check asks."""
        [script] = [word for word in SERVICES["master"]["healthcheck"]["test"] if "urlopen" in word]
        assert f"http://127.0.0.1:{SERVICES['master']['command'][-1]}/json/" in script
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ui}/json/", timeout=10) as answer:
                    if len(json.load(answer)["workers"]) == count:
                        return
            except OSError:
                pass
            time.sleep(0.5)
        raise AssertionError((self._folder / "master.log").read_text()[-2000:])


@pytest.mark.proof
@pytest.mark.skipif(find_spec("pyspark") is None or not has_java(), reason="needs pyspark and a Java")
def test_a_master_and_two_workers(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    recording = bundled_part(tmp_path / "recording", 2)
    cluster = Cluster(tmp_path, recording)
    with cluster.running("master"), cluster.running("worker"), cluster.running("worker"):
        cluster.wait_for_workers(SERVICES["worker"]["deploy"]["replicas"])
        first, *others = cluster.command("compute")
        assert first == "sports-market"
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *others, "--json", "--conf", "spark.executor.memory=512m"],
            env=cluster.environment,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    snapshot = SnapshotStore(recording).read(Recording.open(recording).batch_ids[-1])
    assert snapshot is not None
    check = verify_export(tmp_path / "lake")
    assert check.faults == ()
    assert snapshot.digests.items() <= check.digests.items() == json.loads(done.stdout)["digests"].items()
    # both workers had something to do
    assert len(list((tmp_path / "work").glob("app-*/*"))) == 2
