"""Further metrics in the form of the paper's table: of one run, over seeds, and where there are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from toy_runs import GRADES, predictions, write_cell
from toy_tables import HELPS, ROWS, TRUTH, judged, table

from vrft_aug.evaluation.report.content import Asked, gather
from vrft_aug.evaluation.report.markdown import markdown

SCORES = {seed: np.random.default_rng(seed).dirichlet(np.ones(len(GRADES)), len(TRUTH)) for seed in (0, 1)}


def write(root: Path, seed: int | None, scores: np.ndarray | None) -> None:
    answers = TRUTH if scores is None else [GRADES[place] for place in scores.argmax(1)]
    columns = {} if scores is None else {"probabilities": scores.tolist()}
    rows = predictions(TRUTH, answers, data_source="retina", **columns)
    write_cell(root, "tiny", "retina", 256, "v_rft", rows=rows, seed=seed)


def auroc(scores: np.ndarray) -> float:
    held = [place for place, grade in enumerate(GRADES) if grade in TRUTH]
    return float(np.mean([roc_auc_score(np.array(TRUTH) == GRADES[place], scores[:, place]) for place in held]))


def shown(root: Path, also: list[str], **changes) -> list:
    asked = Asked("mine", table("mine", rows=ROWS, datasets=["retina"], also=also, **changes))
    return gather([root], None, asked).further


def test_one_run_has_its_value_with_its_interval(tmp_path: Path):
    write(tmp_path, None, SCORES[0])
    found = shown(tmp_path, ["auroc", "balanced_accuracy"])
    assert [one.title for one in found] == ["AUROC, mean over the classes", "Balanced accuracy, %"]
    (cell,) = [row[2] for row in found[0].rows if row[0] == "V-RFT"]
    assert cell.startswith(f"{auroc(SCORES[0]):.2f} (")


def test_several_seeds_have_mean_and_spread(tmp_path: Path):
    for seed, scores in SCORES.items():
        write(tmp_path, seed, scores)
    (found,) = shown(tmp_path, ["auroc"], seeds=[0, 1])
    (cell,) = [row[2] for row in found.rows if row[0] == "V-RFT"]
    values = [auroc(scores) for scores in SCORES.values()]
    assert cell.startswith(f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} (")


@pytest.mark.parametrize("seeds", [None, [0, 1]])
def test_a_metric_that_no_run_has_makes_no_table(tmp_path: Path, seeds):
    for seed in seeds or [None]:
        write(tmp_path, seed, None)
    assert shown(tmp_path, ["auroc"], seeds=seeds) == []


def test_the_report_has_them_below_the_table(tmp_path: Path):
    write(tmp_path, None, SCORES[0])
    asked = Asked("table1", table("table1", rows=ROWS, datasets=["retina"], also=["auroc"]))
    text = markdown(gather([tmp_path], None, asked))
    assert text.index("## Comparison with the paper") < text.index("### AUROC, mean over the classes")


def boxes(right: int, of: int = 40):
    """Answers to one box each, of which `right` overlap fully and the others by a quarter."""
    truth, near = "[0, 0, 8, 8]", "[0, 0, 4, 4]"
    return predictions([truth] * of, [truth] * right + [near] * (of - right), [], "localization",
                       acc=[1.0] * right + [0.0] * (of - right), data_source="retina")  # fmt: skip


def test_a_policy_that_is_tested_on_boxes_fills_its_cell(tmp_path: Path):
    for experiment, right in (("v_rft", 10), ("v_rft_pa_p", 30)):
        write_cell(tmp_path, "tiny", "retina", 256, experiment, rows=boxes(right))
    (found,) = shown(tmp_path, ["mean_iou"])
    cells = {row[0]: row[2] for row in found.rows}
    assert cells["V-RFT"].startswith("0.44 (") and cells["V-RFT + PA_P"].startswith("0.81 (")
    (claim,) = judged(tmp_path, HELPS | {"metric": "mean_iou"})
    assert claim.whole.verdict == "supported" and claim.whole.difference["value"] == pytest.approx(0.375)


def test_of_a_run_with_both_the_diagnosis_fills_the_cell(tmp_path: Path):
    diagnosis = predictions(TRUTH, TRUTH, data_source="retina")
    write_cell(tmp_path, "tiny", "retina", 256, "v_rft", rows=pd.concat([boxes(10), diagnosis], ignore_index=True))
    assert [one.title for one in shown(tmp_path, ["mean_iou", "balanced_accuracy"])] == ["Balanced accuracy, %"]
