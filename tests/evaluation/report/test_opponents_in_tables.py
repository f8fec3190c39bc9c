"""Tests where a report shows logistic regression on the features of the policy's own vision tower."""

from pathlib import Path

import numpy as np
import pytest
from toy_runs import predictions, write_evaluation

from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.report.content import gather
from vrft_aug.evaluation.report.regression import FEATURES, paper_rows
from vrft_aug.evaluation.report.result_tables import frame, main_tables
from vrft_aug.evaluation.runs import find

TRUTH = np.repeat(["0", "1", "2", "3"], 25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs; the second has both opponents, of which features are right on 60 of 100 images and pixels on 40."""
    for name, right in (("before", 30), ("after", 80)):
        write_evaluation(tmp_path / name, name, predictions(TRUTH, np.where(np.arange(100) < right, TRUTH, "4")),
                         shots=16)  # fmt: skip
    for beside, right in (("features", 60), ("pixels", 40)):
        rows = predictions(TRUTH, np.where(np.arange(100) < right, TRUTH, "4"))
        write_evaluation(tmp_path / "after" / beside, beside, rows, beside=beside, shots=16)
    return tmp_path


def test_features_are_rows_of_the_result_table(folder: Path):
    rows = {row[0]: row[1:] for row in main_tables(compare(find([folder]).evaluations, "before"))[0].rows}
    column = [one.name for one in compare(find([folder]).evaluations, "before")].index("after")
    assert rows["Logistic regression on features, %"][column].startswith("60.0 (")
    assert rows["Logistic regression on features, %"][1 - column] == "–"
    assert rows["On features, balanced accuracy, %"][column].startswith("6")
    assert rows["p, against features"][column] == "< 0.001 (+20 −0)"
    assert rows["p, against logistic regression"][column] == "< 0.001 (+40 −0)"


def test_they_are_columns_of_the_csv_and_rows_of_a_papers_table(folder: Path):
    comparisons = compare(find([folder]).evaluations)
    table = frame(comparisons).set_index("run")
    assert table.loc["after", "features_accuracy"] == 0.6 and table.loc["after", "p_against_features"] < 0.001
    assert np.isnan(table.loc["before", "features_accuracy"])
    assert paper_rows(comparisons, ["toy"]) == [["Logistic regression on pixels", "16", "40.0", "40.0"],
                                                ["Logistic regression on features", "16", "60.0", "60.0"]]
    assert FEATURES in gather([folder], None, None).legend


def test_of_prompts_that_show_different_images_the_best_regression_counts(folder: Path):
    rows = predictions(TRUTH, np.where(np.arange(100) < 90, TRUTH, "4"))
    write_evaluation(folder / "before" / "pixels", "pixels", rows, beside="pixels", shots=16)
    for order in (["before", "after"], ["after", "before"]):
        (row,) = [row for row in paper_rows(compare(find([folder / name for name in order]).evaluations), ["toy"])
                  if "pixels" in row[0]]  # fmt: skip
        assert row == ["Logistic regression on pixels", "16", "90.0", "90.0"]


def test_each_run_has_its_own_tower(folder: Path):
    rows = predictions(TRUTH, np.where(np.arange(100) < 20, TRUTH, "4"))
    write_evaluation(folder / "before" / "features", "features", rows, beside="features", shots=16)
    (row,) = [row for row in paper_rows(compare(find([folder]).evaluations), ["toy"]) if "features" in row[0]]
    assert row == ["Logistic regression on features", "16", "40.0\nmean of 2", "40.0"]


def test_without_features_no_table_speaks_of_them(folder: Path):
    before = [one for one in compare(find([folder]).evaluations) if one.name == "before"]
    assert not any("eatures" in row[0] for table in main_tables(before) for row in table.rows)
    assert not any("features" in name for name in frame(before))
