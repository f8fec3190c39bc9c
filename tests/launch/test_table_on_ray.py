"""A table of four cells runs as jobs on two Ray nodes of this machine; one node is lost, the same command finishes."""

import contextlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from repository import ROOT

pytest.importorskip("verl", reason="the training stack is not installed (make setup)")
pytestmark = pytest.mark.slow

SIZES = (("train", 64), ("val", 16), ("test", 8))
TABLE = [
    "policy=tiny", "table.rows=[{experiment: zero_shot}]", "table.datasets=[phantom,phantom_grade]",
    "table.shots=[2,3]", *(f"+stages.dataset.loader.{split}={size}" for split, size in SIZES),
    "hardware.min_free_gigabytes=2", "submit=ray", "jobs=2", "out=runs",
]  # fmt: skip
CELLS = [f"tiny/{dataset}-{shots}" for dataset in ("phantom", "phantom_grade") for shots in (2, 3)]


@pytest.fixture(scope="module")
def cluster():
    from two_nodes import TwoNodes

    with TwoNodes(head_gpus=1) as nodes:
        yield nodes


def start(cluster, folder: Path, said: Path) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "recipes" / "experiments.py"), *TABLE]
    with said.open("w") as output:
        return subprocess.Popen(command, cwd=folder, env=cluster.env | {"PYTHONPATH": str(ROOT)}, stdout=output,
                                stderr=output)  # fmt: skip


def evaluates(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return any("recipes/evaluate.py" in word for word in process.cmdline())
    return False


def test_a_node_is_lost_and_the_same_command_finishes_the_table(cluster, tmp_path):
    said = tmp_path / "first.txt"
    first = start(cluster, tmp_path, said)
    deadline = time.monotonic() + 3000
    while not any(map(evaluates, cluster.on_second())):
        assert first.poll() is None and time.monotonic() < deadline, said.read_text()
        time.sleep(1)
    cluster.lose_second()
    assert first.wait(3000) == 1, said.read_text()
    text = said.read_text()
    lost = int(re.search(r"^error: (\d) of 4 cells failed or did not run: ", text, re.MULTILINE)[1])
    outputs = re.findall(r"^failed \w+: \S+: job \S+, output (\S+)$", text, re.MULTILINE)
    assert outputs and all(Path(output).is_file() for output in outputs), text
    tests = [tmp_path / "runs" / cell / "zero_shot" / "test" for cell in CELLS]
    done = {folder: (folder / "predictions.parquet").stat().st_mtime_ns
            for folder in tests if (folder / "stage.json").is_file()}  # fmt: skip
    assert len(done) == 4 - lost

    said = tmp_path / "second.txt"
    assert start(cluster, tmp_path, said).wait(3000) == 0, said.read_text()
    text = said.read_text()
    assert "0 followed again; at most 2 at once" in text and text.count("\ndone test") == lost
    for folder in tests:
        assert json.loads((folder / "run.json").read_text())["state"] == "finished"
    for folder, written in done.items():
        assert (folder / "predictions.parquet").stat().st_mtime_ns == written
