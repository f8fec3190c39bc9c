"""Tests the tables "Does it look?" and "Does it read?", their columns in table.csv, and the figure beside them."""

from pathlib import Path

import numpy as np
import pytest
from toy_runs import predictions, write_evaluation

from vrft_aug.evaluation.answers.conditions import CONDITIONS
from vrft_aug.evaluation.metrics.comparison import Comparison, compare
from vrft_aug.evaluation.report.condition_tables import LOOK, LOOKS, READ, condition_legend, condition_tables
from vrft_aug.evaluation.report.content import gather
from vrft_aug.evaluation.report.markdown import markdown
from vrft_aug.evaluation.report.page.render import render
from vrft_aug.evaluation.report.result_tables import frame
from vrft_aug.evaluation.report.severity import severity, severity_figure
from vrft_aug.evaluation.runs import find

TRUTH = np.repeat(["0", "1", "2", "3"], 50)
RIGHT = {"shuffled": 50, "blank": 50, "blur_1": 160, "blur_2": 120, "noise_3": 80, "wrong_knowledge": 20}


def answers(right: int) -> np.ndarray:
    """The first images are answered right, the others wrong."""
    return np.where(np.arange(len(TRUTH)) < right, TRUTH, "4")


def write(folder: Path, name: str, right: dict[str, int], rows: slice = slice(None)) -> None:
    write_evaluation(folder, name, predictions(TRUTH, answers(160)))
    for beside, number in right.items():
        write_evaluation(folder / beside, beside, predictions(TRUTH, answers(number)).iloc[rows], beside=beside)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    write(root / "1", "before", {})
    write(root / "2", "after", RIGHT)
    return root


@pytest.fixture(scope="module")
def comparisons(folder: Path) -> list[Comparison]:
    return compare(find([folder]).evaluations)


def test_each_condition_has_its_accuracy_and_its_difference(comparisons: list[Comparison]):
    look, read = condition_tables(comparisons)
    assert look.title == "Does it look? toy/grading, test split" and look.header == ["", "before", "after"]
    lines = {row[0]: row[1:] for row in look.rows}
    assert lines["Real images"] == ["80.0 (73.9–85.0)"] * 2
    assert [row[0] for row in look.rows] == ["Real images", "Shuffled images", "Blank images",
        "Blurred images, strength 1 of 3", "Blurred images, strength 2 of 3", "Noisy images, strength 3 of 3",
        "Kept with degraded images, % of real"]  # fmt: skip
    before, after = lines["Blank images"]
    assert before == "–" and after.splitlines()[0] == "25.0 (19.5–31.4)"
    assert after.splitlines()[1].startswith("−55.0 (−6") and after.endswith(")")
    assert lines["Blurred images, strength 1 of 3"][1].splitlines()[1] == "0.0 (0.0 to 0.0)"
    assert lines["Kept with degraded images, % of real"][1].startswith("75.0 (")  # (160 + 120 + 80) / 3 of 160
    assert [row[0] for row in read.rows] == ["Descriptions as they are", "Descriptions of the wrong classes"]
    assert read.rows[1][2].splitlines()[0].startswith("10.0 (") and "−70.0 (" in read.rows[1][2]


def test_they_are_in_the_report_the_page_and_the_csv(folder: Path, comparisons: list[Comparison]):
    titles = ["Does it look? toy/grading, test split", "Does it read? toy/grading, test split"]
    row = frame(comparisons).set_index("run").loc["after"]
    assert row["blank_accuracy"] == 0.25 and row["blank_difference"] == pytest.approx(-0.55)
    assert row["blank_difference_low"] < -0.55 < row["blank_difference_high"] and row["kept"] == pytest.approx(0.75)
    content = gather([folder], None, None)
    (topic,) = [one for one in content.topics if one.anchor == "conditions"]
    assert [table.title for table in topic.tables] == titles and topic.reading == [LOOK, READ]
    assert [one.name for one in topic.drawings] == ["severity-toy-grading-test-split.png"]
    page = render(content, images=0).decode()
    assert all(title in page and title in markdown(content) for title in titles)
    assert page.count('<figure class="drawing">') == 1


def test_without_conditions_there_is_no_table(comparisons: list[Comparison]):
    before = comparisons[:1]
    assert condition_tables(before) == [] == condition_legend(before) and severity_figure(before) is None
    assert not any("difference" in name or name == "kept" for name in frame(before))


def test_many_runs_are_divided_so_that_a_table_fits_into_a_window(comparisons: list[Comparison]):
    look = [table for table in condition_tables(comparisons[1:] * 8) if "look" in table.title]
    assert [len(table.header) for table in look] == [7, 3]


def test_a_condition_on_other_images_is_left_out(tmp_path: Path):
    write(tmp_path / "run", "run", {"blank": 50}, slice(0, 100))
    (one,) = compare(find([tmp_path]).evaluations)
    assert one.reliance.differences == {} and condition_tables([one]) == []
    assert any("are in only one run" in note for note in one.notes)


def test_accuracy_against_severity_starts_with_the_real_images(comparisons: list[Comparison]):
    found = severity(comparisons[1])
    assert list(found) == ["blur", "noise"]
    assert [(level, one["value"]) for level, one in found["blur"]] == [(0, 0.8), (1, 0.8), (2, 0.6)]
    assert [level for level, _ in found["noise"]] == [0, 3]
    png = severity_figure(comparisons)
    assert png and png[:4] == b"\x89PNG" and png == severity_figure(comparisons)


def test_every_condition_has_a_row_of_one_of_the_tables(tmp_path: Path):
    write(tmp_path / "run", "run", dict.fromkeys(CONDITIONS, 100))
    look, read = condition_tables(compare(find([tmp_path]).evaluations))
    assert len(look.rows) == 1 + len(LOOKS) + 1 and len(read.rows) == 3
    assert "JPEG-compressed images, strength 1 of 3" in [row[0] for row in look.rows]
