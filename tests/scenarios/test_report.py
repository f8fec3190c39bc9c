"""Runs recipes/report.py as a person does."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image
from repository import ROOT
from rich.console import Console
from toy_runs import cell_facts, cell_folder, predictions, write_cell, write_evaluation, write_rows, write_training

from vrft_aug.evaluation.report.report import write_report
from vrft_aug.experiments import run_table
from vrft_aug.experiments.cells import Table, cells

RECIPE = ROOT / "recipes" / "report.py"
TRUTH = ["0"] * 60 + ["1"] * 40


def _report(*overrides: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(RECIPE), *overrides]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | environment)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    write_evaluation(folder / "before", "before", predictions(TRUTH, ["0"] * 100), ended="2025-01-01T00:00:00Z")
    write_evaluation(folder / "after", "after", predictions(TRUTH, TRUTH), ended="2025-01-02T00:00:00Z")
    shuffled = predictions(TRUTH, TRUTH[::-1])
    write_evaluation(folder / "after" / "shuffled", "after", shuffled, beside="shuffled")
    write_training(folder / "grpo", 30)
    return folder


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    """Some cells of Table 3 with the tiny policy: retina, and graded phantoms in place of COVID-19."""
    folder = tmp_path / "table3"
    rows = {"parquet": str(write_rows(tmp_path / "rows", predictions(TRUTH, TRUTH)))}
    for dataset in ("retina", "phantom_grade"):
        constant = predictions(TRUTH, ["0"] * 100, data_source=dataset)
        right = predictions(TRUTH, TRUTH, data_source=dataset)
        write_cell(folder, "tiny", dataset, 256, "zero_shot", rows=constant, **rows)
        write_cell(folder, "tiny", dataset, 256, "v_rft_pa_p_mfrs", "mfrs", rows=right, **rows)
        facts = cell_facts("tiny", dataset, 256, "v_rft_pa_p_mfrs", "mfrs")
        signs = {"top_prediction": [0.95] * 20}
        write_training(cell_folder(folder, "tiny", dataset, 256, "v_rft_pa_p_mfrs") / "train", 20, signs=signs, **facts)
    write_cell(folder, "tiny", "retina", 256, "v_sft", rows=constant, state="failed")
    return folder


TABLE3 = ["table=table3", "table.policy=tiny", "table.larger_policy=null", "table.datasets=[retina,phantom_grade]"]


def test_a_table_of_the_paper(matrix: Path, tmp_path: Path):
    out = tmp_path / "report"
    done = _report(f"runs={matrix}", f"out={out}", *TABLE3)
    assert done.returncode == 0, done.stderr
    assert "6 of 10 cells have no run" in done.stdout and "this evaluation is failed; left out" in done.stdout
    names = ["claims.csv", "curve-phantom_grade.png", "curve-retina.png", "report.html", "report.md", "table.csv",
             "table3.csv"]  # fmt: skip
    assert sorted(file.name for file in out.iterdir()) == names
    text = (out / "report.md").read_text()
    for part in (
        "| Method | Images per class | retina<br>n 100; paper 400 | phantom_grade<br>n 100 | average |",
        "| 0-shot, tiny | 0 | 60.0 (50.2–69.1) †<br>paper 14.75 [a] | 60.0 (50.2–69.1) †<br>paper – |",
        "- [a] n or class shares differ: ours 100 images, the paper's 400",
        "| V-SFT | 256 | no run<br>paper 50.00 | no run<br>paper – | no run<br>paper – |",
        "### Signs of reward hacking",
        "| top_prediction | 0.95 | 0.95 (step 1) | at most 0.9 | ▲ |",
    ):
        assert part in text
    cells = pd.read_csv(out / "table3.csv").set_index(["experiment", "dataset"])
    assert cells.loc[("v_rft_pa_p_mfrs", "retina"), "accuracy"] == 1
    assert pd.isna(cells.loc[("v_rft_pa_p_mfrs", "phantom_grade"), "paper"])


def test_a_table_without_runs_names_the_policies_that_were_found(matrix: Path, tmp_path: Path):
    done = _report(f"runs={matrix}", f"out={tmp_path / 'report'}", "table=table3")
    assert "12 of 12 cells have no run; runs found are of policy tiny: add table.policy=tiny" in " ".join(
        done.stdout.split()
    )


def test_runs_without_an_experiment_fill_no_cell_and_the_report_says_so(runs: Path, tmp_path: Path):
    done = _report(f"runs={runs}", f"out={tmp_path / 'report'}", "table=table3")
    assert "12 of 12 cells have no run; no run found has an experiment of this table" in " ".join(done.stdout.split())


def test_delta_rows_and_marks_of_a_table(matrix: Path, tmp_path: Path):
    """In the terminal, in Markdown, on the page and in CSV."""
    wrong = predictions(TRUTH, ["1"] * 100, data_source="retina")
    write_cell(matrix, "tiny", "retina", 256, "v_rft", "mfrs", rows=wrong)
    out = tmp_path / "report"
    done = _report(f"runs={matrix}", f"out={out}", *TABLE3)
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, (out / "report.md").read_text(), (out / "report.html").read_text()):
        assert "Δ, against" in text and "+60.0" in text
        assert "not always the best baseline" in " ".join(text.split())
    assert "**100.0 (96.3–100.0)**" in (out / "report.md").read_text()
    assert 'class="value best"' in (out / "report.html").read_text()
    cells = pd.read_csv(out / "table3.csv").set_index(["experiment", "dataset"])
    assert cells.loc[("v_rft_pa_p_mfrs", "retina"), ["rank", "delta"]].to_list() == ["best", 0.6]


def test_claims_of_a_table_with_two_seeds(tmp_path: Path):
    """The zero-shot run of a policy without a warm start is one for both seeds."""
    for seed, right in ((0, 100), (1, 90)):
        rows = predictions(TRUTH, TRUTH[:right] + ["2"] * (100 - right), data_source="retina")
        write_cell(tmp_path / "runs", "qwen2_5_vl_3b", "retina", 256, "v_sft", rows=rows, seed=seed)
    rows = predictions(TRUTH, ["0"] * 100, data_source="retina")
    write_cell(tmp_path / "runs", "qwen2_5_vl_3b", "retina", 256, "zero_shot", rows=rows, seed=0)
    claims = "[{text:trained,better:v_sft,worse:zero_shot},{text:paper,better:v_rft,worse:v_sft}]"
    changes = ["table.seeds=[0,1]", "table.datasets=[retina]", "table.larger_policy=null", f"table.claims={claims}"]
    done = _report(f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'report'}", "table=table3", *changes)
    assert done.returncode == 0, done.stderr
    first, second = pd.read_csv(tmp_path / "report" / "claims.csv").to_dict("records")
    assert (first["verdict"], first["seeds"], first["images"]) == ("supported", 2, 100)
    assert first["difference"] == pytest.approx(0.35) and first["paper"] == pytest.approx(0.3525)
    lacking = [f"qwen2_5_vl_3b/retina-256/seed-{seed}/v_rft-mfrs" for seed in (0, 1)]
    assert second["verdict"] == f"not tested: {', '.join(lacking)} are missing"
    text = (tmp_path / "report" / "report.md").read_text()
    assert "95.0 ± 7.1 (" in text and "## Claims" in text


def test_one_experiment_with_two_seeds_has_its_report_beside_their_folders(tmp_path: Path):
    """As `make v_rft ARGS=table.seeds=[0,1]` calls it."""
    for seed, right in ((0, 100), (1, 90)):
        rows = predictions(TRUTH, TRUTH[:right] + ["2"] * (100 - right), data_source="retina")
        write_cell(tmp_path, "qwen2_5_vl_3b", "retina", 256, "v_sft", rows=rows, seed=seed)
    spec = {"title": "one", "protocol": "paper", "policy": "qwen2_5_vl_3b", "larger_policy": None, "seeds": [0, 1],
            "datasets": ["retina"], "shots": [256], "rows": [{"experiment": "v_sft"}]}  # fmt: skip
    table = Table.of(OmegaConf.create(spec))
    run_table.report(tmp_path, "one", table, [(cell, []) for cell in cells(table)])
    text = (tmp_path / "qwen2_5_vl_3b" / "retina-256" / "v_sft" / "report" / "report.md").read_text()
    assert "| V-SFT | 256 | 95.0 ± 7.1 (" in text


def test_the_report_has_the_rows_and_claims_of_the_command_line(tmp_path: Path):
    rows = predictions(TRUTH, TRUTH, data_source="retina")
    write_cell(tmp_path, "qwen2_5_vl_3b", "retina", 256, "v_sft", rows=rows)
    spec = {"title": "some rows", "protocol": "paper", "policy": "qwen2_5_vl_3b", "larger_policy": None,
            "datasets": ["retina"], "shots": [256], "rows": [{"experiment": "v_sft"}]}  # fmt: skip
    table = Table.of(OmegaConf.create(spec))
    own = ["table.rows=[{experiment: v_sft}]", "table.claims=[]"]
    run_table.report(tmp_path, "table3", table, [(cell, []) for cell in cells(table)], own)
    text = (tmp_path / "table3" / "report.md").read_text()
    assert "| V-SFT | 256 | 100.0" in text and "V-RFT" not in text and "## Claims" not in text


def test_two_trainings_in_a_row_fill_their_cell(tmp_path: Path):
    """The first has the objective iou, the second and the test mfrs."""
    rows = predictions(TRUTH, TRUTH, data_source="retina")
    write_cell(tmp_path / "runs", "tiny", "retina", 256, "v_rft_pa_pi_pa_p_mfrs", "mfrs", rows=rows, prompt="knowledge")
    overrides = ["table.datasets=[retina]", "table.rows=[{experiment:v_rft_pa_pi_pa_p_mfrs}]"]
    done = _report(f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'report'}", *TABLE3[:3], *overrides)
    assert done.returncode == 0, done.stderr
    cells = pd.read_csv(tmp_path / "report" / "table3.csv")
    assert (cells["accuracy"][0], cells["prompt"][0]) == (1.0, "knowledge")


def test_figure_2_from_two_trainings(tmp_path: Path):
    for experiment, rise in (("v_rft", 0.1), ("v_rft_pa_p", 0.5)):
        facts = cell_facts("tiny", "blood", 256, experiment)
        about = {"labels": {"train": 20, "val": 10}, "image_tokens": {"least": 64, "most": 64}}
        folder = cell_folder(tmp_path / "runs", "tiny", "blood", 256, experiment) / "train"
        write_training(folder, 20, rise, **facts, **about, knowledge={"unreviewed": 8, "entries": 8})
    out = tmp_path / "report"
    done = _report(f"runs={tmp_path / 'runs'}", f"out={out}", "table=fig2", "table.policy=tiny")
    assert done.returncode == 0, done.stderr
    Image.open(out / "fig2.png").verify()
    text = (out / "report.md").read_text()
    assert "](fig2.png)" in text and "Below: mean reward of the rollouts" in text
    said = "labels used: train + validation 20 + 10; visual tokens per image: 64; PA_P with 8 of 8 entries unreviewed"
    assert f"- v_rft_pa_p on blood: steps 0 to 20; {said}" in text
    assert f"v_rft_pa_p on blood: steps 0 to 20; {said}" in (out / "report.html").read_text()


def test_the_objective_distinguishes_the_runs_of_an_experiment(matrix: Path, tmp_path: Path):
    """The objective of v_rft is accuracy; Table 3 needs MFRS on retina."""
    for objective, answers in (("accuracy", ["0"] * 100), ("mfrs", TRUTH)):
        rows = predictions(TRUTH, answers, data_source="retina")
        folder = cell_folder(matrix, "tiny", "retina", 256, f"v_rft_{objective}") / "test"
        write_evaluation(folder, "test", rows, **cell_facts("tiny", "retina", 256, "v_rft", objective))
    for name, rows in (("table3", "table.rows=[{experiment:v_rft,objectives:{retina:mfrs}}]"),
                       ("own", "table.rows=[{experiment:v_rft}]")):  # fmt: skip
        done = _report(f"runs={matrix}", f"out={tmp_path / name}", *TABLE3, rows)
        assert done.returncode == 0, done.stderr
    accuracy = [pd.read_csv(tmp_path / name / "table3.csv")["accuracy"][0] for name in ("table3", "own")]
    assert accuracy == [1.0, 0.6]


def test_report_of_a_training_with_before_and_after(runs: Path, tmp_path: Path):
    out = tmp_path / "report"
    done = _report(f"runs={runs}", f"out={out}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for text in ("60.0 (50.2–69.1) †", "100.0 (96.3–100.0)", "< 0.001 (+40 −0)", "is inside the 95 % interval"):
        assert text in done.stdout
    assert "before on toy/grading: not evaluated with shuffled images" in done.stdout
    assert sorted(file.name for file in out.iterdir()) == ["curve.png", "report.html", "report.md", "table.csv"]
    text = (out / "report.md").read_text()
    for part in ("![training curves](curve.png)", "60.0 (50.2–69.1) †", "## Missing", "- grpo: steps 0 to 30"):
        assert part in text
    assert list(pd.read_csv(out / "table.csv")["accuracy"]) == [0.6, 1.0]
    Image.open(out / "curve.png").verify()


def test_same_runs_same_bytes(matrix: Path, tmp_path: Path):
    """Also in another process, where sets have a different order."""
    reports = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        done = _report(f"runs={matrix}", f"out={out}", *TABLE3, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
        reports.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert reports[0] == reports[1]


def test_missing_pieces_are_named(runs: Path, tmp_path: Path):
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
        (["runs={runs}", "gallery=-1"], "gallery=-1: the number of test images per data set must be 0 or more"),
        (["runs={runs}", "table=table9"], "no table 'table9'"),
        (["runs={runs}", "table=table3", "table.rows=[{{experiment:v_rft,shot:1}}]"], "no key shot"),
        ([], "runs is not set: set runs=[<folder>]"),
        (["runs=[]"], "runs is not set: set runs=[<folder>]"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(runs: Path, tmp_path: Path, overrides: list[str], message: str):
    done = _report(*(override.format(runs=runs) for override in overrides), f"out={tmp_path / 'report'}")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and message in done.stderr
    assert not (tmp_path / "report").exists()
