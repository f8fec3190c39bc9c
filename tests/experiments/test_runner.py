"""Runs cells in real processes, with toy recipes."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from local_jobs import cell, times

from vrft_aug.experiments import runner
from vrft_aug.experiments.stages import Stage

# It ends with `status`, or the first `lost` times as if the server of all stages had been killed. Until `after` exists
# it waits; it fails beside another run of the same recipe, and without what it needs. It refuses to run while the file
# `refused_beside` exists, and waits for that file the first time.
TOY = """
import pathlib, sys, time
options = dict(item.split("=") for item in sys.argv[1:])
missing = [name for name in options["needs"].split(",") if name and not (pathlib.Path(name) / "result").exists()]
sys.exit(f"lacks {missing}") if missing else None
running = pathlib.Path(__file__).with_suffix(".running")
running.touch(exist_ok=False)
out = pathlib.Path(options["out"]); out.mkdir(parents=True, exist_ok=True)
with (out / "ran").open("a") as log: log.write("x")
try:
    while "after" in options and not pathlib.Path(options["after"]).exists(): time.sleep(0.02)
finally:
    running.unlink()
if beside := options.get("refused_beside"):
    while (out / "ran").read_text() == "x" and not pathlib.Path(beside).exists(): time.sleep(0.02)
    (out / "refused").touch()
    if pathlib.Path(beside).exists(): sys.exit(2)
