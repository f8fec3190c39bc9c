"""Tests the result tables that a reader sees."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from toy_runs import predictions, write_evaluation

from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.report.content import gather
from vrft_aug.evaluation.report.result_tables import (
    LENIENT,
    THOUGHT,
    frame,
    main_tables,
    page_tables,
    recall_tables,
    rejection_table,
)
from vrft_aug.evaluation.report.text_table import Table, interval, p_value, points
from vrft_aug.evaluation.runs import find


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory: pytest.TempPathFactory) -> list:
    """Grades before and after training, the latter also with shuffled images; and boxes of one run."""
    folder = tmp_path_factory.mktemp("runs")
    truth = np.repeat(["0", "1", "2", "3", "4"], [80, 30, 40, 30, 20])
    after = np.where(np.arange(200) % 4 == 0, "1", truth)
    write_evaluation(folder / "1", "before", predictions(truth, ["0"] * 190 + [""] * 10))
    write_evaluation(folder / "2", "after", predictions(truth, after))
    regression = np.where(np.arange(200) % 2 == 0, "0", truth)
    write_evaluation(folder / "2" / "pixels", "after, pixels", predictions(truth, regression), beside="pixels")
    write_evaluation(folder / "2" / "shuffled", "after", predictions(truth, after[::-1]), beside="shuffled")
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
    names = list(lines)
    assert names.index("Logistic regression on pixels, %") == names.index("Constant predictor, %") + 1
    assert lines["Logistic regression on pixels, %"] == ["–", "70.0 (63.3–75.9)"]
    assert lines["Logistic regression, balanced accuracy, %"][1].startswith("60.0 (")
    assert lines["Logistic regression, quadratic weighted kappa"][0] == "–"
    assert lines["p, against logistic regression"][0] == "–"
    assert lines["p, against logistic regression"][1].endswith(" (+38 −20)")
    assert lines["p, against before"] == ["baseline", "< 0.001 (+98 −20)"]
    assert "Mean IoU" not in lines


def test_box_table_has_no_class_metrics(comparisons: list):
    lines = {row[0]: row[1:] for row in main_tables(comparisons)[1].rows}
    assert lines["Mean IoU"][0].startswith("0.75 (")
    assert not any("ogistic regression" in name for name in lines)
    assert "Macro-F1, %" not in lines and "Constant predictor, %" not in lines


def test_recall_and_rejections(comparisons: list):
    (table,) = recall_tables(comparisons)
    assert [row[0] for row in table.rows] == ["0", "1", "2", "3", "4"]
    assert table.rows[0][1].startswith("100.0")
    assert rejection_table(comparisons).rows[0] == ["toy/grading", "before", "no answer", "10 of 200", "5.0"]


def test_frame_has_the_same_numbers_unrounded(comparisons: list):
    table = frame(comparisons)
    assert list(table["run"]) == ["before", "after", "localize"]
    after = table.set_index("run").loc["after"]
    assert after["accuracy"] == 0.79
    assert after["accuracy_low"] < 0.79 < after["accuracy_high"]
    assert after["p_against_baseline"] < 0.001
    assert after["pixels_accuracy"] == 0.7 and after["p_against_pixels"] < 0.05
    assert after["pixels_balanced_accuracy_low"] < 0.6 < after["pixels_balanced_accuracy_high"]
    assert table.set_index("run")[["pixels_quadratic_kappa", "p_against_pixels"]].isna().all(axis=1)["before"]
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


def test_a_run_that_answers_no_class_is_marked_and_its_share_stands_below_the_accuracy(tmp_path):
    truth = ["0", "1"] * 6
    answers = predictions(truth, ["cat"] * 12).assign(rejected="not a class")
    write_evaluation(tmp_path / "run", "foreign", answers)
    write_evaluation(tmp_path / "other", "fine", predictions(truth, truth))
    found = compare(find([tmp_path])[0])
    assert {one.name: "¶" in one.marks for one in found} == {"foreign": True, "fine": False}
    (table,) = main_tables(found)
    names = [row[0] for row in table.rows]
    assert names[1:3] == ["Accuracy, %", "Unparseable answers, %"]
    assert table.rows[2][table.header.index("foreign")].startswith("100.0")
    assert rejection_table(found).rows == [["toy/grading", "foreign", "not a class", "12 of 12", "100.0"]]


def test_lenient_accuracy_stands_beside_the_strict_one(tmp_path):
    folder = write_evaluation(tmp_path / "run", "run", predictions(["0", "1"] * 20, ["0", ""] * 20))
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["toy/grading"]["lenient_accuracy"] = {"value": 0.75, "low": 0.6, "high": 0.86}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    content = gather([tmp_path], None, None)
    lines = {row[0]: row[1] for row in main_tables(content.comparisons)[0].rows}
    assert lines["Lenient accuracy, %"] == "75.0 (60.0–86.0)" and lines["Accuracy, %"].startswith("50.0")
    assert LENIENT in content.legend
    assert frame(content.comparisons)["lenient_accuracy"][0] == 0.75


def test_thoughts_stand_beside_the_answers_where_findings_are_known(tmp_path):
    rows = predictions(["0", "1"] * 20, ["0", "1"] * 20)
    knows = rows.assign(findings="two rings", thought_right=[1.0, 0.0, 0.0, 0.0] * 10)
    write_evaluation(tmp_path / "1", "knows", knows)
    write_evaluation(tmp_path / "2", "plain", rows)
    content = gather([tmp_path], None, None)
    lines = {row[0]: row[1:] for row in main_tables(content.comparisons)[0].rows}
    assert lines["Thought (findings named right), %"] == ["25.0 (14.2–40.2)", "–"]
    assert "Thought (findings named right), %" in page_tables(content.comparisons)[0].header
    assert THOUGHT in content.legend and frame(content.comparisons)["thought_accuracy"][0] == 0.25


def test_tables_without_findings_do_not_mention_thoughts(tmp_path, comparisons: list):
    assert not any("Thought" in row[0] for table in main_tables(comparisons) for row in table.rows)
    write_evaluation(tmp_path / "1", "plain", predictions(["0"], ["0"]))
    assert THOUGHT not in gather([tmp_path], None, None).legend


def test_labels_visual_tokens_and_knowledge_of_a_run(tmp_path):
    about = {"labels": {"train": 1080, "val": 120}, "image_tokens": {"least": 64, "most": 324}}
    about |= {"knowledge": {"unreviewed": 4, "entries": 5}}
    write_evaluation(tmp_path / "1", "knows", predictions(["0"], ["0"]), **about)
    write_evaluation(tmp_path / "2", "plain", predictions(["0"], ["0"]))
    found = compare(find([tmp_path])[0])
    lines = {row[0]: row[1:] for row in main_tables(found)[0].rows}
    assert lines["Labels used (train + validation)"] == ["1080 + 120", "–"]
    assert lines["Visual tokens per image"] == ["64–324", "–"]
    assert lines["Knowledge in the prompt"] == ["PA_P with 4 of 5 entries unreviewed", "–"]
    assert frame(found)[["labels_val", "knowledge_unreviewed"]].iloc[0].to_list() == [120, 4]


def test_a_page_has_one_row_per_run_and_two_tables_per_data_set(comparisons: list):
    first, checks, *_ = page_tables(comparisons)
    assert [row[0] for row in first.rows] == [row[0] for row in checks.rows] == ["before", "after"]
    assert checks.title == "Checks: toy/grading, test split"
    (whole, _) = main_tables(comparisons)
    assert [row[0] for row in whole.rows] == [*first.header[1:], *checks.header[1:]]


def test_emphasis_in_markdown_and_in_a_terminal():
    table = Table("t", ["", "a"], [["x", "1\npaper 2"], ["y", "3\nover 1\npaper 4"]],
                  {(0, 1, 0): "best", (1, 1, -1): "second"})  # fmt: skip
    assert table.markdown().splitlines()[-2:] == [
        "| x | **1**<br>paper 2 |",
        "| y | 3<br>over 1<br><ins>paper 4</ins> |",
    ]
    console = Console(record=True, width=60, file=io.StringIO(), force_terminal=True)
    console.print(table.rich())
    styled = console.export_text(styles=True)
    assert "\x1b[1m1" in styled and "\x1b[4mpaper 4" in styled and "\x1b[4m3" not in styled


def test_points_of_a_difference():
    assert [points(one) for one in (0.131, -0.02, 0.0, -0.0001, None)] == ["+13.1", "−2.0", "0.0", "0.0", "–"]
    assert points(0.0156, digits=2) == "+1.56"
