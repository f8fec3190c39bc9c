"""Tests the selection of what the page's gallery shows."""

import base64
import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from toy_runs import predictions, write_evaluation, write_rows

from vrft_aug.evaluation.metrics.comparison import compare
from vrft_aug.evaluation.report.page.gallery import LONGEST, draw, gallery
from vrft_aug.evaluation.runs import find

TRUTH = ["0"] * 60 + ["1"] * 30 + ["2"] * 10


def shown(runs: Path, limit: int = 48) -> list[dict]:
    return gallery(compare(find([runs])[0]), limit)


def test_images_are_drawn_class_by_class():
    images = pd.DataFrame({"ground_truth": TRUTH})
    drawn = draw(images, 36, seed=0)
    assert drawn["ground_truth"].value_counts().to_dict() == {"0": 13, "1": 13, "2": 10}
    assert drawn.index.is_monotonic_increasing
    assert list(drawn.index) == list(draw(images, 36, seed=0).index) != list(draw(images, 36, seed=1).index)
    assert len(draw(images, 500, seed=0)) == 100


def test_image_reasoning_answer_ground_truth_and_rewards(tmp_path: Path):
    rows = predictions(TRUTH, ["0"] * 99 + [""])
    parquet = write_rows(tmp_path / "rows", rows, size=(40, 30))
    write_evaluation(tmp_path / "runs" / "one", "one", rows, parquet=str(parquet))
    (one,) = shown(tmp_path / "runs", limit=100)
    assert (one["title"], one["total"], one["notes"]) == ("toy/grading, test split", 100, [])
    first, last = one["images"][0], one["images"][-1]
    assert (first["id"], first["truth"], first["width"], first["height"]) == ("image_0", "0", 40, 30)
    answer = first["answers"]["one"]
    assert (answer["thought"], answer["answer"], answer["right"], answer["tokens"]) == ("I look.", "0", True, 12)
    assert answer["rewards"] == [["score", 1.0], ["format", 1.0]]
    assert last["answers"]["one"]["rejected"] == "no answer" and not last["answers"]["one"]["right"]
    kind, encoded = first["uri"].split(",")
    assert kind == "data:image/png;base64"
    pixels = Image.open(io.BytesIO(base64.b64decode(encoded)))
    original = Image.open(io.BytesIO(pd.read_parquet(parquet / "test.parquet")["images"][0][0]["bytes"]))
    assert pixels.tobytes() == original.tobytes()


def test_a_large_image_is_reduced(tmp_path: Path):
    rows = predictions(["0"], ["0"])
    write_rows(tmp_path / "rows", rows, size=(640, 320))
    write_evaluation(tmp_path / "runs" / "one", "one", rows, parquet=str(tmp_path / "rows"))
    (image,) = shown(tmp_path / "runs")[0]["images"]
    kind, encoded = image["uri"].split(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (160, 80)
    assert (image["width"], image["height"]) == (640, 320)


def test_missing_or_different_rows_get_a_note(tmp_path: Path):
    rows = predictions(["0", "1"], ["0", "1"])
    write_rows(tmp_path / "rows", rows)
    write_evaluation(tmp_path / "runs" / "one", "one", rows, parquet=str(tmp_path / "rows"))
    write_rows(tmp_path / "others", rows.assign(source_id=["x", "y"]))
    (tmp_path / "rows" / "test.parquet").write_bytes((tmp_path / "others" / "test.parquet").read_bytes())
    (one,) = shown(tmp_path / "runs")
    assert "no longer" in one["notes"][0] and one["images"][0]["uri"] is None
    shutil.rmtree(tmp_path / "rows")
    assert "no longer" in shown(tmp_path / "runs")[0]["notes"][0]


def test_rows_that_were_not_recorded_get_a_note(tmp_path: Path):
    write_evaluation(tmp_path / "one", "one", predictions(["0"], ["0"]))
    assert "does not name the folder of the rows" in shown(tmp_path)[0]["notes"][0]


def test_runs_are_shown_on_the_images_they_share(tmp_path: Path):
    write_evaluation(tmp_path / "1", "one", predictions(TRUTH, TRUTH))
    write_evaluation(tmp_path / "2", "two", predictions(TRUTH, TRUTH).iloc[50:])
    (one,) = shown(tmp_path)
    assert one["total"] == 50 and one["runs"] == ["one", "two"]
    assert all(set(image["answers"]) == {"one", "two"} for image in one["images"])


def test_runs_without_a_shared_image(tmp_path: Path):
    write_evaluation(tmp_path / "1", "one", predictions(TRUTH, TRUTH).iloc[:40])
    write_evaluation(tmp_path / "2", "two", predictions(TRUTH, TRUTH).iloc[50:])
    (one,) = shown(tmp_path)
    assert "no image in common" in one["notes"][0] and list(one["images"][0]["answers"]) == ["one"]


def test_the_chosen_answer_has_the_other_samples_below_it(tmp_path: Path):
    rows = predictions(["0"] * 3, ["1", "0", "0"])
    rows = rows.assign(source_id="image_0", index=0, sample=[0, 1, 2], vote=[False, True, False])
    write_evaluation(tmp_path / "one", "one", rows)
    (image,) = shown(tmp_path)[0]["images"]
    answer = image["answers"]["one"]
    assert answer["right"] and [sample["answer"] for sample in answer["samples"]] == ["1", "0"]


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1])
def test_a_long_response_is_cut_and_says_so(tmp_path: Path, length: int):
    write_evaluation(tmp_path / "one", "one", predictions(["0"], ["0"]).assign(response="a" * length))
    response = shown(tmp_path)[0]["images"][0]["answers"]["one"]["response"]
    assert (f"cut: {length} characters" in response) is (length > LONGEST)


def test_boxes_of_ground_truth_and_answer(tmp_path: Path):
    rows = predictions(["[0, 0, 4, 4]"], ["[1.5, 0, 4, 4]"], [], "localization", acc=[1.0])
    write_evaluation(tmp_path / "one", "one", rows)
    (image,) = shown(tmp_path)[0]["images"]
    assert image["boxes"] == [[0, 0, 4, 4]] and image["answers"]["one"]["boxes"] == [[1.5, 0, 4, 4]]


def test_every_box_of_ground_truth_and_answer(tmp_path: Path):
    two = "[[0, 0, 4, 4], [5, 5, 9, 9]]"
    rows = predictions([two, "[]", two], ["[[1, 0, 4, 4]]", "[]", ""], [], "detection", acc=[0.0, 1.0, 0.0])
    write_evaluation(tmp_path / "one", "one", rows)
    images = shown(tmp_path)[0]["images"]
    assert [image["boxes"] for image in images] == [[[0, 0, 4, 4], [5, 5, 9, 9]], [], [[0, 0, 4, 4], [5, 5, 9, 9]]]
    assert [image["answers"]["one"]["boxes"] for image in images] == [[[1, 0, 4, 4]], [], None]


def test_findings_and_whether_the_thought_names_them(tmp_path: Path):
    rows = predictions(["0", "1", "2"], ["0", "0", "2"]).assign(findings=["one ring", "two rings", ""])
    write_evaluation(tmp_path / "one", "one", rows.assign(thought_right=[0.0, 1.0, None]))
    images = shown(tmp_path)[0]["images"]
    assert [image["findings"] for image in images] == ["one ring", "two rings", ""]
    answers = [image["answers"]["one"] for image in images]
    assert [(one["right"], one["thought_right"]) for one in answers] == [(True, False), (False, True), (True, None)]
    assert all(name != "thought_right" for one in answers for name, _ in one["rewards"])