if len((out / "ran").read_text()) <= int(options.get("lost", 0)): sys.exit(75)
(out / "result").touch()
sys.exit(int(options.get("status", 0)))
"""


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    (tmp_path / "recipes").mkdir()
    for name in ("prepare", "toy"):
        (tmp_path / "recipes" / f"{name}.py").write_text(TOY)
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    return tmp_path


def stage(root: Path, name: str, *reads: Stage, recipe: str = "toy", **options: object) -> Stage:
    out, folders = root / name, tuple(one.out for one in reads)
    given = [f"{key}={value}" for key, value in options.items()]
    return Stage(name, recipe, (*given, f"needs={','.join(map(str, folders))}", f"out={out}"), out, folders)


def run(work) -> tuple[list[str], list[str]]:
    said: list[str] = []
    return runner.Runner(said.append).run(work), said


def test_what_cells_share_runs_once_and_what_stands_is_skipped(root):
    rows = stage(root, "rows", recipe="prepare")
    work = [(cell(name), [rows, stage(root, name, rows)]) for name in ("a", "b")]
    failed, said = run(work)
    assert failed == [] and times(root, "rows", "a", "b") == [1, 1, 1]
    assert said[:2] == ["cell 1/2  tiny/toy-all/a: rows", "cell 1/2  tiny/toy-all/a: a"]
    assert said[-1] == "cell 2/2  tiny/toy-all/b: done; 0 min, about 0 min left"
    failed, said = run(work)
    assert times(root, "rows", "a", "b") == [1, 1, 1]
    assert said == [f"cell {n}/2  tiny/toy-all/{name}: done before, skipped" for n, name in ((1, "a"), (2, "b"))]


def test_rows_of_a_later_cell_are_prepared_beside_a_training_and_trainings_run_one_at_a_time(root):
    """The first training ends only after all rows are there. Two of a kind at once would fail."""
    rows = [stage(root, f"rows-{name}", recipe="prepare") for name in "abc"]
    later = {"after": rows[-1].out / "result"}
    work = [(cell(name), [one, stage(root, name, one, **(later if name == "a" else {}))])
            for name, one in zip("abc", rows, strict=True)]  # fmt: skip
    failed, said = run(work)
    assert failed == []
    begun = [line.rpartition(": ")[2] for line in said if "min" not in line]
    assert begun == ["rows-a", "a", "rows-b", "rows-c", "b", "c"]


def test_a_failed_cell_is_listed_and_the_others_run(root):
    bad = stage(root, "bad", status=3)
    work = [(cell("a"), [bad, stage(root, "after", bad)]), (cell("b"), [stage(root, "b")])]
    failed, said = run(work)
    assert len(failed) == 1 and failed[0].startswith("tiny/toy-all/a: bad failed: python recipes/toy.py status=3")
    assert times(root, "bad", "after", "b") == [1, 0, 1]
    assert [line.split("; ")[0] for line in said if "min" in line] == [
        "cell 1/2  tiny/toy-all/a: failed", "cell 2/2  tiny/toy-all/b: done"
    ]  # fmt: skip
    run(work)
    assert times(root, "bad", "b") == [2, 1]


def test_a_cell_that_could_not_run_is_named_with_the_stage_that_it_lacks(root):
    shared = stage(root, "rows", status=3, recipe="prepare")
    work = [(cell(name), [shared, stage(root, name, shared)]) for name in ("a", "b")]
    failed, said = run(work)
    assert failed == [f"tiny/toy-all/a: rows failed: python {' '.join(shared.command)}",
                      "tiny/toy-all/b: not run, since its stage rows failed in tiny/toy-all/a"]  # fmt: skip
    assert times(root, "rows", "a", "b") == [1, 0, 0]
    assert [line.split("; ")[0][-6:] for line in said if "min" in line] == ["failed", "failed"]


def test_stages_that_end_with_the_server_of_all_are_started_again_once(root):
    rows = stage(root, "rows", recipe="prepare", lost=1)
    work = [(cell("a"), [rows, stage(root, "a", rows, lost=1)]), (cell("b"), [stage(root, "b", lost=5)])]
    failed, _ = run(work)
    assert [line.split(": ")[0] for line in failed] == ["tiny/toy-all/b"]
    assert times(root, "rows", "a", "b") == [2, 2, 2]


def test_what_is_refused_beside_another_stage_runs_once_more_alone(root):
    """The training of `a` is refused while rows are prepared; the rows of `c` then wait until it has run alone."""
    rows = [stage(root, f"rows-{name}", recipe="prepare") for name in "abc"]
    crowded = {"refused_beside": root / "recipes" / "prepare.running"}
    work = [(cell(name), [one, stage(root, name, one, **(crowded if name == "a" else {}))])
            for name, one in zip("abc", rows, strict=True)]  # fmt: skip
    slow = stage(root, "slow", recipe="prepare", after=root / "a" / "refused")
    failed, said = run([work[0], (cell("d"), [slow]), *work[1:]])
    assert failed == [] and times(root, "a", "b", "c") == [2, 1, 1]
    begun = [line.rpartition(": ")[2] for line in said if "min" not in line]
    assert begun == ["rows-a", "a", "slow", "a", "rows-b", "b", "rows-c", "c"]


def test_what_is_refused_alone_is_not_tried_again(root):
    failed, _ = run([(cell("a"), [stage(root, "a", status=2)])])
    assert len(failed) == 1 and times(root, "a") == [1]


def test_another_setting_runs_again_with_all_that_reads_its_result(root):
    def work(**changed):
        rows = stage(root, "rows")
        train = stage(root, "train", rows, **changed)
        return [(cell("a"), [rows, train, stage(root, "test", train)])]

    run(work())
    run(work(status=0))
    assert times(root, "rows", "train", "test") == [1, 2, 2]


def test_an_interruption_ends_what_runs_and_the_next_call_goes_on(root):
    work = f"""
import sys, signal; sys.path[:] = {sys.path!r}
from pathlib import Path
import test_runner as t
signal.signal(signal.SIGTERM, signal.default_int_handler)
root = Path({str(root)!r}); t.runner.ROOT = root
never = {{"after": root / "never"}}
t.runner.Runner(print).run([
    (t.cell("a"), [t.stage(root, "rows"), t.stage(root, "train", **never)]),
    (t.cell("b"), [t.stage(root, "more rows", recipe="prepare", **never)]),
])
"""
    process = subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while times(root, "rows", "train", "more rows") != [1, 1, 1]:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    threading.Timer(0.2, process.send_signal, [signal.SIGTERM]).start()
    said, _ = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "interrupted; not finished: cell 1/2  tiny/toy-all/a, cell 2/2  tiny/toy-all/b" in said
    for name in ("prepare", "toy"):  # what runs was told to end; a killed toy leaves its mark
        (root / "recipes" / f"{name}.running").unlink(missing_ok=True)
    run([(cell("a"), [stage(root, "rows"), stage(root, "train")])])
    assert times(root, "rows", "train") == [1, 2]
