"""Tests the result tables that a reader sees."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from toy_runs import predictions, write_evaluation

from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.report.result_tables import frame, main_tables, recall_tables, rejection_table
from vrft_aug.evaluation.report.text_table import Table, interval, p_value
from vrft_aug.evaluation.runs import find


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory: pytest.TempPathFactory) -> list:
    """Grades before and after training, the latter also with shuffled images; and boxes of one run."""
    folder = tmp_path_factory.mktemp("runs")
    truth = np.repeat(["0", "1", "2", "3", "4"], [80, 30, 40, 30, 20])
    after = np.where(np.arange(200) % 4 == 0, "1", truth)
    write_evaluation(folder / "1", "before", predictions(truth, ["0"] * 190 + [""] * 10))
    write_evaluation(folder / "2", "after", predictions(truth, after))
    write_evaluation(folder / "3", "after", predictions(truth, after[::-1]), shuffled_images=True)
    boxes = predictions(["[0, 0, 4, 4]"] * 4, ["[0, 0, 4, 4]"] * 3 + [""], [], "localization", acc=[1, 1, 1, 0.0])
    write_evaluation(folder / "4", "localize", boxes)
    return compare(find([folder])[0])


def test_main_table_shows_what_accuracy_hides(comparisons: list):
    table = main_tables(comparisons)[0]
    assert table.title == "toy/grading, test split"
    assert table.header == ["", "before", "after"]
    lines = {row[0]: row[1:] for row in table.rows}
    assert lines["Images"] == ["200", "200"]
    assert lines["Accuracy, %"] == ["40.0 (33.5–46.9) †", "79.0 (72.8–84.1)"]
    assert lines["Constant predictor, %"][0] == "40.0 (33.5–46.9)"
    assert lines["Balanced accuracy, %"][0].startswith("20.0")
    assert lines["Most frequent answer, % of all"][0] == "0: 95.0"
    assert lines["Unparseable answers, %"][0].startswith("5.0")
    assert lines["Accuracy, images shuffled, %"][0] == "–"
    assert lines["Accuracy, images shuffled, %"][1] != "–"
    assert lines["p, against before"] == ["baseline", "< 0.001 (+98 −20)"]
    assert "Mean IoU" not in lines


def test_box_table_has_no_class_metrics(comparisons: list):
    lines = {row[0]: row[1:] for row in main_tables(comparisons)[1].rows}
    assert lines["Mean IoU"][0].startswith("0.75 (")
    assert "Macro-F1, %" not in lines and "Constant predictor, %" not in lines


def test_recall_and_rejections(comparisons: list):
    (table,) = recall_tables(comparisons)
    assert [row[0] for row in table.rows] == ["0", "1", "2", "3", "4"]
    assert table.rows[0][1].startswith("100.0")
    assert rejection_table(comparisons).rows[0] == ["toy/grading", "before", "no answer", "10"]


def test_frame_has_the_same_numbers_unrounded(comparisons: list):
    table = frame(comparisons)
    assert list(table["run"]) == ["before", "after", "localize"]
    after = table.set_index("run").loc["after"]
    assert after["accuracy"] == 0.79
    assert after["accuracy_low"] < 0.79 < after["accuracy_high"]
    assert after["p_against_baseline"] < 0.001
    assert pd.isna(table.set_index("run").loc["localize", "macro_f1"])


def test_cells():
    assert interval({"value": 0.435, "low": 0.387, "high": 0.484}, 100) == "43.5 (38.7–48.4)"
    assert interval({"value": 0.435, "low": None, "high": None}, 1) == "0.43"
    assert interval({"value": None, "low": None, "high": None}, 1) == interval(None, 1) == "–"
    assert p_value({"p": 0.04, "only_a": 3, "only_b": 9}) == "0.040 (+9 −3)"


def test_markdown_keeps_a_table_whole():
    text = Table("t", ["", "a|b"], [["x\ny", "<img src=x> < 1"]]).markdown()
    assert text.splitlines()[2:] == ["|  | a\\|b |", "| --- | ---: |", "| x<br>y | &lt;img src=x> < 1 |"]


def test_a_terminal_shows_an_answer_as_it_is():
    console = Console(record=True, width=60, file=io.StringIO())
    console.print(Table("[t]", ["", "run"], [["most frequent", "[/red] [0, 0, 4, 4]"]]).rich())
    assert "[/red] [0, 0, 4, 4]" in console.export_text()


def test_transposed():
    assert Table("t", ["", "a", "b"], [["x", "1", "2"]]).transposed() == Table("t", ["", "x"], [["a", "1"], ["b", "2"]])


def test_votes_are_shown_with_their_single_samples(tmp_path):
    rows = predictions(["0", "0"] * 20, ["0", "1"] * 20)
    rows = rows.assign(source_id=[f"image_{i // 2}" for i in range(40)], sample=[0, 1] * 20, vote=[True, False] * 20)
    write_evaluation(tmp_path / "run", "run", rows)
    lines = {row[0]: row[1] for row in main_tables(compare(find([tmp_path])[0]))[0].rows}
    assert lines["Images"] == "20" and lines["Accuracy, %"].startswith("100.0")
    assert lines["Samples per vote"] == "2"
    assert lines["  accuracy of single samples, %"] == "50.0" and lines["  any sample right, %"] == "100.0"
