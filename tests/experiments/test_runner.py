"""Runs cells in real processes, with toy recipes."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vrft_aug.experiments import runner
from vrft_aug.experiments.cells import Cell
from vrft_aug.experiments.stages import Stage

TOY = """
import pathlib, sys, time
options = dict(item.split("=") for item in sys.argv[1:])
out = pathlib.Path(options["out"]); out.mkdir(parents=True, exist_ok=True)
with (out / "ran").open("a") as log: log.write("x")
time.sleep(float(options.get("sleep", 0)))
sys.exit(int(options.get("status", 0)))
"""


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "toy.py").write_text(TOY)
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    return tmp_path


def stage(root: Path, name: str, **options) -> Stage:
    out = root / name
    return Stage(name, "toy", (*(f"{key}={value}" for key, value in options.items()), f"out={out}"), out)


def times(root: Path, *names: str) -> list[int]:
    return [len((root / name / "ran").read_text()) if (root / name).exists() else 0 for name in names]


def cell(name: str) -> Cell:
    return Cell(name, "toy", None, "tiny")


def run(work) -> tuple[list[str], list[str]]:
    said: list[str] = []
    return runner.Runner(said.append).run(work), said


def test_what_cells_share_runs_once_and_what_stands_is_skipped(root):
    work = [(cell("a"), [stage(root, "rows"), stage(root, "a")]), (cell("b"), [stage(root, "rows"), stage(root, "b")])]
    failed, _ = run(work)
    assert failed == [] and times(root, "rows", "a", "b") == [1, 1, 1]
    failed, said = run(work)
    assert times(root, "rows", "a", "b") == [1, 1, 1]
    assert said == [f"cell {n}/2  tiny/toy-all/{name}: done before, skipped" for n, name in ((1, "a"), (2, "b"))]


def test_a_failed_cell_is_listed_and_the_others_run(root):
    work = [(cell("a"), [stage(root, "bad", status=3), stage(root, "after")]), (cell("b"), [stage(root, "b")])]
    failed, _ = run(work)
    assert len(failed) == 1 and failed[0].startswith("tiny/toy-all/a: bad failed: python recipes/toy.py status=3")
    assert times(root, "bad", "after", "b") == [1, 0, 1]
    run(work)
    assert times(root, "bad", "b") == [2, 1]


def test_a_cell_that_could_not_run_is_named_with_the_stage_that_it_lacks(root):
    shared = stage(root, "rows", status=3)
    work = [(cell(name), [shared, stage(root, name)]) for name in ("a", "b")]
    failed, _ = run(work)
    assert failed == ["tiny/toy-all/a: rows failed: python recipes/toy.py status=3 out=" + str(root / "rows"),
                      "tiny/toy-all/b: not run, since its stage rows failed in tiny/toy-all/a"]  # fmt: skip
    assert times(root, "rows", "a", "b") == [1, 0, 0]


def test_another_setting_runs_again_with_all_that_follows(root):
    run([(cell("a"), [stage(root, "rows"), stage(root, "train"), stage(root, "test")])])
    run([(cell("a"), [stage(root, "rows"), stage(root, "train", sleep=0.1), stage(root, "test")])])
    assert times(root, "rows", "train", "test") == [1, 2, 2]


def test_an_interruption_ends_the_recipe_and_the_next_call_goes_on(root):
    work = f"""
import sys, signal; sys.path[:0] = [{str(Path(__file__).parent)!r}]
from pathlib import Path
import test_runner as t
signal.signal(signal.SIGTERM, signal.default_int_handler)
root = Path({str(root)!r}); t.runner.ROOT = root
t.runner.Runner(print).run([(t.cell("a"), [t.stage(root, "rows"), t.stage(root, "train", sleep=60)])])
"""
    process = subprocess.Popen([sys.executable, "-c", work], stderr=subprocess.PIPE)
    while not (root / "train" / "ran").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    threading.Timer(0.2, process.send_signal, [signal.SIGTERM]).start()
    assert process.wait(20) != 0
    run([(cell("a"), [stage(root, "rows"), stage(root, "train")])])
    assert times(root, "rows", "train") == [1, 2]
