"""recipes/report.py as a person runs it."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from rich.console import Console
from toy_runs import predictions, write_evaluation, write_training

from vrft_aug.evaluation.report import write_report

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "report.py"
TRUTH = ["0"] * 60 + ["1"] * 40


def _report(*overrides: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(RECIPE), *overrides], capture_output=True, text=True, timeout=120)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    write_evaluation(folder / "before", "before", predictions(TRUTH, ["0"] * 100), ended="2025-01-01T00:00:00Z")
    write_evaluation(folder / "after", "after", predictions(TRUTH, TRUTH), ended="2025-01-02T00:00:00Z")
    shuffled = predictions(TRUTH, TRUTH[::-1])
    write_evaluation(folder / "after_shuffled", "after", shuffled, shuffled_images=True)
    write_training(folder / "grpo", 30)
    return folder


def test_report_of_a_training_with_before_and_after(runs: Path, tmp_path: Path):
    out = tmp_path / "report"
    done = _report(f"runs={runs}", f"out={out}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for text in ("60.0 (50.2–69.1) †", "100.0 (96.3–100.0)", "< 0.001 (+40 −0)", "lies inside the 95 % interval"):
        assert text in done.stdout
    assert "before on toy/grading: not evaluated with shuffled images" in done.stdout
    assert sorted(file.name for file in out.iterdir()) == ["curve.png", "report.md", "table.csv"]
    text = (out / "report.md").read_text()
    for part in ("![training curves](curve.png)", "60.0 (50.2–69.1) †", "## Missing", "- grpo: steps 0 to 30"):
        assert part in text
    assert list(pd.read_csv(out / "table.csv")["accuracy"]) == [0.6, 1.0]
    Image.open(out / "curve.png").verify()


def test_same_runs_same_bytes(runs: Path, tmp_path: Path):
    reports = []
    for name in ("one", "two"):
        files = write_report([runs], tmp_path / name, None, Console(quiet=True))
        reports.append({file.name: file.read_bytes() for file in files})
    assert reports[0] == reports[1]


def test_missing_pieces_are_said(runs: Path, tmp_path: Path):
    write_report([runs / "before"], tmp_path / "one", None, Console(quiet=True))
    text = (tmp_path / "one" / "report.md").read_text()
    assert "no training metrics" in text and "nothing to compare with" in text
    assert not (tmp_path / "one" / "curve.png").exists()
    write_report([runs / "grpo"], tmp_path / "two", None, Console(quiet=True))
    assert "no evaluation found" in (tmp_path / "two" / "report.md").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["runs=absent_folder"], "absent_folder: no such run folder"),
        (["runs={runs}", "baseline=sft"], "baseline=sft: no evaluation has this name; the runs are: after, before"),
        ([], "runs"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(runs: Path, tmp_path: Path, overrides: list[str], message: str):
    done = _report(*(override.format(runs=runs) for override in overrides), f"out={tmp_path / 'report'}")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr
    assert not (tmp_path / "report").exists()
