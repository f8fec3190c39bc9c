"""The report of closed questions: accuracy per type beside text only, option prior and chance; marks and sentences."""

from pathlib import Path

import numpy as np
import pytest
from toy_answers import answered, share
from toy_runs import write_evaluation

from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.report.content import gather
from vrft_aug.evaluation.report.page.gallery import gallery
from vrft_aug.evaluation.report.question_tables import READING
from vrft_aug.evaluation.report.result_tables import frame, main_tables
from vrft_aug.evaluation.report.shown import findings
from vrft_aug.evaluation.runs import find

N = 80
NAMES = {"shuffled": 20, "blank": 30, "prior": 36}


def write(folder: Path, right: int, beside: dict[str, int]) -> Path:
    write_evaluation(folder, folder.name, answered(share(N, right)), dataset="toy")
    for name, hits in beside.items():
        write_evaluation(folder / name, name, answered(share(N, hits)), beside=name, dataset="toy")
    return folder


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good", 70, NAMES)


@pytest.fixture
def guessing(tmp_path: Path) -> Path:
    return write(tmp_path / "guessing", 38, NAMES | {"blank": 38})


def rows_of(folder: Path) -> dict[str, str]:
    (table,) = main_tables(compare(find([folder]).evaluations))
    return {row[0]: row[1] for row in table.rows}


def test_the_main_table_has_the_baselines(good: Path):
    rows = rows_of(good)
    assert rows["Chance of the options, %"].startswith("37.5")
    assert rows["Text only (image blanked), %"].startswith("37.5") and rows["Option prior, %"].startswith("45.0")
    assert rows["p, against text only (image blanked)"].startswith("< 0.001 (+")
    assert rows["p, against option prior"].startswith("< 0.001 (+")
    assert not any("Logistic" in name or "Constant" in name for name in rows)


def test_a_table_per_run_has_one_row_per_type(good: Path):
    (topic,) = [topic for topic in gather([good], None, None).topics if topic.anchor == "questions"]
    (table,) = topic.tables
    assert topic.reading == [READING] and table.title.startswith("Accuracy per type of question, %: good")
    assert table.header == ["Type", "Questions", "Accuracy", "Text only (image blanked)", "Option prior", "Chance"]
    assert [(row[0], row[1], row[5].split()[0]) for row in table.rows] == [
        ("all", "80", "37.5"), ("place", "40", "25.0"), ("presence", "40", "50.0")
    ]  # fmt: skip
    right = answered(share(N, 70))
    for row, kind in zip(table.rows[1:], ("place", "presence"), strict=True):
        accuracy = 100 * right[right["slice_type"] == kind]["acc"].mean()
        assert row[2].startswith(f"{accuracy:.1f}")


def test_a_run_that_guesses_is_marked_and_a_good_one_is_not(good: Path, guessing: Path):
    (first,), (second,) = (compare(find([folder]).evaluations) for folder in (good, guessing))
    assert "◇" not in first.marks and "◇" in second.marks
    assert any(line.startswith("◇") for line in gather([guessing], None, None).legend)


def test_sentences_say_what_it_is_compared_with(good: Path, guessing: Path):
    texts = [" ".join(found.text for found in findings(compare(find([folder]).evaluations)[0]))
             for folder in (good, guessing)]
    assert "87.5 % of its answers are right; the most frequent option of the training gets 45.0 %." in texts[0]
    assert "with the image blanked, accuracy falls from 87.5 % to 37.5 %." in texts[0]
    assert "It answers no better than by prior: 47.5 % of its answers are right" in texts[1]
    lowered = "blanked images do not lower its accuracy significantly: 47.5 % without"
    assert f"It is not shown to need the image: {lowered}" in texts[1]


def test_columns_of_the_csv(good: Path):
    table = frame(compare(find([good]).evaluations)).iloc[0]
    assert table["prior_accuracy"] == 0.45 and table["blank_accuracy"] == 0.375
    assert table["p_against_prior"] < 0.001 and table["p_against_blank"] < 0.001
    assert np.isclose(table["option_chance"], 0.375)


def test_a_missing_baseline_is_noted(tmp_path: Path):
    notes = compare(find([write(tmp_path / "bare", 40, {})]).evaluations)[0].notes
    assert [note.rpartition(": ")[2] for note in notes if "too little" not in note] == [
        "not evaluated with shuffled images", "not evaluated on the text alone (images blanked)", "no option prior"
    ]  # fmt: skip


def test_the_gallery_shows_the_question(good: Path):
    (shown,) = gallery(compare(find([good]).evaluations), 3)
    assert len(shown["images"]) == 3 and shown["classes"] == []
    for image in shown["images"]:
        assert image["question"] == f"Question {image['id'].removeprefix('image_')}?\nOptions are as follows:\n- a"
